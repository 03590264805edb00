"""Carries objects from the spool through the pipeline and lets go of what is done.

Rows in the index say how far each object came; the bell only wakes. Whatever point a kill hits, the next worker finds
the objects in the spool, the rows of those that are final, and does the rest.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from dicom_nodes.object_sink import ObjectHeader
from service.archive.database import Connection
from service.archive.intake import Arrival, IntakeTable
from service.core.archived import IntakeRow
from service.core.encoded_bytes import EncodedBytes
from service.core.fault_place import fault_place
from service.core.records import Incoming, Outcome
from service.ingest.look_lane import LookLane
from service.ingest.pipeline import IngestPipeline
from service.ingest.segment_claim import SegmentClaims
from service.ingest.spool_reader import FinishedSegment, SpooledObject, SpoolReader

_RECEIVED: Final = "received"
_REGISTER_AT_ONCE: Final = 500

_log = structlog.get_logger("annogate.ingest")


class Wake(Protocol):
    """What a worker waits on."""

    def wait(self, timeout: float) -> bool:
        """Return when there may be work, or after ``timeout`` seconds."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much a worker takes at once, and when it gives an object up.

    Parameters
    ----------
    objects, bytes : of one batch, which shares its syncs and its transaction
    attempts : processes that an object may end before it goes into quarantine
    sweep_s : between looks that nobody asked for
    gather_s : from a wake-up to the look, so that what comes in a burst shares its batch
    trouble_s : before the next try when disk or index fail
    """

    objects: int = 64
    bytes: int = 32 << 20
    attempts: int = 3
    sweep_s: float = 5.0
    gather_s: float = 0.05
    trouble_s: float = 2.0


class SpoolWorker:
    """Works the spool off; any number may run beside each other on one host.

    Parameters
    ----------
    project_of : the project of a called AE title; None where there is none any more
    on_damage : told the name of each segment that was set aside because the disk has damaged it
    interrupt_look : breaks off the look at an object's pixels that is under way, without anything being decided
    priority_of : what is said of an object before it is read; the higher is worked off first
    """

    def __init__(
        self,
        *,
        reader: SpoolReader,
        intake: IntakeTable,
        pipeline: IngestPipeline,
        claims: SegmentClaims,
        project_of: Callable[[str], str | None],
        limits: WorkerLimits | None = None,
        on_damage: Callable[[str], None] = lambda _: None,
        interrupt_look: Callable[[], None] = lambda: None,
        priority_of: Callable[[ObjectHeader], int] = lambda _: 0,
    ) -> None:
        self._priority_of = priority_of
        self._reader = reader
        self._intake = intake
        self._pipeline = pipeline
        self._claims = claims
        self._project_of = project_of
        self._limits = limits or WorkerLimits()
        self._waiting: dict[str, dict[str, SpooledObject]] = defaultdict(dict)
        self._begun: set[int] = set()
        self._on_damage = on_damage
        self._harmed: set[str] = set()  # segments with an object that could not be read
        self._looked_for_lost_rows = False
        self._stopped = False
        self._looks = LookLane(
            intake=intake,
            pipeline=pipeline,
            claims=claims,
            open_object=self._opened,
            refuse_damaged=self._refuse_damaged,
            interrupt=interrupt_look,
            trouble_s=self._limits.trouble_s,
        )

    def run(self, wake: Wake) -> None:
        """Work until `stop`; trouble of disk or index is waited out."""
        try:
            self._run(wake)
        finally:
            self.close()

    def _run(self, wake: Wake) -> None:
        while not self._stopped:
            try:
                busy = self.work()
            except GatewayError as error:
                _log.error("spool.trouble", reason=str(error))
                wake.wait(self._limits.trouble_s)
                continue
            except Exception as error:  # noqa: BLE001  # rows and spool say what is left to do; the next turn does it
                _log.error("spool.trouble", reason=fault_place(error))
                wake.wait(self._limits.trouble_s)
                continue
            if not busy and wake.wait(self._limits.sweep_s) and not self._stopped:
                time.sleep(self._limits.gather_s)

    def stop(self) -> None:
        """End after the batch at hand; whoever calls wakes the worker."""
        self._stopped = True

    def close(self) -> None:
        """Break off what was put off; it stays in the spool."""
        self._looks.stop()

    def finish_looks(self) -> None:
        """Wait until the objects that were put off, since their pixels are looked at, came to their end."""
        self._looks.finish()

    def work(self) -> bool:
        """Register and process what is open, release what is done; whether anything was processed.

        Raises
        ------
        GatewayError : disk or index failed; everything that was not finished is found again
        """
        if not self._looked_for_lost_rows:
            self._forget_lost_rows()
        for one in self._reader.committed():  # which hands each out once
            self._waiting[one.segment][one.source_key] = one
        processed = False
        for segment in self._in_order(self._waiting):
            if self._stopped:
                break
            with self._claims.claim(segment) as mine:
                if mine:
                    processed |= self._work_off(segment)
        self._release()
        return processed

    def _rows(self, objects: Mapping[str, SpooledObject]) -> dict[str, IntakeRow]:
        """The row of every object; those that have none get one. The caller has claimed their segment."""
        rows = self._intake.find(list(objects))
        new = [one for key, one in objects.items() if key not in rows]
        for start in range(0, len(new), _REGISTER_AT_ONCE):
            self._intake.register(
                Arrival(one.source_key, self._project_of(one.header.called_ae_title) or "", one.header.received_at)
                for one in new[start : start + _REGISTER_AT_ONCE]
            )
        return rows | self._intake.find([one.source_key for one in new]) if new else rows

    def _forget_lost_rows(self) -> None:
        """Forget rows that a kill left behind their segment; open ones would hold studies open for ever."""
        # Rows before files: a segment that is missing afterwards is gone for good.
        of_rows = self._intake.segments()
        for segment in sorted(of_rows - self._reader.segments()):
            self._intake.delete_for_segment(segment)
        self._looked_for_lost_rows = True

    def _in_order(self, waiting: Mapping[str, Mapping[str, SpooledObject]]) -> list[str]:
        """Segments with something urgent first, then the oldest."""
        urgency = {
            name: max((self._priority_of(one.header) for one in objects.values()), default=0)
            for name, objects in waiting.items()
        }
        return sorted(waiting, key=lambda name: (-urgency[name], name))

    def _work_off(self, segment: str) -> bool:
        """Process what is open in a segment that is claimed."""
        if segment not in self._reader.segments():
            # Another worker finished and released it after it was handed to us.
            self._intake.delete_for_segment(segment)
            self._waiting.pop(segment, None)
            return False
        waiting = self._waiting[segment]
        # Those that were put off come to their end by themselves; asked before their rows, which they change.
        rows = self._rows({key: one for key, one in waiting.items() if key not in self._looks})
        work = [(waiting[key], row) for key, row in rows.items() if row.state == _RECEIVED]
        # What is urgent first, then in the order of arrival.
        for batch in self._batches(sorted(work, key=lambda item: (-self._priority_of(item[0].header), item[1].id))):
            if self._stopped:
                return True
            self._process(batch)
        if not self._stopped:
            self._waiting.pop(segment, None)
        return bool(work)

    def _batches(
        self, work: Sequence[tuple[SpooledObject, IntakeRow]]
    ) -> Iterator[list[tuple[SpooledObject, IntakeRow]]]:
        """Batches by number and bytes; an object that was begun before goes alone, since it may end the process."""
        batch: list[tuple[SpooledObject, IntakeRow]] = []
        size = 0
        for item in work:
            spooled, row = item
            if self._is_suspect(row):
                yield [item]
                continue
            if batch and (len(batch) >= self._limits.objects or size + spooled.size > self._limits.bytes):
                yield batch
                batch, size = [], 0
            batch.append(item)
            size += spooled.size
        if batch:
            yield batch

    def _is_suspect(self, row: IntakeRow) -> bool:
        return row.attempts > 0 and row.id not in self._begun

    def _process(self, batch: Sequence[tuple[SpooledObject, IntakeRow]]) -> None:
        readable: list[tuple[Incoming, IntakeRow]] = []
        whole: list[SpooledObject] = []
        for spooled, row in batch:
            try:
                readable.append((self._opened(spooled, row), row))
                whole.append(spooled)
            except InstanceUnreadable as error:
                self._refuse_damaged(spooled, row, error)
        if len(readable) == 1 and self._is_suspect(readable[0][1]) and readable[0][1].attempts >= self._limits.attempts:
            words = f"Processing it ended the worker {readable[0][1].attempts} times"
            self._refuse(*readable[0], GatewayError(words))
            return
        self._attempt(readable, whole)

    def _opened(self, spooled: SpooledObject, row: IntakeRow) -> Incoming:
        return _incoming(spooled, row, self._reader.read(spooled.source_key))

    def _refuse_damaged(self, spooled: SpooledObject, row: IntakeRow, error: InstanceUnreadable) -> None:
        self._harmed.add(spooled.segment)
        self._refuse(_incoming(spooled, row, self._reader.salvage(spooled.source_key)), row, error)

    def _attempt(self, batch: Sequence[tuple[Incoming, IntakeRow]], spooled: Sequence[SpooledObject]) -> None:
        """Process a batch, or its objects one by one where it fails as a whole for a reason that nobody foresaw."""
        # Once for each process: failures that the process survives are no sign of a dangerous object.
        fresh = [row.id for _, row in batch if row.id not in self._begun]
        self._intake.begin(fresh)
        self._begun.update(fresh)
        rows = [row for _, row in batch]
        put_off: list[int] = []
        try:
            incoming = [incoming for incoming, _ in batch]
            self._pipeline.process_batch(incoming, self._recorder(rows), put_off.append)
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001  # one object must not hold up the others
            _log.error("batch.failed", error=fault_place(error), objects=len(batch))
            if len(batch) == 1:
                words = f"Processing failed ({type(error).__name__})"
                self._refuse(*batch[0], GatewayError(words))
                return
            for one, its_place in zip(batch, spooled, strict=True):
                self._attempt([one], [its_place])
        else:
            self._intake.withdraw([rows[place].id for place in put_off])
            for place in put_off:
                self._looks.add(spooled[place], rows[place])
        self._begun.difference_update(row.id for row in rows)

    def _refuse(self, incoming: Incoming, row: IntakeRow, error: GatewayError) -> None:
        self._pipeline.refuse(incoming, error, self._recorder([row]))

    def _recorder(self, rows: Sequence[IntakeRow]) -> Callable[[Connection, Mapping[int, Outcome]], None]:
        def record(connection: Connection, final: Mapping[int, Outcome]) -> None:
            self._intake.finish_all(
                [(rows[place].id, outcome.kind, outcome.reason) for place, outcome in final.items()],
                connection=connection,
            )

        return record

    def _release(self) -> None:
        """Let go of segments that are written to no more and whose every object is final."""
        for finished in self._reader.finished_segments():
            if finished.name not in self._waiting and self._is_done(finished):
                is_harmed = finished.is_damaged or finished.name in self._harmed
                self._end(finished.name, set_aside=is_harmed)
        for segment in self._reader.unreadable_segments:
            self._end(segment, set_aside=True)

    def _end(self, segment: str, *, set_aside: bool) -> None:
        with self._claims.claim(segment) as mine:
            if not mine or not (self._reader.set_aside if set_aside else self._reader.release)(segment):
                return
            # After the segment: rows without objects mean nothing, objects without rows would come again.
            self._intake.delete_for_segment(segment)
            self._claims.forget(segment)
        self._harmed.discard(segment)
        if set_aside:
            _log.error("spool.damaged", segment=segment, reason="set aside; objects in it may be lost: see quarantine")
            self._on_damage(segment)

    def _is_done(self, finished: FinishedSegment) -> bool:
        rows = self._intake.find(finished.source_keys)
        return all(key in rows and rows[key].state != _RECEIVED for key in finished.source_keys)


def _incoming(spooled: SpooledObject, row: IntakeRow, data_set: EncodedBytes) -> Incoming:
    header = spooled.header
    return Incoming(
        project=row.project,
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        data_set=data_set,
        source="dimse",
        calling_ae_title=header.calling_ae_title,
        peer_address=header.peer_address,
        received_at=header.received_at,
        called_ae_title=header.called_ae_title,
        sent_priority=header.priority,
    )
