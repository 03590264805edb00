"""What a model elsewhere stored for its run is a result like any: readers see it, the PACS gets it once released."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicom_nodes.node_event import NodeEventKind
from service.bootstrap.ground import OUTBOX_BELL
from service.core.access import Role
from service.objects.result_context import ResultContext
from service.objects.writer import write_results
from tests.datasets import STUDY_UID
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import IMPLICIT, TITLE, Listening, listening
from tests.outside_house import House, outside_house
from tests.patience import PATIENCE_S
from tests.volumes import ALGORITHM, nodule, result_of, volume_of
from tests.worklist_house import value

SLICES = 8
numbers = count(1)


@dataclass
class Hospital:
    """The gateway as people and programs reach it, and the PACS behind it."""

    house: House
    model: House
    program: House
    lead: House
    reader: House
    pacs: Listening
    received: InMemoryObjectSink


def hospital_in(folder: Path, approve: str = "person", **project: object) -> Iterator[Hospital]:
    sink = InMemoryObjectSink()
    with listening(sink) as pacs:
        host, port = pacs.node.address
        peer = {"ae_title": TITLE, "host": host, "port": port, "check_identity": False}
        rules = {"deliver_to": ["pacs"], "approve": approve} | project
        with outside_house(folder, SLICES, project=rules, peers={"pacs": peer}) as house, delivering(house):
            model, program = house.by("model", Role.INTEGRATOR), house.by("program", Role.INTEGRATOR)
            lead, reader = house.by("lead", Role.LEAD), house.by("reader", Role.READER)
            yield Hospital(house, model, program, lead, reader, pacs, sink)


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital in which people release results."""
    yield from hospital_in(tmp_path)


