"""One object's way from bytes to the archive or to quarantine: parse, project, de-identify, index.

Bad input never raises: it ends in quarantine with its reason. What does raise is the house's own trouble (no room, the
index locked, keys gone): then nothing was decided, and the object is to be offered again.

Order makes a kill harmless: a blob is durable before its row, a quarantined file before its row, and everything that
an object changes in the index is one transaction. What a kill leaves is a blob without a row, which `BlobSweep`
removes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import structlog

from dicom_nodes.errors import GatewayError, InstanceUnreadable, StorageExhausted
from service.archive.database import Connection, Database
from service.archive.prepared import PreparedInstance
from service.core.blob_key import blob_key
from service.core.condensed import DEFAULT_HELD
from service.core.encoded_bytes import Keep
from service.core.fault_place import fault_place
from service.core.ports import BlobStore
from service.core.records import Incoming, NewInstance, ObjectKind, Outcome, OutcomeKind, StoredBlob
from service.deident.pixels.pixel_outcome import Region
from service.errors import IdentityNotRemovable, InstanceNotFound, KeysMissing
from service.ingest.annotation_check import Judge, check_annotation
from service.ingest.object_classes import ANNOTATIONS, marks_a_study
from service.ingest.parsing import ParsedInstance, parse, text_of
from service.ingest.pixel_case import PixelCase
from service.ingest.pixel_step import case_of
from service.ingest.project_rules import ProjectRules
from service.ingest.quarantine import Quarantine
from service.ingest.routing import Admitted, Router
from service.ingest.routing_rules import Decision, RoutingRules
from service.ingest.settlement import Settlement
from service.ingest.step import Step

Record = Callable[[Connection, Mapping[int, Outcome]], None]
"""Notes final outcomes, by place in the batch, in the transaction that makes them so."""

OnFaults = Callable[[str, str, Sequence[str]], None]

_HOUSE_TROUBLE = (StorageExhausted, KeysMissing)  # and the base itself: a fault that nobody foresaw
_LARGEST_VERSION = 900_000_000

_log = structlog.get_logger("annogate.ingest")


class IngestPipeline:
    """Takes objects in; any number of threads and processes may, over the same archive.

    Parameters
    ----------
    projects : by name
    number : gives a random number below its argument, for blob keys that no two attempts share
    on_stored : called after instances were added; wakes who waits for studies to become complete
    keep : keeps a data set that came deflated
    header_limit : what may be held of an object beside its pixels, in bytes
    judge : decides over annotation objects; None lets every one in
    on_faults : told of annotation objects that were stored with faults: project, SOP Instance UID, names of rules
    """

    def __init__(
        self,
        *,
        projects: Mapping[str, ProjectRules],
        database: Database,
        settlement: Settlement,
        blobs: BlobStore,
        quarantine: Quarantine,
        router: Router,
        number: Callable[[int], int],
        on_stored: Callable[[], None] = lambda: None,
        keep: Keep = b"".join,
        header_limit: int = DEFAULT_HELD,
        routing: RoutingRules | None = None,
        judge: Judge | None = None,
        on_faults: OnFaults = lambda *_: None,
    ) -> None:
        self._judge = judge
        self._on_faults = on_faults
        self._routing = routing or RoutingRules({})
        self._projects = projects
        self._database = database
        self._settlement = settlement
        self._blobs = blobs
        self._quarantine = quarantine
        self._router = router
        self._number = number
        self._on_stored = on_stored
        self._keep = keep
        self._header_limit = header_limit

    def process(self, incoming: Incoming) -> Outcome:
        """Take one object in.

        Raises
        ------
        GatewayError : the house's own trouble; nothing was decided
        """
        return self.process_batch([incoming])[0]

    def process_batch(
        self, batch: Sequence[Incoming], record: Record | None = None, put_off: Callable[[int], None] | None = None
    ) -> list[Outcome]:
        """Take several objects in with syncs and transaction shared; outcomes in order.

        Parameters
        ----------
        put_off : told the place of each object whose pixels are to be looked at, which takes seconds; nothing is done
            with those. Without it they are looked at here

        Raises
        ------
        GatewayError : the house's own trouble; objects that ``record`` was not told of are to be offered again
        """
        return self.begin_batch(batch, record, put_off)()

    def begin_batch(
        self, batch: Sequence[Incoming], record: Record | None = None, put_off: Callable[[int], None] | None = None
    ) -> Callable[[], list[Outcome]]:
        """As ``process_batch``, as far as it takes the processor; what is returned waits for the disk and decides.

        That has to be called, once, in any thread; nothing is durable or found before. Batches of one sender are
        finished in the order in which they were begun. What marks a study is begun when the study is found, the rest of
        its own batch included.

        Raises
        ------
        GatewayError : the house's own trouble; nothing was decided
        """
        first, *later = _rounds(batch)
        looks = put_off is None
        finish_first = self._begin_round(batch, first, record, looks=looks)

        def finish() -> list[Outcome]:
            steps = finish_first()
            for places in later:
                steps |= self._begin_round(batch, places, record, looks=looks)()
            ended = [(place, steps[place]) for place in sorted(steps)]
            for place, step in ended:
                if step.is_put_off and put_off is not None:
                    put_off(place)
            return [step.final for _, step in ended if not step.is_put_off]

        return finish

    def _begin_round(
        self, batch: Sequence[Incoming], places: Sequence[int], record: Record | None, *, looks: bool
    ) -> Callable[[], dict[int, Step]]:
        """Begin with those objects of a batch that need none of each other."""
        chosen = [batch[place] for place in places]
        told = None if record is None else _record_at(record, places)
        persons = self._learn_persons(chosen)
        steps = [self._prepare(incoming, looks=looks) for incoming in chosen]
        written, make_durable = self._write(steps)

        def finish() -> dict[int, Step]:
            self._settle(steps, written, make_durable, told, persons)
            self._hold(steps, told)
            self._tell([step.final for step in steps if not step.is_put_off])
            self._tell_faults(steps)
            return dict(zip(places, steps, strict=True))

        return finish

    def process_released(self, incoming: Incoming, regions: Sequence[Region] | None = None) -> Outcome:
        """Take an object in that a person released; when it fails again nothing changes in quarantine.

        Parameters
        ----------
        regions : what the person wants blackened, none where they saw nothing in its pixels; None when they did not
            decide about its pixels

        Raises
        ------
        GatewayError : the house's own trouble; nothing was decided
        """
        persons = self._learn_persons([incoming])
        step = self._prepare(incoming, regions=regions)
        self._store([step], None, persons)
        if step.refusal is not None:
            return step.refused_as("")
        self._tell([step.final])
        self._tell_faults([step])
        return step.final

    def process_series(self, project: str, series: Sequence[Callable[[], Incoming]]) -> Iterator[Outcome]:
        """Take in the images of one series that waited for each other, without the face that they show together.

        Parameters
        ----------
        series : give the images; each is read again when its turn comes

        Raises
        ------
        IdentityNotRemovable : the face cannot be found; says why. Nothing was decided
        GatewayError : the house's own trouble; what was not yielded is to be offered again
        """
        rules = self._projects.get(project)
        if rules is None or rules.faces is None:
            raise IdentityNotRemovable("The project's profile does not remove faces")
        images = [self._parsed(read()) for read in series]
        if all(self._router.is_held(rules, image) for image in images):
            # A kill came between this and their end in quarantine. None of them may be stored with its face.
            yield from (Outcome(OutcomeKind.DUPLICATE, sop_class_uid=image.sop_class_uid) for image in images)
            return
        for read, face in zip(series, rules.faces.find(images), strict=True):
            incoming = read()
            persons = self._learn_persons([incoming])
            step = self._prepare(incoming, face=face)
            self._store([step], None, persons)
            if step.refusal is not None:
                yield step.refused_as("")
                continue
            self._tell([step.final])
            yield step.final

    def refuse(self, incoming: Incoming, error: GatewayError, record: Record | None = None) -> Outcome:
        """Put an object into quarantine without looking at it: it ended whatever process did."""
        step = Step(incoming, incoming.sop_class_uid, refusal=error)
        self._hold([step], record)
        self._tell([step.final])
        return step.final

    def picture(self, incoming: Incoming, frame: int) -> bytes:
        """One frame of an object as PNG, for a person who decides on it.

        Raises
        ------
        GatewayError : it cannot be drawn; says why
        """
        pixels = self._rules(incoming).pixels
        if pixels is None:
            raise IdentityNotRemovable("The project's profile does not clean pixels")
        return pixels.picture(self._parsed(incoming), frame)

    def case(self, incoming: Incoming) -> PixelCase:
        """What a person is told of an object's pixels before they look.

        Raises
        ------
        GatewayError : the object cannot be read
        """
        return case_of(self._parsed(incoming))

    def _prepare(
        self,
        incoming: Incoming,
        *,
        looks: bool = True,
        regions: Sequence[Region] | None = None,
        face: Sequence[Region] | None = None,
    ) -> Step:
        """Everything that needs neither disk nor transaction."""
        step = Step(incoming, incoming.sop_class_uid)
        try:
            rules = self._rules(incoming)
            step.on_conflict = rules.on_conflict
            if incoming.sop_class_uid in rules.drop_sop_classes:
                step.drop()
                return step
            parsed = self._parsed(incoming)
            step.sop_class_uid = parsed.sop_class_uid
            decision = self._routing.decide(incoming, parsed)
            if decision.discarded_by:
                step.leave_out(decision)
                return step
            rules = self._follow(step, decision)
            if parsed.sop_class_uid in rules.drop_sop_classes:
                step.drop()
            elif (own := self._router.own_object(rules, parsed)) is not None:
                step.settle(OutcomeKind.OWN_OBJECT, own.study_uid, own.series_uid, own.sop_instance_uid)
            elif not looks and rules.pixels is not None and rules.pixels.must_look(parsed):
                step.is_put_off = True
            else:
                admitted = self._router.admit(rules, parsed, incoming.data_set, regions, face)
                step.faults = self._check(rules, parsed, admitted, incoming)
                self._admit(step, admitted)
        except GatewayError as error:
            if isinstance(error, _HOUSE_TROUBLE) or type(error) is GatewayError:
                raise
            step.refusal = error
        except Exception as error:  # noqa: BLE001  # arbitrary bytes from outside: quarantine, never a dead worker
            _log.error("object.failed", project=incoming.project, error=fault_place(error))
            step.refusal = InstanceUnreadable(f"Processing failed ({type(error).__name__})")
        return step

    def _check(
        self, rules: ProjectRules, parsed: ParsedInstance, admitted: Admitted, incoming: Incoming
    ) -> tuple[str, ...]:
        """The rules that an annotation object breaks; of what is held already nobody asks again."""
        if self._judge is None or not marks_a_study(parsed.sop_class_uid) or self._router.holds(rules, admitted):
            return ()
        return check_annotation(self._judge, rules, admitted, incoming, is_whole=not parsed.aside)

    def _follow(self, step: Step, decision: Decision) -> ProjectRules:
        """Take an object where the rules say, and note what else they say; the rules of the project that it is in."""
        step.decision = decision
        if decision.project is not None:
            step.incoming = replace(step.incoming, project=decision.project)
        rules = self._rules(step.incoming)
        step.on_conflict = rules.on_conflict
        return rules

    def _parsed(self, incoming: Incoming) -> ParsedInstance:
        return parse(
            incoming.data_set,
            incoming.transfer_syntax_uid,
            sop_class_uid=incoming.sop_class_uid,
            header_limit=self._header_limit,
            keep=self._keep,
        )

    def _rules(self, incoming: Incoming) -> ProjectRules:
        rules = self._projects.get(incoming.project)
        if rules is None:
            raise InstanceNotFound("There is no project under the AE title that was called")
        return rules

    def _admit(self, step: Step, admitted: Admitted) -> None:
        """Work out the index's row."""
        project = step.incoming.project
        uid = text_of(admitted.header, 0x00080018)
        key = blob_key(project, uid, 1 + self._number(_LARGEST_VERSION))
        new = NewInstance(
            project=project,
            kind=admitted.kind,
            header=admitted.header,
            transfer_syntax_uid=admitted.transfer_syntax_uid,
            content_digest=admitted.content_digest,
            received_at=step.incoming.received_at,
            blob=StoredBlob(key, 0, 0) if admitted.file is None else admitted.file.blob(key),
            vault=admitted.vault,
            patient_digest=admitted.patient_digest,
            aside=admitted.aside,
            author=step.incoming.author if admitted.kind is ObjectKind.ANNOTATION else "",
            stored_by=step.incoming.stored_by if admitted.kind is ObjectKind.ANNOTATION else "",
        )
        step.prepared = PreparedInstance.of(new)
        step.file = admitted.file
        step.elements_removed, step.elements_replaced = admitted.elements_removed, admitted.elements_replaced
        step.report, step.pixel_outcome = admitted.report, admitted.pixel_outcome

    def _learn_persons(self, batch: Sequence[Incoming]) -> dict[str, str]:
        """By project, the revision of which identifiers are the same person's that cleaning follows from now on."""
        named = (self._routing.targets(incoming.project) for incoming in batch)
        names = set(self._projects) & set().union(*named)
        return {name: self._persons_revision(name) for name in names}

    def _persons_revision(self, project: str) -> str:
        cleaner = self._projects[project].cleaner
        return "" if cleaner is None else cleaner.learn_persons()

    def _refuse_outdated(self, persons: Mapping[str, str]) -> None:
        """Let nothing in under a pseudonym that a person had before an import that ended meanwhile."""
        if any(self._persons_revision(name) != revision for name, revision in persons.items()):
            raise GatewayError("which identifiers are the same patient's was changed meanwhile; offer the object again")

    def _store(self, steps: Sequence[Step], record: Record | None, persons: Mapping[str, str]) -> None:
        """Blobs first, then one transaction for everything that the index learns."""
        self._settle(steps, *self._write(steps), record, persons)

    def _write(self, steps: Sequence[Step]) -> tuple[list[Step], Callable[[], object]]:
        """Write the blobs that may be needed; of which steps, and what makes them durable."""
        try:
            self._settlement.find_held(steps)
            written = [step for step in steps if step.needs_blob]
            return written, self._blobs.begin_many([(step.blob_key, step.parts) for step in written])
        except BaseException:
            self._report_again(steps)
            raise

    def _settle(
        self,
        steps: Sequence[Step],
        written: Sequence[Step],
        make_durable: Callable[[], object],
        record: Record | None,
        persons: Mapping[str, str],
    ) -> None:
        """Wait for the disk, then decide in one transaction."""
        obsolete: list[str] = []
        try:
            make_durable()
            if any(step.refusal is None and not step.is_put_off for step in steps):
                with self._database.write() as connection:
                    self._refuse_outdated(persons)
                    obsolete = self._settlement.settle(steps, written, connection)
                    _record(record, steps, connection)
        except BaseException:
            self._delete([step.blob_key for step in written])
            self._report_again(steps)
            raise
        self._report_again([step for step in steps if step.refusal is not None])
        self._delete([step.blob_key for step in written if not step.is_stored] + obsolete)

    def _report_again(self, steps: Sequence[Step]) -> None:
        """Have told of series again what was told of objects that are not stored."""
        for project in {step.incoming.project for step in steps if step.report is not None}:
            if (cleaner := self._projects[project].cleaner) is not None:
                cleaner.report_again()

    def _hold(self, steps: Sequence[Step], record: Record | None) -> None:
        refused = [(step, step.refusal) for step in steps if step.refusal is not None]
        for step, _ in refused:
            self._quarantine.keep(step.incoming)
        if not refused:
            return
        with self._database.write() as connection:
            for step, error in refused:
                step.outcome = step.refused_as(self._quarantine.enter(step.incoming, error, connection))
            _record(record, steps, connection, refused=True)

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._blobs.delete(key)

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        kinds = Counter(outcome.kind for outcome in outcomes)
        _log.info("objects.processed", **{str(kind): count for kind, count in sorted(kinds.items())})
        for outcome in outcomes:
            if outcome.kind is OutcomeKind.QUARANTINED:
                _log.warning("object.quarantined", id=outcome.quarantine_id, reason=outcome.reason)
        if kinds[OutcomeKind.ARCHIVED] or kinds[OutcomeKind.REPLACED]:
            self._on_stored()

    def _tell_faults(self, steps: Sequence[Step]) -> None:
        """Say of what was stored which rules it breaks."""
        for step in steps:
            if step.faults and step.is_stored:
                project, uid = step.incoming.project, step.final.sop_instance_uid
                _log.info("annotation.faults", project=project, instance=uid, rules=list(step.faults))
                self._on_faults(project, uid, step.faults)


def _rounds(batch: Sequence[Incoming]) -> list[list[int]]:
    """The places of a batch, each round of them about former ones at most; at least one round, if of nothing."""
    rounds: list[list[int]] = [[], [], []]
    for place, incoming in enumerate(batch):
        kind = incoming.sop_class_uid
        rounds[1 if kind in ANNOTATIONS else 2 if not kind or marks_a_study(kind) else 0].append(place)
    return [places for places in rounds if places] or [[]]


def _record_at(record: Record, places: Sequence[int]) -> Record:
    """Tells by place in the batch what is told by place in a round of it."""

    def recorded(connection: Connection, final: Mapping[int, Outcome]) -> None:
        record(connection, {places[place]: outcome for place, outcome in final.items()})

    return recorded


def _record(record: Record | None, steps: Sequence[Step], connection: Connection, *, refused: bool = False) -> None:
    """Tell of what became final in this transaction: first all that was settled, then what went into quarantine."""
    if record is None:
        return
    final = {
        place: step.outcome
        for place, step in enumerate(steps)
        if step.outcome is not None and (step.refusal is not None) is refused
    }
    if final:
        record(connection, final)
