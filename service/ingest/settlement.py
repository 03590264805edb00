"""What becomes of a batch's objects in the index, in one transaction: added, held already, replaced, or in conflict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from dicom_nodes.errors import GatewayError
from service.archive.conflicts import ConflictTable
from service.archive.counters import CounterTable
from service.archive.database import Connection
from service.archive.instances import InstanceIndex
from service.archive.prepared import PreparedInstance
from service.archive.senders import Sender, SentInstance, note_sent
from service.archive.study_cleaning import StudyCleaningTable
from service.archive.study_routes import StudyRoute, StudyRouteTable
from service.archive.trash import held_in_trash
from service.archive.vault_store import VaultStore
from service.core.archived import AddKind, AddOutcome
from service.core.records import Incoming, Outcome, OutcomeKind
from service.errors import ContentConflict, InstanceInTrash, PatientMismatch
from service.ingest.project_rules import ConflictRule, ProjectRules
from service.ingest.step import Step

AfterAdd = Callable[[Sequence[tuple[Incoming, PreparedInstance]], Connection], None]
"""Told of what was added, in the transaction that adds it."""
_IN_TRASH = "The instance was deleted here and is in the trash"


class Settlement:
    """Decides over objects whose files are written; any number of processes may, over the same index.

    Parameters
    ----------
    projects : by name
    """

    def __init__(
        self,
        *,
        projects: Mapping[str, ProjectRules],
        index: InstanceIndex,
        vault: VaultStore,
        conflicts: ConflictTable,
        counters: CounterTable,
        cleaning: StudyCleaningTable,
        routes: StudyRouteTable | None = None,
        after_add: Sequence[AfterAdd] = (),
    ) -> None:
        self._projects = projects
        self._index = index
        self._vault = vault
        self._conflicts = conflicts
        self._counters = counters
        self._cleaning = cleaning
        self._routes = routes
        self._after_add = after_add

    def find_held(self, steps: Sequence[Step]) -> None:
        """Learn what the index holds already under the UIDs that objects go under, with one look a project.

        Raises
        ------
        GatewayError : what an object repeats has been removed meanwhile; it is to be offered again
        """
        by_project: dict[str, list[Step]] = defaultdict(list)
        for step in steps:
            if step.prepared is not None and not step.is_decided:
                by_project[step.incoming.project].append(step)
        for project, open_steps in by_project.items():
            held = self._index.find_all(project, [step.instance.sop_instance_uid for step in open_steps])
            for step in open_steps:
                step.held = held.get(step.instance.sop_instance_uid)
                if step.held is None and step.file is None:
                    # It was held when it was admitted, and has been removed for good since.
                    raise GatewayError("an instance was removed for good meanwhile; offer the object again")
                step.is_duplicate = (
                    step.held is not None and step.held.content_digest == step.instance.new.content_digest
                )

    def settle(self, steps: Sequence[Step], written: Sequence[Step], connection: Connection) -> list[str]:
        """Decide all that is open, in the transaction at hand; the blobs that were replaced."""
        obsolete: list[str] = []
        fresh = [step for step in written if step.held is None]
        added = self._index.add_all([step.instance for step in fresh], connection)
        found = list(zip(fresh, added, strict=True))
        for step in steps:
            if step.held is not None and not step.is_decided:
                kind = AddKind.DUPLICATE if step.is_duplicate else AddKind.CONFLICT
                found.append((step, AddOutcome(kind, step.held)))
        held = [one.instance.id for _, one in found if one.instance is not None and one.kind is not AddKind.ADDED]
        in_trash = held_in_trash(connection, held)
        for step, outcome in found:
            obsolete += self._take(step, outcome, in_trash, connection)
        for step in steps:
            if step.outcome is not None and step.outcome.kind is OutcomeKind.DROPPED:
                self._counters.add(step.incoming.project, step.dropped_as, connection=connection)
        note_sent(connection, [_sent(step) for step in steps if _is_kept_as_sent(step)])
        stored = [(step.incoming, step.instance) for step in steps if step.is_stored]
        for tell in self._after_add:
            tell(stored, connection)
        self._count_cleaned([step for step in steps if step.is_stored], connection)
        self._note_routes([step for step in steps if step.is_stored], connection)
        for step in steps:
            if step.report is not None and step.outcome is not None:
                self._cleaning.put(step.incoming.project, step.outcome.study_uid, step.report, connection)
        return obsolete

    def _note_routes(self, stored: Sequence[Step], connection: Connection) -> None:
        """Note what rules said of studies, once for each that is said the same of."""
        said = {
            (step.incoming.project, step.final.study_uid): step.decision
            for step in stored
            if step.decision.concerns_study
        }
        if self._routes is None:
            return
        for (project, study_uid), decision in said.items():
            route = StudyRoute(decision.priority or 0, decision.annotators)
            self._routes.put(project, study_uid, route, connection=connection)

    def _count_cleaned(self, stored: Sequence[Step], connection: Connection) -> None:
        """Count what was done to the elements of what is kept, by project and by study."""
        done: dict[str, Counter[str]] = defaultdict(Counter)
        by_study: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for step in stored:
            project, study_uid = step.incoming.project, step.final.study_uid
            counts = {"elements removed": step.elements_removed, "elements replaced": step.elements_replaced}
            done[project].update(counts)
            if self._projects[project].cleaner is not None:
                pixels = {f"pixels {step.pixel_outcome}": 1} if step.pixel_outcome else {}
                by_study[project][study_uid].update({"objects": 1} | counts | pixels)
        for project, amounts in done.items():
            if any(amounts.values()):
                self._counters.add_all(project, amounts, connection=connection)
        for project, studies in by_study.items():
            self._cleaning.count(project, studies, connection)

    def _take(self, step: Step, added: AddOutcome, in_trash: set[int], connection: Connection) -> list[str]:
        """What an answer of the index means for one object; the blob that was replaced, if one was."""
        held = added.instance
        if held is None:
            step.refusal = PatientMismatch("Study Instance UID belongs to another patient")
            return []
        uids = held.study_uid, held.series_uid, held.sop_instance_uid
        if added.kind is AddKind.ADDED:
            step.settle(OutcomeKind.ARCHIVED, *uids)
            return []
        if held.id in in_trash:
            # Somebody deleted it on purpose: a node that sends it again, by a rule of its own, does not undo that.
            self._leave_in_trash(step, added.kind, uids, connection)
            return []
        if added.kind is AddKind.DUPLICATE:
            # What differs is at most who the patient or what the study is: the way back learns it.
            self._vault.put_all(step.incoming.project, step.instance.new.vault, connection=connection)
            step.settle(OutcomeKind.DUPLICATE, *uids)
            return []
        replaces = step.on_conflict is ConflictRule.REPLACE and held.kind is step.instance.new.kind
        # What one reader marked no other puts something else in place of.
        if replaces and held.author == step.instance.new.author:
            return self._replace(step, connection)
        if replaces or step.on_conflict is ConflictRule.KEEP_FIRST:
            step.settle(OutcomeKind.KEPT_FIRST, *uids, reason="The UID is held with other content; the first one stays")
            self._list_conflict(step, connection, "kept-first")
        else:
            step.refusal = ContentConflict("The SOP Instance UID is held with other content")
            self._list_conflict(step, connection, "quarantined")
        return []

    def _leave_in_trash(self, step: Step, kind: AddKind, uids: tuple[str, str, str], connection: Connection) -> None:
        if kind is AddKind.DUPLICATE:
            code = InstanceInTrash.dimse_status
            step.outcome = Outcome(OutcomeKind.IN_TRASH, *uids, step.sop_class_uid, code, _IN_TRASH)
        else:
            step.refusal = InstanceInTrash(f"{_IN_TRASH}, with other content")
            self._list_conflict(step, connection, "quarantined")

    def _replace(self, step: Step, connection: Connection) -> list[str]:
        try:
            replaced = self._index.replace(step.instance, connection)
        except PatientMismatch:
            step.refusal = PatientMismatch("Study Instance UID belongs to another patient")
            return []
        now = replaced.instance
        step.settle(OutcomeKind.REPLACED, now.study_uid, now.series_uid, now.sop_instance_uid)
        self._list_conflict(step, connection, "replaced")
        return [replaced.old_blob_key] if replaced.old_blob_key else []

    def _list_conflict(self, step: Step, connection: Connection, action: str) -> None:
        self._conflicts.add(
            step.incoming.project,
            step.instance.sop_instance_uid,
            action,
            step.incoming.calling_ae_title,
            connection=connection,
        )


def _is_kept_as_sent(step: Step) -> bool:
    """Whether a node sent an object that is kept with that content, by it or by somebody before it."""
    kept = (OutcomeKind.ARCHIVED, OutcomeKind.REPLACED, OutcomeKind.DUPLICATE, OutcomeKind.OWN_OBJECT)
    return step.incoming.source == "dimse" and step.outcome is not None and step.outcome.kind in kept


def _sent(step: Step) -> SentInstance:
    incoming = step.incoming
    sender = Sender(incoming.calling_ae_title, incoming.peer_address)
    took_place = step.final.kind is OutcomeKind.REPLACED
    return SentInstance(incoming.project, step.final.sop_instance_uid, sender, took_place)
