"""Runs of annotators that are performed elsewhere: claimed, kept, given up, and done with what was stored for them.

Who performs a run stores annotations like anybody, and names them in Output Information. With COMPLETED they become the
results of the run, in the transaction that ends it: seen, released and delivered like those of the gateway's own
annotators. What was stored and is not named stays an annotation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.archive.annotation_versions import AnnotationVersions
from service.archive.database import Connection
from service.archive.instances import InstanceIndex
from service.archive.releases import ReleaseTable
from service.archive.result_versions import SUPERSEDED, newer_is_done, shown_of_earlier
from service.archive.runs import RunTable
from service.archive.stored_outputs import StoredOutput, lock_outputs, lock_study_of_run, take_as_results
from service.core import workitem as tags
from service.core.archived import RunRow, RunState
from service.core.deliveries import ANY_FORM
from service.core.records import ObjectKind
from service.core.search import Attributes
from service.core.view import EVERYTHING, View
from service.core.workitem import Workitem, digest_of, first, items
from service.core.workitem_output import NamedInstance, in_order_of_leaving, output_of
from service.core.workitem_states import NOT_AT_END, WorkitemRefused

GIVEN_UP: Final = "whoever performed its work item gave it up"
_LONGEST_REASON: Final = 400
_NAMED_AT_MOST: Final = 10
_CODE_MEANING: Final = "00080104"


@dataclass(frozen=True, slots=True)
class Performer:
    """Who brings a work item to its end.

    Parameters
    ----------
    stores_as : under which what they store over the web is kept as theirs; "" for nobody who is known
    view : what they see
    """

    stores_as: str = ""
    view: View = EVERYTHING


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ends, in words for whoever looks at its study."""

    state: RunState
    reason: str = ""
    summary: str = ""


class ClaimedRuns:
    """Keeps a run where its performer brings its work item, in the transactions of the worklist.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    claim_s : a run that was claimed and not touched for so long is somebody else's
    on_ended : told of each run that ended, when that is stored
    """

    def __init__(
        self,
        *,
        runs: RunTable,
        index: InstanceIndex,
        releases: ReleaseTable,
        versions: AnnotationVersions,
        clock: Callable[[], float],
        claim_s: float,
        on_ended: Callable[[RunRow], object] = lambda _: None,
    ) -> None:
        self._runs = runs
        self._index = index
        self._releases = releases
        self._versions = versions
        self._clock = clock
        self._claim_s = claim_s
        self._on_ended = on_ended

    def lock(self, project: str, workitem_uid: str, connection: Connection) -> None:
        """Keep others from what the end of a run rests on; before its work item is locked."""
        lock_study_of_run(connection, project, workitem_uid)

    def claim(self, held: Workitem, transaction_uid: str, connection: Connection) -> None:
        """Take the run of a work item, where it is one's.

        Raises
        ------
        WorkitemRefused : somebody else has it
        """
        if held.run_id is None:
            return
        if not self._runs.claim(held.run_id, owner_of(transaction_uid), self._claim_s, connection):
            raise WorkitemRefused(0xC302, "its run is taken")

    def renew(self, held: Workitem, transaction_uid: str, connection: Connection) -> None:
        """Hold it for longer."""
        if held.run_id is not None:
            self._runs.renew(held.run_id, owner_of(transaction_uid), self._claim_s, connection=connection)

    def cancel(self, held: Workitem, reason: str, connection: Connection) -> None:
        """Stop a run because somebody asked for that."""
        if held.run_id is not None:
            self._runs.cancel(held.run_id, reason, connection)

    def given_up(self, held: Workitem) -> RunOutcome:
        """How a run ends whose performer gives it up: as failed, with their reason."""
        said = _reason(held.attributes)
        return RunOutcome(RunState.FAILED, f"{GIVEN_UP}: {said}" if said else GIVEN_UP)

    def completed(self, held: Workitem, performer: Performer, connection: Connection) -> RunOutcome:
        """Make what a performer stored, and names, the results of their run; how it ends.

        A reader who performs one stays the author of what they marked: it is nobody's result, and is not released.

        Raises
        ------
        WorkitemRefused : something is named that may not become a result of the run
        """
        run = None if held.run_id is None else self._runs.get(held.run_id, connection)
        if run is None:
            return RunOutcome(RunState.DONE)
        named = in_order_of_leaving(output_of(held.attributes))
        stored = lock_outputs(connection, run.project, [one.sop_instance_uid for one in named])
        _refuse_others(named, stored, run, performer)
        superseded = newer_is_done(connection, run)
        if stored and performer.view.reader is None:
            uids = list(dict.fromkeys(one.sop_instance_uid for one in named))
            take_as_results(connection, run, list(stored.values()), self._clock())
            self._show_newest(run, uids, connection, superseded=superseded)
        summary = _summary(stored.values())
        return (
            RunOutcome(RunState.REFUSED, SUPERSEDED, summary) if superseded else RunOutcome(RunState.DONE, "", summary)
        )

    def finish(
        self, held: Workitem, transaction_uid: str, outcome: RunOutcome, connection: Connection
    ) -> RunRow | None:
        """End the run; None where the work item stands for none, or what was given up had ended already.

        Raises
        ------
        WorkitemRefused : the run is not theirs any more, so that nothing may come of it
        """
        if held.run_id is None:
            return None
        ended = self._runs.finish(
            held.run_id,
            owner_of(transaction_uid),
            outcome.state,
            reason=outcome.reason,
            summary=outcome.summary,
            connection=connection,
        )
        if not ended and outcome.state is not RunState.FAILED:
            raise WorkitemRefused(0xC300, "its run is held by somebody else, or has ended")
        return self._runs.get(held.run_id, connection) if ended else None

    def tell(self, ended: RunRow | None) -> None:
        """Tell of a run whose end is stored."""
        if ended is not None:
            self._on_ended(ended)

    def _show_newest(self, run: RunRow, uids: Sequence[str], connection: Connection, *, superseded: bool) -> None:
        """Show and note for release what is new, in place of what earlier versions show."""
        if superseded:
            self._index.hide(run.project, uids, connection)
            return
        self._index.hide(run.project, shown_of_earlier(connection, run), connection)
        self._versions.move(self._versions.add_of_run(run, connection), uids, connection)
        self._releases.open(
            project=run.project,
            study_uid=run.study_uid,
            annotator=run.annotator,
            objects={ANY_FORM: uids},
            series_uid=run.series_uid,
            run_id=run.id,
            version=run.version,
            connection=connection,
        )


