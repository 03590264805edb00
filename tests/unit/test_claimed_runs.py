"""Whoever performs an annotator's run makes what they stored its results, and nothing of anybody else's."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dicom_nodes.errors import GatewayError
from service.archive.database import Database
from service.archive.instance_batch import InstanceBatch
from service.archive.runs import RunTable
from service.archive.trash import TrashTable
from service.core.archived import InstanceRow, RunRow, RunState
from service.core.deletion import DeletedPlace
from service.core.deliveries import ReleaseRow, ReleaseState
from service.core.records import NewInstance, ObjectKind
from service.core.view import EVERYTHING, View
from service.core.workitem import GLOBAL_SUBSCRIPTION, Workitem, WorkitemState
from service.core.workitem_output import NamedInstance, in_order_of_leaving
from service.core.workitem_states import WorkitemRefused
from tests.archived import SetClock, new_instance
from tests.datasets import ct_slice
from tests.referring_objects import CT, GSPS, KO, SEG, SR
from tests.worklist_house import WorklistHouse, element, given_up, performed

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = list(WorkitemState)
STUDY, OTHER_STUDY, IMAGES = "1.2.3", "1.2.4", "1.2.3.1"
LOCK, MODEL = "1.9.77", "model"
ANNA, BERT = View("anna"), View("bert")
PATIENCE_S = 60.0
CLASSES = {"SEG": SEG, "SR": SR, "KO": KO, "CT": CT}


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def house(tmp_path: Path, clock: SetClock) -> Iterator[WorklistHouse]:
    """Two studies of one image each, and an annotator who is elsewhere."""
    with Database.open(tmp_path / "index.sqlite") as database:
        house = WorklistHouse(database, clock)
        for study_uid in (STUDY, OTHER_STUDY):
            house.index.add(new_instance(ct_slice(study_uid=study_uid, series_uid=f"{study_uid}.1")))
        yield house


def made(modality: str, number: int, study_uid: str = STUDY, **changes: Any) -> NewInstance:
    """An object that the model stored, unless the changes say otherwise."""
    header = ct_slice(number, study_uid=study_uid, series_uid=f"{study_uid}.{number}")
    header.Modality, header.SOPClassUID = modality, CLASSES[modality]
    return new_instance(header, **{"kind": ObjectKind.ANNOTATION, "stored_by": MODEL} | changes)


def stored(house: WorklistHouse, modality: str, number: int, study_uid: str = STUDY, **changes: Any) -> InstanceRow:
    row = house.index.add(made(modality, number, study_uid, **changes)).instance
    assert row is not None
    return row


def naming(*rows: InstanceRow) -> dict[str, Any]:
    """What a performer says at the end that names these instances as output."""
    done = performed()
    outputs = []
    for row in rows:
        (output,) = performed(row.study_uid, row.series_uid, row.sop_instance_uid)["00741216"]["Value"][0]["00404033"][
            "Value"
        ]
        output["00081199"]["Value"][0]["00081150"] = element("UI", row.sop_class_uid)
        outputs.append(output)
    done["00741216"]["Value"][0]["00404033"] = element("SQ", *outputs)
    return done


def claimed(house: WorklistHouse, digest: str = "d1", annotator: str = "chest") -> tuple[RunRow, Workitem]:
    """A run of the annotator on the images that the model has claimed."""
    study = house.index.study("default", STUDY)
    assert study is not None
    run, _ = house.runs.enqueue("default", study.id, annotator, IMAGES, digest, performer="ups")
    with house.database.write() as connection:
        workitem = house.table.of_run(run.id, connection)
    assert workitem is not None
    house.desk.change_state("default", workitem.workitem_uid, LOCK, IN_PROGRESS)
    return run, workitem


def complete(
    house: WorklistHouse, workitem: Workitem, *rows: InstanceRow, view: View = EVERYTHING, by: str = MODEL
) -> list[str]:
    house.desk.update("default", workitem.workitem_uid, LOCK, naming(*rows), view)
    return house.desk.change_state("default", workitem.workitem_uid, LOCK, COMPLETED, view, by)


def found(house: WorklistHouse, row: InstanceRow) -> InstanceRow:
    now = house.index.find("default", row.sop_instance_uid)
    assert now is not None
    return now


def ended(house: WorklistHouse, run: RunRow) -> RunRow:
    now = house.runs.get(run.id)
    assert now is not None
    return now


def releases(house: WorklistHouse) -> list[ReleaseRow]:
    return house.releases.of_study("default", STUDY)


def test_what_the_performer_stored_and_names_becomes_the_runs_results(house: WorklistHouse) -> None:
    run, workitem = claimed(house)
    seg = stored(house, "SEG", 7)
    assert [
        row.sop_instance_uid for row in house.index.seen_by(ANNA).instances_of("default", STUDY, f"{STUDY}.7")
    ] == []
    assert complete(house, workitem, seg) == []
    now = found(house, seg)
    assert (now.kind, now.annotator, now.run_id, now.author) == (ObjectKind.RESULT, "chest", run.id, "")
    assert house.index.seen_by(ANNA).find("default", seg.sop_instance_uid) is not None
    blind = View("anna", results=False)
    assert house.index.seen_by(blind).find("default", seg.sop_instance_uid) is None
    row = ended(house, run)
    assert (row.state, row.summary, row.lease_owner) == (RunState.DONE, "1 SEG", "")
    assert house.ended == [row]


def test_readers_are_told_of_the_end_when_they_see_what_came_of_it(house: WorklistHouse) -> None:
    house.subscribers.subscribe("default", GLOBAL_SUBSCRIPTION, "ANNA", "anna", view=ANNA)
    _, workitem = claimed(house)
    complete(house, workitem, stored(house, "SEG", 7))
    assert [state for _, state in house.told("ANNA")] == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]


def test_study_and_series_change_with_what_they_show(house: WorklistHouse) -> None:
    _, workitem = claimed(house)
    seg = stored(house, "SEG", 7)
    before = house.index.study("default", STUDY)
    complete(house, workitem, seg)
    after = house.index.study("default", STUDY)
    assert before is not None
    assert after is not None
    assert after.changed_at > before.changed_at


def test_results_wait_for_release_with_reports_last(house: WorklistHouse) -> None:
    run, workitem = claimed(house)
    key_object, report, seg = (stored(house, name, number) for number, name in enumerate(("KO", "SR", "SEG"), 5))
    complete(house, workitem, key_object, report, seg)
    (release,) = releases(house)
    in_order = tuple(row.sop_instance_uid for row in (seg, report, key_object))
    assert release.objects == {"any": in_order}
    assert (release.state, release.run_id, release.annotator) == (ReleaseState.WAITING, run.id, "chest")
    assert release.series_uid == IMAGES
    assert ended(house, run).summary == "1 KO, 1 SEG, 1 SR"


def test_what_is_named_in_good_order_stays_in_it() -> None:
    named = [NamedInstance("", "", uid, str(number)) for number, uid in enumerate((KO, GSPS, SR, SEG, SR))]
    assert [one.sop_instance_uid for one in in_order_of_leaving(named)] == ["1", "3", "2", "4", "0"]


def test_what_is_stored_and_not_named_stays_an_annotation(house: WorklistHouse) -> None:
    _, workitem = claimed(house)
    seg, draft = stored(house, "SEG", 7), stored(house, "SEG", 8)
    complete(house, workitem, seg)
    assert (found(house, draft).kind, found(house, draft).run_id) == (ObjectKind.ANNOTATION, None)


def trashed(house: WorklistHouse) -> InstanceRow:
    row = stored(house, "SEG", 9)
    place = DeletedPlace(STUDY, row.series_uid, row.sop_instance_uid)
    TrashTable(house.database, house.clock).put("default", place, by="lead", reason="", remove_at=2e9)
    return row


def image(house: WorklistHouse) -> InstanceRow:
    (row,) = house.index.instances_of("default", STUDY, IMAGES)
    return row


NOT_THEIRS = {
    "is an image": image,
    "is a result already": lambda house: stored(
        house, "SEG", 9, kind=ObjectKind.RESULT, run_id=99, annotator="nodules"
    ),
    "is a reader's annotation": lambda house: stored(house, "SEG", 9, author="anna", stored_by="anna"),
    "was not stored by you": lambda house: stored(house, "SEG", 9, stored_by="another model"),
    "was not stored by you over STOW-RS": lambda house: stored(house, "SEG", 9, stored_by=""),
    "is not held": lambda house: stored(house, "SEG", 9, OTHER_STUDY),
    "is not held in the study": trashed,
}


@pytest.mark.parametrize("words", NOT_THEIRS)
def test_nothing_of_anybody_elses_becomes_a_result(house: WorklistHouse, words: str) -> None:
    run, workitem = claimed(house)
    seg, other = stored(house, "SEG", 7), NOT_THEIRS[words](house)
    with pytest.raises(WorkitemRefused, match=words) as refused:
        complete(house, workitem, seg, other)
    assert (refused.value.code, refused.value.http_status) == (0xC304, 409)
    assert other.sop_instance_uid in str(refused.value)
    assert seg.sop_instance_uid not in str(refused.value)
    # Nothing is half done, and what is right can still be named.
    assert house.desk.get("default", workitem.workitem_uid).state is IN_PROGRESS
    assert [found(house, row).kind for row in (seg, other)] == [ObjectKind.ANNOTATION, other.kind]
    assert (ended(house, run).state, releases(house), house.ended) == (RunState.RUNNING, [], [])
    assert complete(house, workitem, seg) == []


def test_caller_whom_nobody_knows_claims_nothing_that_came_otherwise(house: WorklistHouse) -> None:
    _, workitem = claimed(house)
    with pytest.raises(WorkitemRefused, match="was not stored by you"):
        complete(house, workitem, stored(house, "SEG", 9, stored_by=""), by="")


@pytest.mark.parametrize(
    ("series_uid", "sop_class_uid", "words"), [("1.2.3.1", SEG, "another series"), ("1.2.3.7", SR, "another SOP class")]
)
def test_instance_is_named_as_it_is_held(house: WorklistHouse, series_uid: str, sop_class_uid: str, words: str) -> None:
    _, workitem = claimed(house)
    seg = stored(house, "SEG", 7)
    done = naming(seg)
    (output,) = done["00741216"]["Value"][0]["00404033"]["Value"]
    output["0020000E"] = element("UI", series_uid)
    output["00081199"]["Value"][0]["00081150"] = element("UI", sop_class_uid)
    house.desk.update("default", workitem.workitem_uid, LOCK, done)
    with pytest.raises(WorkitemRefused, match=words):
        house.desk.change_state("default", workitem.workitem_uid, LOCK, COMPLETED, EVERYTHING, MODEL)


def test_completing_again_changes_nothing(house: WorklistHouse, clock: SetClock) -> None:
    run, workitem = claimed(house)
    complete(house, workitem, stored(house, "SEG", 7))
    before, released = ended(house, run), releases(house)
    clock.now += 5
    again = house.desk.change_state("default", workitem.workitem_uid, LOCK, COMPLETED, EVERYTHING, MODEL)
    assert again == ["The UPS is already in the requested state of COMPLETED."]
    assert (ended(house, run), releases(house), len(house.ended)) == (before, released, 1)


def test_newer_version_takes_the_place_of_what_was_shown(house: WorklistHouse) -> None:
    _, first = claimed(house)
    old = stored(house, "SEG", 7)
    complete(house, first, old)
    _, second = claimed(house, "d2")
    new = stored(house, "SEG", 8)
    complete(house, second, new)
    assert (found(house, old).visible, found(house, new).visible) == (False, True)
    assert [row.state for row in releases(house)] == [ReleaseState.WAITING, ReleaseState.SUPERSEDED]


def test_result_that_was_outrun_is_kept_without_being_shown(house: WorklistHouse) -> None:
    slow, slow_workitem = claimed(house)
    _, fast_workitem = claimed(house, "d2")
    new, old = stored(house, "SEG", 8), stored(house, "SEG", 7)
    complete(house, fast_workitem, new)
    complete(house, slow_workitem, old)
    assert (found(house, old).visible, found(house, old).kind) == (False, ObjectKind.RESULT)
    assert found(house, new).visible
    row = ended(house, slow)
    assert (row.state, row.reason) == (RunState.REFUSED, "a newer run over the same series is done already")
    assert house.desk.get("default", slow_workitem.workitem_uid).state is COMPLETED
    assert [release.objects["any"] for release in releases(house)] == [(new.sop_instance_uid,)]


def test_reader_who_performs_a_run_stays_the_author(house: WorklistHouse) -> None:
    run, workitem = claimed(house)
    hers = stored(house, "SR", 7, author="anna", stored_by="anna")
    complete(house, workitem, hers, view=ANNA, by="anna")
    assert (found(house, hers).kind, found(house, hers).author) == (ObjectKind.ANNOTATION, "anna")
    assert (ended(house, run).state, releases(house)) == (RunState.DONE, [])


def test_reader_learns_nothing_of_anothers_annotation(house: WorklistHouse) -> None:
    _, workitem = claimed(house)
    hers = stored(house, "SR", 7, author="anna", stored_by="anna")
    told = []
    for named in (hers, stored(house, "SR", 8), stored(house, "SR", 9, OTHER_STUDY)):
        with pytest.raises(WorkitemRefused) as refused:
            complete(house, workitem, named, view=BERT, by="bert")
        told.append(str(refused.value).replace(named.sop_instance_uid, "UID"))
    assert len(set(told)) == 1


@pytest.mark.parametrize("follows", [True, False])
def test_performer_whose_run_was_stopped_completes_nothing(house: WorklistHouse, follows: bool) -> None:
    _, workitem = claimed(house)
    seg = stored(house, "SEG", 7)
    house.desk.update("default", workitem.workitem_uid, LOCK, naming(seg) | given_up())
    runs = house.runs if follows else RunTable(house.database, house.clock)
    runs.stop("default", STUDY, [IMAGES], "its images were deleted")
    with pytest.raises(WorkitemRefused):
        house.desk.change_state("default", workitem.workitem_uid, LOCK, COMPLETED, EVERYTHING, MODEL)
    assert found(house, seg).kind is ObjectKind.ANNOTATION
    house.desk.change_state("default", workitem.workitem_uid, LOCK, CANCELED)
    assert house.ended == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "Discontinued for unspecified reason"),
        ({"00741238": element("LT", "the series is\ntoo noisy")}, "the series is too noisy"),
    ],
)
def test_run_that_is_given_up_has_failed_with_the_performers_reason(
    house: WorklistHouse, said: dict[str, Any], reason: str
) -> None:
    run, workitem = claimed(house)
    end = given_up()
    end["00741002"]["Value"][0] |= said
    house.desk.update("default", workitem.workitem_uid, LOCK, end)
    assert house.desk.change_state("default", workitem.workitem_uid, LOCK, CANCELED) == []
    row = ended(house, run)
    assert row.state is RunState.FAILED
    assert row.reason == f"whoever performed its work item gave it up: {reason}"
    assert house.ended == [row]


def test_result_is_not_replaced_by_what_was_on_its_way(house: WorklistHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    _, workitem = claimed(house)
    seg = stored(house, "SEG", 7)
    complete(house, workitem, seg)
    # Whoever stores read it before: an annotation, which may be replaced.
    held, seen = InstanceBatch.held, iter([{("default", seg.sop_instance_uid): seg}])
    monkeypatch.setattr(InstanceBatch, "held", lambda batch, keys: next(seen, None) or held(batch, keys))
    with pytest.raises(GatewayError, match="offer the object again"):
        house.index.replace(made("SEG", 7, content="other"))
    assert found(house, seg).kind is ObjectKind.RESULT


def complete_there(location: str, workitem_uid: str, start: Any, won: Any) -> None:
    """Complete a work item in a process of its own."""
    with Database.open(location) as database:
        house = WorklistHouse(database, SetClock())
        start.wait(PATIENCE_S)
        try:
            warnings = house.desk.change_state("default", workitem_uid, LOCK, COMPLETED, EVERYTHING, MODEL)
        except WorkitemRefused as refused:
            won.put(f"refused {refused.code:04X}")
        else:
            won.put("again" if warnings else "done")


@pytest.mark.parametrize(("annotators", "outcome"), [(("chest",), "again"), (("chest", "heart"), "refused C304")])
def test_of_two_processes_one_makes_an_object_its_result(
    house: WorklistHouse, annotators: tuple[str, ...], outcome: str
) -> None:
    seg = stored(house, "SEG", 7)
    both = [claimed(house, annotator=name)[1] for name in annotators] * 2
    for workitem in both:
        house.desk.update("default", workitem.workitem_uid, LOCK, naming(seg))
    location = house.database._engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("fork")
    start, won = context.Barrier(2), context.Queue()
    asking = [
        context.Process(target=complete_there, args=(location, workitem.workitem_uid, start, won))
        for workitem in both[:2]
    ]
    for process in asking:
        process.start()
    outcomes = sorted(won.get(timeout=PATIENCE_S) for _ in asking)
    for process in asking:
        process.join(PATIENCE_S)
    assert outcomes == sorted(["done", outcome])
    assert (len(releases(house)), found(house, seg).kind) == (1, ObjectKind.RESULT)
