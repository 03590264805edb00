"""Copies a gateway's index to another place, and writes down in the copy that it was made."""

from __future__ import annotations

import time
from collections.abc import Callable

from service.archive.audit import AuditEvent, AuditTrail
from service.archive.database import Database
from service.archive.index_copy import CopiedTable, IndexCopy, check_source, check_target
from service.bootstrap.ground import Ground
from service.settings import Settings


def copy_index(
    settings: Settings, target: Settings, by: str, tell: Callable[[str, int, int], None]
) -> list[CopiedTable]:
    """Copy the index of a gateway to where that of other settings would be.

    Parameters
    ----------
    by : who asks for it, for the audit trail of the copy
    tell : told a table, how many of its rows are done, and how many there are

    Raises
    ------
    SettingsInvalid : there is no index, the target is not empty, or one of them is of another schema or in use
    GatewayError : a database failed, or what was written is not what was read; the target is as it was
    """
    here, there = Ground(settings, time.time), Ground(target, time.time)
    check_source(here.index)
    check_target(there.index)
    with Database.open(here.index) as source, Database.open(there.index) as copy:
        copied = IndexCopy(source, copy).run(tell)
        rows = sum(table.rows for table in copied)
        trail = AuditTrail(copy, time.time, here.key_file.sealing_key("audit"))
        trail.record(AuditEvent(by, "index.copy", detail={"from": source.dialect, "to": copy.dialect, "rows": rows}))
    return copied