def owner_of(transaction_uid: str) -> str:
    """How a lease on a run names whoever claimed its work item."""
    return f"ups:{digest_of(transaction_uid)[:56]}"


def _refuse_others(
    named: Sequence[NamedInstance], stored: Mapping[str, StoredOutput], run: RunRow, performer: Performer
) -> None:
    """Refuse an output that is not all the performer's own.

    Raises
    ------
    WorkitemRefused : says of each what is in the way
    """
    faults = []
    for one in named:
        fault = _fault(one, stored.get(one.sop_instance_uid), run, performer)
        if fault:
            faults.append(f"{one.sop_instance_uid} {fault}")
    if faults:
        words = "; ".join(faults[:_NAMED_AT_MOST])
        raise WorkitemRefused(NOT_AT_END, f"an output that may be the run's result ({words})")


def _fault(named: NamedInstance, stored: StoredOutput | None, run: RunRow, performer: Performer) -> str:
    """Why an instance may not be the output of a run that somebody performs; "" where it may."""
    held = stored if stored is not None and stored.visible and stored.study_row_id == run.study_row_id else None
    reader = performer.view.reader
    if reader is not None:
        own = held is not None and held.kind is ObjectKind.ANNOTATION and held.author == reader != ""
        # Of others' they learn nothing, so that all is said alike.
        return "" if own else "is no annotation of yours in the study"
    if held is None or named.study_uid not in ("", run.study_uid):
        return "is not held in the study"
    in_the_way = {
        "is an image": held.kind is ObjectKind.IMAGE,
        "is a result already": held.kind is ObjectKind.RESULT,
        "is a reader's annotation": held.author != "",
        "was not stored by you over STOW-RS": not held.stored_by or held.stored_by != performer.stores_as,
        "stands in another series": named.series_uid not in ("", held.series_uid),
        "is of another SOP class": named.sop_class_uid != held.sop_class_uid,
    }
    return next((words for words, holds in in_the_way.items() if holds), "")


def _summary(outputs: Iterable[StoredOutput]) -> str:
    """What was stored, in modalities: "1 SEG, 1 SR"."""
    counted = Counter(output.modality or "object" for output in outputs)
    return ", ".join(f"{count} {modality}" for modality, count in sorted(counted.items()))


def _reason(attributes: Attributes) -> str:
    """Why a work item was given up, in the words of whoever did: Reason For Cancellation, or that of the code."""
    for progress in items(attributes, tags.PROGRESS):
        codes = items(progress, tags.DISCONTINUATION_REASON)
        words = first(progress, tags.REASON_FOR_CANCELLATION) or (first(codes[0], _CODE_MEANING) if codes else "")
        if words:
            return " ".join(words.split())[:_LONGEST_REASON]
    return ""
