"""What is imported before processes are forked, so that all of them share it."""

from __future__ import annotations

import importlib
from typing import Final

# What the roles use at rest, directly or below it. What only work needs (text recognition, fusion, SEG and SR) is not
# among it: a test holds that.
_USED: Final = (
    "dicom_nodes.listener",
    "pydicom.dataset",
    "service.annotators.built_in",
    "service.archive.search",
    "service.bootstrap.gateway",
    "service.delivery.outbox_runner",
    "service.dimse.commitment_desk",
    "service.dimse.query_service",
    "service.dimse.retrieve_service",
    "service.fetching.pull_runner",
    "service.ingest.spool",
    "service.jobs.worker",
    "service.objects.arrival",
    "service.objects.validation",
    "service.runtime.receiver_pool",
    "service.runtime.web_server",
    "service.web.app",
    "sqlalchemy.dialects.sqlite",
)


def import_early() -> None:
    """Import what every process will need; starts and opens nothing."""
    for name in _USED:
        importlib.import_module(name)