@pytest.fixture
def automatic(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital in which results leave by themselves, and readers do not see them."""
    yield from hospital_in(tmp_path, "automatic", readers_see_models=False)


@contextmanager
def delivering(house: House) -> Iterator[None]:
    """The outbox at work, which nothing but a ring wakes in time."""
    runner, bell = house.gateway.outbox_runner(), house.gateway.bell
    with bell.listen(OUTBOX_BELL) as wake:
        thread = threading.Thread(target=runner.run, args=(wake,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            runner.stop()
            bell.ring(OUTBOX_BELL)
            thread.join(PATIENCE_S)


def made_of(images: list[Dataset]) -> tuple[Dataset, Dataset]:
    """A segmentation, and a report that refers to it, as a model makes them of the images that it was served."""
    first = images[0]
    for image in images:
        image.decode()
    uids = {"study_uid": str(first.StudyInstanceUID), "series_uid": str(first.SeriesInstanceUID)}
    volume = replace(volume_of(images), **uids)
    result = result_of(nodule(volume), algorithm=replace(ALGORITHM, demonstrator=False))
    context = ResultContext(datetime(2024, 3, 17, 5, 6, 7), 9000, lambda: f"2.25.5000{next(numbers)}", "2.1")
    written = write_results(result, "Chest model", volume, context)
    assert written.segmentation is not None
    return written.segmentation, written.report


def performed_by(model: House) -> tuple[str, str, Dataset, Dataset]:
    """Have the model do its work but for the end; study and work item, segmentation and report."""
    uid = value(model.complete_study(), "00080018")
    source = model.claim(uid)
    made = made_of(model.retrieve(source))
    for one in made:
        assert model.store(one).status_code == 200
    return value(source, "0020000D"), uid, *made


def test_result_of_a_model_elsewhere_is_seen_released_and_delivered(hospital: Hospital) -> None:
    model, lead, reader = hospital.model, hospital.lead, hospital.reader
    study_uid, uid, segmentation, report = performed_by(model)
    uids = [str(one.SOPInstanceUID) for one in (segmentation, report)]
    assert reader.stored_of(study_uid, "SEG") == reader.stored_of(study_uid, "SR") == []
    model.name(uid, report, segmentation)
    assert model.change(uid, "COMPLETED").status_code == 200

    assert reader.stored_of(study_uid, "SEG") + reader.stored_of(study_uid, "SR") == uids
    shown = reader.study(study_uid)
    assert {one["sop_instance_uid"]: one["annotator"] for one in shown["results"]} == dict.fromkeys(uids, "chest")
    assert {one["held"] for one in shown["results"]} == {"waits for a person's approval"}
    (run,) = shown["runs"]
    assert (run["state"], run["summary"]) == ("done", "1 SEG, 1 SR")

    (waiting,) = lead.api("GET", "/api/v1/results").json["results"]
    assert (waiting["state"], waiting["annotator"]) == ("waiting", "chest")
    assert hospital.received.stored == []
    assert lead.api("POST", f"/api/v1/results/{waiting['id']}/release").status_code == 200
    received = arrived(hospital, 2)
    assert [str(one.SOPInstanceUID) for one in received] == uids
    assert {(str(one.StudyInstanceUID), str(one.PatientID)) for one in received} == {(STUDY_UID, "PAT-4711")}


def test_result_leaves_by_itself_where_the_project_says_so(automatic: Hospital) -> None:
    study_uid, uid, segmentation, report = performed_by(automatic.model)
    automatic.model.name(uid, segmentation)
    assert automatic.model.change(uid, "COMPLETED").status_code == 200
    (received,) = arrived(automatic, 1)
    assert received.SOPInstanceUID == segmentation.SOPInstanceUID
    # What was not named stays an annotation, of which nobody is told.
    assert automatic.model.stored_of(study_uid, "SR") == [str(report.SOPInstanceUID)]
    assert [one["modality"] for one in automatic.model.study(study_uid)["results"]] == ["SEG"]
    assert automatic.reader.stored_of(study_uid, "SEG") == []


def test_model_cannot_make_anybody_elses_a_result(hospital: Hospital) -> None:
    model = hospital.model
    study_uid, uid, segmentation, report = performed_by(model)
    (image,) = model.found(f"/studies/{study_uid}/instances?Modality=CT&limit=1")
    others = {"is a reader's annotation": hospital.reader, "was not stored by you": hospital.program}
    for words, other in others.items():
        theirs = made_of(model.retrieve(source_of(model, uid)))[0]
        assert other.store(theirs).status_code == 200
        model.name(uid, segmentation, theirs)
        refused = model.change(uid, "COMPLETED")
        assert (refused.status_code, words in refused.json["detail"]) == (409, True)
        assert refused.content_type == "application/problem+json"
        assert "inconsistent with the state" in refused.headers["Warning"]
    named = Dataset()
    named.StudyInstanceUID, named.SeriesInstanceUID = study_uid, value(image, "0020000E")
    named.SOPClassUID, named.SOPInstanceUID = value(image, "00080016"), value(image, "00080018")
    model.name(uid, segmentation, named)
    assert "is an image" in model.change(uid, "COMPLETED").json["detail"]

    assert model.study(study_uid)["results"] == []
    assert model.run_of(study_uid)["state"] == "running"
    model.name(uid, segmentation, report)
    assert model.change(uid, "COMPLETED").status_code == 200
    again = model.change(uid, "COMPLETED")
    assert (again.status_code, "already in the requested state" in again.headers["Warning"]) == (200, True)
    assert len(model.study(study_uid)["results"]) == 2


def test_result_that_its_model_stores_again_stays_as_it_is(hospital: Hospital) -> None:
    model = hospital.model
    study_uid, uid, segmentation, _ = performed_by(model)
    model.name(uid, segmentation)
    assert model.change(uid, "COMPLETED").status_code == 200
    segmentation.SegmentSequence[0].SegmentLabel = "Another"
    model.store(segmentation)
    (result,) = model.study(study_uid)["results"]
    path = f"/studies/{study_uid}/series/{result['series_uid']}/instances/{result['sop_instance_uid']}"
    served = dcmread(BytesIO(model.ask("GET", path, Accept="application/dicom").get_data()))
    assert served.SegmentSequence[0].SegmentLabel == "Nodule 1"


def source_of(house: House, workitem_uid: str) -> dict[str, object]:
    (workitem,) = house.found(f"/workitems/{workitem_uid}")
    return dict(value(workitem, "00404021"))


def arrived(hospital: Hospital, objects: int) -> list[Dataset]:
    """What the PACS has received, in the order in which it came."""
    for _ in range(objects):
        hospital.pacs.event(NodeEventKind.OBJECT_STORED)
    assert len(hospital.received.stored) == objects
    return [
        read_dataset(BytesIO(content), header.transfer_syntax_uid == IMPLICIT, is_little_endian=True)
        for header, content in hospital.received.stored
    ]
