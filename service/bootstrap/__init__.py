"""The one place that knows which parts are plugged in: settings in, the parts of a gateway out."""

from __future__ import annotations

from service.bootstrap.commitment import COMMITMENT_BELL
from service.bootstrap.fetching import PULLS_BELL
from service.bootstrap.gateway import Gateway
from service.bootstrap.ground import DAY_S, OUTBOX_BELL, SPOOL_BELL, STUDIES_BELL
from service.bootstrap.identity import NO_DEIDENTIFICATION

__all__ = [
    "COMMITMENT_BELL",
    "DAY_S",
    "NO_DEIDENTIFICATION",
    "OUTBOX_BELL",
    "PULLS_BELL",
    "SPOOL_BELL",
    "STUDIES_BELL",
    "Gateway",
]
