"""The one place that knows which parts are plugged in: settings in, the parts of a gateway out."""

from __future__ import annotations

from service.bootstrap.commitment import COMMITMENT_BELL
from service.bootstrap.delivery import RESULTS_STAY
from service.bootstrap.gateway import Gateway
from service.bootstrap.ground import DAY_S, SPOOL_BELL, STUDIES_BELL
from service.bootstrap.identity import NO_DEIDENTIFICATION

__all__ = ["COMMITMENT_BELL", "DAY_S", "NO_DEIDENTIFICATION", "RESULTS_STAY", "SPOOL_BELL", "STUDIES_BELL", "Gateway"]
