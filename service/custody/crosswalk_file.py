"""The crosswalk as a file for one reader: mode 0600, whole or not at all, never over anything that is there."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from service.custody.crosswalk import CrosswalkRow
from service.errors import BadRequest


def write_crosswalk(
    path: Path, rows: Iterable[CrosswalkRow], before_it_appears: Callable[[int], None], *, issuers: bool = False
) -> int:
    """Write ``id_old,id_new`` as CSV; how many rows.

    Parameters
    ----------
    before_it_appears : told the number of rows when all are written; what it raises leaves no file
    issuers : a third column, the issuer of the old Patient ID

    Raises
    ------
    BadRequest : there is something at this place, a terminal among them, or it cannot be written
    """
    if path.exists() or path.is_symlink():
        raise BadRequest(f"{path} is there already; the crosswalk is written to a new file only")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                count = _write(file, rows, issuers=issuers)
                file.flush()
                os.fsync(file.fileno())
            before_it_appears(count)
            os.link(beside, path)
        finally:
            beside.unlink()
    except FileExistsError as error:
        raise BadRequest(f"{path} is there already; the crosswalk is written to a new file only") from error
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error.strerror}") from error
    return count


def _write(file: TextIO, rows: Iterable[CrosswalkRow], *, issuers: bool) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id_old", "id_new", "issuer_old"] if issuers else ["id_old", "id_new"])
    count = 0
    for row in rows:
        writer.writerow([row.old, row.new, row.issuer] if issuers else [row.old, row.new])
        count += 1
    return count
