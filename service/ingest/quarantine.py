"""What could not be processed: kept encrypted with its reason until a person decides or its time is over."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dicom_nodes.errors import GatewayError
from dicom_nodes.storage_classes import is_uid
from service.archive.database import Connection
from service.archive.quarantine_rows import HELD, NewQuarantineRow, QuarantineTable, WaitingSeries
from service.core.archived import QuarantineRow
from service.core.encoded_bytes import EncodedBytes, Section, chunks
from service.core.records import Incoming
from service.errors import InstanceNotFound
from service.ingest.pixel_case import PixelCase, PixelCaseFiles, PixelsFound
from service.ingest.sealed_file import PART_SUFFIX, erase_sealed, read_sealed, write_sealed
from service.ingest.series_awaited import SeriesAwaited

_LENGTH: Final = struct.Struct(">I")
_SUFFIX: Final = ".sealed"
_UNFINISHED_S: Final = 3600.0


class Quarantine:
    """Encrypted files, one for each object, beside rows that hold no identity.

    An object's id comes from its content, so whatever a kill interrupts is done again under the same name. Nothing in
    here can be read but as the whole object, by a person's decision.

    Parameters
    ----------
    sealing_key : 32 bytes, the key file's for "quarantine"
    clock : seconds since the epoch, UTC
    """

    def __init__(self, directory: Path, sealing_key: bytes, table: QuarantineTable, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._sealing_key = sealing_key
        self._digest_key = HKDF(SHA256(), 32, None, b"annogate quarantine digest").derive(sealing_key)
        self._table = table
        self._clock = clock
        self._cases = PixelCaseFiles(directory, sealing_key)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def hold(self, incoming: Incoming, error: GatewayError) -> str:
        """Keep an object, durable when this returns its id; the same object again is the same id, counted once more."""
        self.keep(incoming)
        return self.enter(incoming, error)

    def keep(self, incoming: Incoming) -> None:
        """Write the object's file, if it is not there; the row comes after it."""
        self._keep(incoming, self._digest(incoming))

    def enter(self, incoming: Incoming, error: GatewayError, connection: Connection | None = None) -> str:
        """List an object whose file is there; its id."""
        digest = self._digest(incoming)
        row, _ = self._table.add(
            NewQuarantineRow(
                id=digest[:16].hex(),
                project=incoming.project,
                failure_reason=error.dimse_status,
                reason=str(error),
                source=incoming.source,
                size=len(incoming.data_set),
                received_at=incoming.received_at,
                content_digest=digest,
                calling_ae_title=incoming.calling_ae_title,
                sop_class_uid=_uid_or_nothing(incoming.sop_class_uid),
                transfer_syntax_uid=_uid_or_nothing(incoming.transfer_syntax_uid),
                waits_for=error.series if isinstance(error, SeriesAwaited) else "",
            ),
            connection=connection,
        )
        if isinstance(error, PixelsFound):
            self._cases.write(row.id, error.case)
        # Somebody may have decided on an earlier copy, and erased it, since the file was seen.
        self._keep(incoming, digest)
        return row.id

    def waiting(self) -> tuple[WaitingSeries, ...]:
        """Series of which something waits for the rest, the longest quiet first."""
        return self._table.waiting()

    def of_series(self, series: WaitingSeries) -> tuple[str, ...]:
        """The ids of what waits for one series."""
        return self._table.of_series(series)

    def leave_to_person(self, quarantine_id: str, error: PixelsFound) -> bool:
        """Have an object wait for a person and for its series no longer; False when it does not wait any more."""
        self._cases.write(quarantine_id, error.case)
        return self._table.wait_no_longer(quarantine_id, error.dimse_status, str(error))

    def list(
        self, project: str | None = None, *, state: str | None = HELD, limit: int = 100, offset: int = 0
    ) -> list[QuarantineRow]:
        """What is in quarantine, the last received first; ``state`` None lists what was decided on as well."""
        return self._table.list(project, state=state, limit=limit, offset=offset)

    def show(self, quarantine_id: str) -> QuarantineRow:
        """One row.

        Raises
        ------
        InstanceNotFound : there is none
        """
        row = self._table.get(quarantine_id)
        if row is None:
            raise InstanceNotFound("there is no such object in quarantine")
        return row

    def read(self, quarantine_id: str) -> Incoming:
        """The object as it came.

        Raises
        ------
        InstanceNotFound : there is none, or it was decided on
        KeysMissing : the key file does not fit
        """
        row = self.show(quarantine_id)
        if row.state != HELD:
            raise InstanceNotFound(f"the object is not in quarantine any more: {row.state}")
        try:
            return _decode(read_sealed(self._path(row.content_digest), self._sealing_key))
        except FileNotFoundError as err:
            raise InstanceNotFound("the object's file is not in quarantine") from err

    def pixel_case(self, quarantine_id: str) -> PixelCase | None:
        """What was found in the pixels of an object that waits for a person; None where they are not the question.

        Raises
        ------
        InstanceNotFound : there is no such object, or it was decided on
        """
        row = self.show(quarantine_id)
        if row.state != HELD:
            raise InstanceNotFound(f"the object is not in quarantine any more: {row.state}")
        return self._cases.read(row.id) if row.failure_reason == PixelsFound.dimse_status else None

    def close_case(self, quarantine_id: str, state: str, by: str) -> QuarantineRow:
        """Note that an object was "released" or "discarded", and erase it.

        The row comes first: once it says so nobody reads the file, even if a kill leaves that for `tidy`.

        Raises
        ------
        InstanceNotFound : it is not held
        """
        row = self.show(quarantine_id)
        if not self._table.decide(quarantine_id, state, by):
            raise InstanceNotFound(f"the object is not in quarantine any more: {row.state}")
        self._erase(quarantine_id)
        return self.show(quarantine_id)

    def expire(self, before: float) -> tuple[str, ...]:
        """Erase what was received before a time and is still undecided; the ids."""
        expired = self._table.expire(before)
        for quarantine_id in expired:
            self._erase(quarantine_id)
        return expired

    def tidy(self) -> int:
        """Erase what a kill left behind: files unfinished, without a row, or of closed cases; how many."""
        erased = 0
        for path in sorted(self._directory.iterdir()):
            try:
                is_old = path.stat().st_mtime < self._clock() - _UNFINISHED_S
            except FileNotFoundError:
                continue  # it went with the other file of its object
            if path.name.endswith(PART_SUFFIX):
                if is_old:
                    erase_sealed(path)
                    erased += 1
                continue
            quarantine_id = path.name.partition(".")[0]
            row = self._table.get(quarantine_id)
            if is_old if row is None else row.state != HELD:
                erased += self._erase(quarantine_id)
        return erased

    def _keep(self, incoming: Incoming, digest: bytes) -> None:
        path = self._path(digest)
        if not path.exists():
            write_sealed(path, _encode(incoming), self._sealing_key)

    def _erase(self, quarantine_id: str) -> bool:
        """Erase an object's file, unless the object came again and is held."""
        with self._table.unless_held(quarantine_id) as may_go:
            if may_go:
                self._cases.erase(quarantine_id)
                erase_sealed(self._directory / f"{quarantine_id}{_SUFFIX}")
        return may_go

    def _path(self, digest: bytes) -> Path:
        return self._directory / f"{digest[:16].hex()}{_SUFFIX}"

    def _digest(self, incoming: Incoming) -> bytes:
        """Keyed, over what came and how it was encoded: the same object again has the same one."""
        digest = hmac.new(self._digest_key, digestmod=hashlib.sha256)
        for text in (incoming.project, incoming.transfer_syntax_uid, incoming.sop_class_uid):
            digest.update(_LENGTH.pack(len(text.encode())) + text.encode())
        for part in chunks(incoming.data_set):
            digest.update(part)
        return digest.digest()


def _uid_or_nothing(text: str) -> str:
    """Text of a sender where a UID belongs could be a patient's: rows are open to read."""
    return text if is_uid(text) else ""


def _encode(incoming: Incoming) -> Iterator[bytes | memoryview]:
    names = [field.name for field in fields(incoming) if field.name != "data_set"]
    head = json.dumps({name: getattr(incoming, name) for name in names}).encode()
    yield _LENGTH.pack(len(head)) + head
    yield from chunks(incoming.data_set)


def _decode(content: EncodedBytes) -> Incoming:
    (length,) = _LENGTH.unpack(content[: _LENGTH.size])
    start = _LENGTH.size + length
    values = json.loads(content[_LENGTH.size : start])
    data_set = content[start:] if isinstance(content, bytes) else Section(content, start, len(content))
    return Incoming(**values, data_set=data_set)
