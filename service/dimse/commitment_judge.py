"""Whether instances are kept (PS3.4 J.3.3): the truth from the archive, asked by original UIDs or by served ones.

An instance is committed when its row is in the index, which comes after its blob is durable, and its blob is there. One
that was discarded, is in quarantine, or was left out by a rule is no instance that we have; nor is, to one peer, what
only others sent, so that nobody can find out by asking what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicom_nodes.commitment import FailureReason, Reference
from service.archive.held_instances import HeldInstance, HeldInstances
from service.archive.senders import SentBy
from service.errors import InstanceNotFound

PendingSince = Callable[[str], float | None]
"""When the first of a project's objects was received that is somewhere on its way; None when none is."""

SKEW_S = 5.0
"""By how much the clocks of the hosts that receive may differ."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which of the instances are kept."""

    committed: tuple[Reference, ...] = field(repr=False)
    failed: tuple[tuple[Reference, int], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ProjectAnswers:
    """What the judge knows of a project.

    Parameters
    ----------
    served_uid : the UID under which an original one is served; None where objects are kept as they come
    dropped : SOP classes that the project does not take
    elsewhere : other projects that its rules may take objects to
    """

    served_uid: Callable[[str], str] | None
    dropped: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()


class CommitmentJudge:
    """Answers for the instances of every project.

    Parameters
    ----------
    path_of : where a blob lies
    pending_since : in the order in which an object moves, so that none passes by unseen between two looks
    storage_classes : every SOP class that the node takes
    """

    def __init__(
        self,
        *,
        projects: Mapping[str, ProjectAnswers],
        held: HeldInstances,
        path_of: Callable[[str], Path],
        pending_since: Sequence[PendingSince],
        storage_classes: frozenset[str],
    ) -> None:
        self._projects = projects
        self._held = held
        self._path_of = path_of
        self._pending_since = pending_since
        self._storage_classes = storage_classes

    def judge(
        self,
        project: str,
        references: Sequence[Reference],
        asked_at: float,
        *,
        sent_by: SentBy | None,
        final: bool = False,
    ) -> Judgement | None:
        """Say which of the instances are kept; None while one that is missing may still be on its way.

        Parameters
        ----------
        asked_at : what was received until then counts; a sender asks after it has sent
        sent_by : whose instances may be asked for, None for everybody's; another's is no such instance
        final : wait no longer; what is missing and may still come is then a processing failure, to be asked for again
        """
        # First what is on its way, then what is there: an object that moves meanwhile is seen in one place at least.
        is_pending = self._is_pending(project, asked_at)
        judged = self._verdicts(project, references, sent_by)
        missing = FailureReason.NO_SUCH_INSTANCE
        if is_pending and missing in judged.values():
            if not final:
                return None
            judged = {
                reference: FailureReason.PROCESSING_FAILURE if reason is missing else reason
                for reference, reason in judged.items()
            }
        return Judgement(
            tuple(reference for reference, reason in judged.items() if reason is None),
            tuple((reference, int(reason)) for reference, reason in judged.items() if reason is not None),
        )

    def _is_pending(self, project: str, until: float) -> bool:
        oldest = (since(project) for since in self._pending_since)
        return any(at is not None and at <= until + SKEW_S for at in oldest)

    def _verdicts(
        self, project: str, references: Sequence[Reference], sent_by: SentBy | None
    ) -> dict[Reference, FailureReason | None]:
        """None for what is kept, by the project that was called or by one that its rules took it to."""
        judged = self._verdicts_in(project, references, sent_by)
        for other in sorted(self._projects[project].elsewhere):
            missing = [one for one, reason in judged.items() if reason is FailureReason.NO_SUCH_INSTANCE]
            judged |= self._verdicts_in(other, missing, sent_by)
        return judged

    def _verdicts_in(
        self, project: str, references: Sequence[Reference], sent_by: SentBy | None
    ) -> dict[Reference, FailureReason | None]:
        """None for what one project keeps."""
        answers = self._projects[project]
        served = {reference: self.served_uid(project, reference.sop_instance_uid) for reference in references}
        # Results and annotations go by the same UID outside as inside.
        uids = {*served.values(), *(reference.sop_instance_uid for reference in references)}
        held = self._held.of(project, sorted(uids), sent_by)
        return {
            reference: self._verdict(
                reference, answers, held.get(served[reference]) or held.get(reference.sop_instance_uid)
            )
            for reference in references
        }

    def served_uid(self, project: str, uid: str) -> str:
        """The UID under which a project serves what came under another."""
        serve = self._projects[project].served_uid
        return uid if serve is None else serve(uid)

    def _verdict(
        self, reference: Reference, answers: ProjectAnswers, held: HeldInstance | None
    ) -> FailureReason | None:
        if held is None:
            taken = reference.sop_class_uid in self._storage_classes - answers.dropped
            return FailureReason.NO_SUCH_INSTANCE if taken else FailureReason.CLASS_NOT_SUPPORTED
        if held.sop_class_uid != reference.sop_class_uid:
            return FailureReason.CLASS_INSTANCE_CONFLICT
        return None if self._is_whole(held) else FailureReason.PROCESSING_FAILURE

    def _is_whole(self, held: HeldInstance) -> bool:
        try:
            return self._path_of(held.blob_key).stat().st_size == held.blob_size
        except (OSError, InstanceNotFound):
            return False
