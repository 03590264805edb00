"""Objects whose pixels are looked at take seconds each: they go one after the other, beside those that take none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.archive.database import Connection
from service.archive.intake import IntakeTable
from service.core.archived import IntakeRow
from service.core.fault_place import fault_place
from service.core.records import Incoming, Outcome
from service.ingest.pipeline import IngestPipeline
from service.ingest.segment_claim import SegmentClaims
from service.ingest.spool_reader import SpooledObject

_log = structlog.get_logger("annogate.ingest")


class LookLane:
    """A thread that takes objects through the pipeline which the worker put off, and holds their segments meanwhile.

    Parameters
    ----------
    open_object : reads an object; raises ``InstanceUnreadable`` where the disk has damaged it
    refuse_damaged : puts such an object into quarantine
    interrupt : breaks the look at hand off, without anything being decided
    trouble_s : before the next try when disk or index fail
    """

    def __init__(
        self,
        *,
        intake: IntakeTable,
        pipeline: IngestPipeline,
        claims: SegmentClaims,
        open_object: Callable[[SpooledObject, IntakeRow], Incoming],
        refuse_damaged: Callable[[SpooledObject, IntakeRow, InstanceUnreadable], None],
        interrupt: Callable[[], None],
        trouble_s: float,
    ) -> None:
        self._intake = intake
        self._pipeline = pipeline
        self._claims = claims
        self._open_object = open_object
        self._refuse_damaged = refuse_damaged
        self._interrupt = interrupt
        self._trouble_s = trouble_s
        self._waiting: set[str] = set()
        self._stopped = threading.Event()
        self._thread = ThreadPoolExecutor(1, "looks")

    def __contains__(self, source_key: str) -> bool:
        return source_key in self._waiting

    def add(self, spooled: SpooledObject, row: IntakeRow) -> None:
        """Put an object off; the caller holds its segment."""
        if not self._stopped.is_set() and self._claims.take(spooled.segment):
            self._waiting.add(spooled.source_key)
            self._thread.submit(self._process, spooled, row)

    def finish(self) -> None:
        """Wait until nothing is waiting."""
        self._thread.submit(lambda: None).result()

    def stop(self) -> None:
        """Break off; what was not finished stays in the spool as it was."""
        self._stopped.set()
        self._interrupt()
        self._thread.shutdown(cancel_futures=True)

    def _process(self, spooled: SpooledObject, row: IntakeRow) -> None:
        try:
            while not self._stopped.is_set() and not self._tried(spooled, row):
                self._stopped.wait(self._trouble_s)
        finally:
            self._waiting.discard(spooled.source_key)
            self._claims.let_go(spooled.segment)

    def _tried(self, spooled: SpooledObject, row: IntakeRow) -> bool:
        """Whether the object came to its end; trouble of disk or index is no end."""
        try:
            self._intake.begin([row.id])
            try:
                self._look(spooled, row)
            except GatewayError:
                self._intake.withdraw([row.id])
                raise
        except Exception as error:  # noqa: BLE001  # rows and spool say what is left to do; the next try does it
            if not self._stopped.is_set():
                _log.error("look.trouble", reason=str(error) if isinstance(error, GatewayError) else fault_place(error))
            return False
        return True

    def _look(self, spooled: SpooledObject, row: IntakeRow) -> None:
        def record(connection: Connection, final: Mapping[int, Outcome]) -> None:
            outcomes = [(row.id, outcome.kind, outcome.reason) for outcome in final.values()]
            self._intake.finish_all(outcomes, connection=connection)

        try:
            incoming = self._open_object(spooled, row)
        except InstanceUnreadable as error:
            self._refuse_damaged(spooled, row, error)
            return
        try:
            self._pipeline.process_batch([incoming], record)
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001  # one object must not hold up the others
            _log.error("look.failed", error=fault_place(error))
            refusal = GatewayError(f"Processing failed ({type(error).__name__})")
            self._pipeline.refuse(incoming, refusal, record)
