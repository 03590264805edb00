"""A model elsewhere works for the gateway: a complete study, its work item, the result, the run that is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from werkzeug.test import Client, TestResponse

from service.bootstrap import Gateway
from service.settings import load_settings
from tests.archived import SetClock
from tests.datasets import as_file, ct_slice
from tests.referring_objects import CT, SEG, SEG_UIDS, item, segmentation, to
from tests.web_gateway import CONFIG
from tests.worklist_house import element, performed, value

QUIET_S = 60
LOCK = "1.9.77"
HERE = {"REMOTE_ADDR": "127.0.0.1"}
DONE_AT, MADE_AT = "20240301", date(2024, 3, 17)
"""When the model says that it was done, and when the study was made."""
DICOM, JSON = "application/dicom", "application/dicom+json"
OUTSIDE = """
kind = "outside"
performer = "ups"
title = "Chest model"
version = "2.1"
manufacturer = "Example"
modality = ["CT"]
body_part = ["*CHEST*"]
least_instances = 2
"""


@dataclass
class House:
    """A gateway whose one annotator is elsewhere, with a study that has come whole."""

    gateway: Gateway
    clock: SetClock
    client: Client

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        said = {"Content-Type": JSON} if isinstance(body, dict) else {}
        data = json.dumps([body]) if isinstance(body, dict) else body
        return self.client.open(
            f"/dicom-web{path}",
            method=method,
            data=data,
            headers=said | headers,
            environ_base=HERE,
            buffered=True,
        )

    def run_of(self, study_uid: str) -> dict[str, Any]:
        """The one run of a study, as the interface shows it."""
        path = f"/api/v1/projects/default/studies/{study_uid}"
        answer = self.client.get(path, environ_base=HERE, buffered=True)
        (run,) = json.loads(answer.get_data())["runs"]
        return dict(run)

    def store(self, data_set: Dataset) -> TestResponse:
        return self.ask("POST", "/studies", as_file(data_set), **{"Content-Type": DICOM})

    def found(self, path: str) -> list[dict[str, Any]]:
        answer = self.ask("GET", path)
        return list(json.loads(answer.get_data())) if answer.status_code == 200 else []


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(CONFIG, folder / "config")
    (folder / "config" / "annotators" / "chest.toml").write_text(OUTSIDE)
    project = {"deidentify": "default", "annotators": ["chest"], "study_quiet_s": QUIET_S}
    overrides = {
        "storage": {
            "data_dir": str(folder / "data"),
            "config_dir": str(folder / "config"),
            "disk_reserve_gib": 0.0,
            "spool_segment_mib": 1,
        },
        "projects": {"default": project},
    }
    clock = SetClock()
    with Gateway(load_settings(environ={}, overrides=overrides), clock) as gateway:
        gateway.prepare()
        house = House(gateway, clock, Client(gateway.web_application()))
        for number in (1, 2):
            assert house.store(ct_slice(number)).status_code == 200
        yield house


def day_of(told: str) -> date:
    """The day of a date or moment."""
    return datetime.strptime(told[:8], "%Y%m%d").date()


def result_on(images: list[Dataset]) -> Dataset:
    """A segmentation as a model makes it of the images that it was served."""
    made = segmentation()
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "FrameOfReferenceUID"):
        setattr(made, keyword, getattr(images[0], keyword))
    sources = [to(CT, str(image.SOPInstanceUID)) for image in images]
    series = str(images[0].SeriesInstanceUID)
    made.ReferencedSeriesSequence = [item(SeriesInstanceUID=series, ReferencedInstanceSequence=sources)]
    for frame, source in zip(made.PerFrameFunctionalGroupsSequence, sources, strict=True):
        frame.DerivationImageSequence[0].SourceImageSequence = [source]
    return made


def retrieve(house: House, source: dict[str, Any]) -> list[Dataset]:
    """The images that a work item names, from where it says that they are."""
    address = value(value(source, "0040E025"), "00081190")
    root = address.removeprefix("http://localhost/dicom-web")
    uids = [value(one, "00081155") for one in source["00081199"]["Value"]]
    answers = [house.ask("GET", f"{root}/instances/{uid}", Accept=DICOM) for uid in uids]
    assert [answer.status_code for answer in answers] == [200, 200]
    return [dcmread(BytesIO(answer.get_data())) for answer in answers]


def test_model_elsewhere_does_its_run(house: House) -> None:
    assert house.found("/workitems") == []
    house.clock.now += QUIET_S + 1
    assert house.gateway.study_watch.complete_due() == 1
    (waiting,) = house.found("/workitems?WorklistLabel=default/chest&ProcedureStepState=SCHEDULED")
    path = f"/workitems/{value(waiting, '00080018')}"
    claim = {"00741000": element("CS", "IN PROGRESS"), "00081195": element("UI", LOCK)}
    assert house.ask("PUT", f"{path}/state", claim).status_code == 200
    (claimed,) = house.found(path)
    source = value(claimed, "00404021")
    images = retrieve(house, source)
    study_uid = value(source, "0020000D")
    assert {str(image.StudyInstanceUID) for image in images} == {study_uid}

    stored = house.store(result_on(images))
    assert (stored.status_code, SEG_UIDS[1] in stored.text) == (200, True)
    done = performed(study_uid, *SEG_UIDS)
    output = done["00741216"]["Value"][0]["00404033"]["Value"][0]
    output["00081199"]["Value"][0]["00081150"] = element("UI", SEG)
    assert house.ask("POST", f"{path}?{LOCK}", done).status_code == 200
    end = claim | {"00741000": element("CS", "COMPLETED")}
    assert house.ask("PUT", f"{path}/state", end).status_code == 200

    (completed,) = house.found(path)
    named = value(value(value(completed, "00741216"), "00404033"), "00081199")
    assert (value(completed, "00741000"), value(named, "00081155")) == ("COMPLETED", SEG_UIDS[1])
    run = house.run_of(study_uid)
    assert (run["annotator"], run["state"]) == ("chest", "done")
    (kept,) = house.found(f"/studies/{study_uid}/instances?Modality=SEG")
    assert value(kept, "00080018") == SEG_UIDS[1]
    answer = house.ask("GET", f"/studies/{study_uid}/series/{SEG_UIDS[0]}/instances/{SEG_UIDS[1]}", Accept=DICOM)
    served = dcmread(BytesIO(answer.get_data()))
    assert served.SegmentSequence[0].SegmentLabel == "nodule"
    assert house.gateway.study_watch.complete_due() == 0

    told = json.dumps([waiting, claimed, completed])
    today = f"{datetime.fromtimestamp(house.clock.now, UTC):%Y%m%d}"
    assert [day for day in (today, DONE_AT, f"{MADE_AT:%Y%m%d}") if day in told] == []
    moved_by = MADE_AT - day_of(str(images[0].StudyDate))
    assert day_of(value(value(completed, "00741216"), "00404051")) == day_of(DONE_AT) - moved_by
    assert day_of(value(completed, "00404010")) == day_of(today) - moved_by
    assert "Last-Modified" not in answer.headers
    path = f"/studies/{study_uid}/series/{SEG_UIDS[0]}/instances/{SEG_UIDS[1]}"
    for header in ("If-Modified-Since", "If-Unmodified-Since"):
        later = house.ask("GET", path, **{"Accept": DICOM, header: "Fri, 31 Dec 2999 23:59:59 GMT"})
        assert later.status_code == 200
