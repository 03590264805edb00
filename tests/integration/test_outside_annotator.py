"""A model elsewhere works for the gateway: a complete study, its work item, the result, the run that is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import BytesIO

import pytest
from pydicom import dcmread

from tests.integration.test_outside_results import made_of
from tests.outside_house import DICOM, House, outside_house
from tests.worklist_house import value

DONE_AT, MADE_AT = "20240301", date(2024, 3, 17)
"""When the model says that it was done, and when the study was made."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with outside_house(tmp_path_factory.mktemp("outside")) as house:
        yield house


def day_of(told: str) -> date:
    """The day of a date or moment."""
    return datetime.strptime(told[:8], "%Y%m%d").date()


def test_model_elsewhere_does_its_run(house: House) -> None:
    assert house.found("/workitems") == []
    waiting = house.complete_study()
    uid = value(waiting, "00080018")
    source = house.claim(uid)
    (claimed,) = house.found(f"/workitems/{uid}")
    images = house.retrieve(source)
    study_uid = value(source, "0020000D")
    assert {str(image.StudyInstanceUID) for image in images} == {study_uid}

    made, _ = made_of(images)
    series, instance = str(made.SeriesInstanceUID), str(made.SOPInstanceUID)
    stored = house.store(made)
    assert (stored.status_code, instance in stored.text) == (200, True)
    assert house.study(study_uid)["results"] == []
    house.name(uid, made)
    assert house.change(uid, "COMPLETED").status_code == 200

    (completed,) = house.found(f"/workitems/{uid}")
    named = value(value(value(completed, "00741216"), "00404033"), "00081199")
    assert (value(completed, "00741000"), value(named, "00081155")) == ("COMPLETED", instance)
    run = house.run_of(study_uid)
    assert (run["annotator"], run["state"], run["summary"]) == ("chest", "done", "1 SEG")
    (result,) = house.study(study_uid)["results"]
    assert (result["annotator"], result["sop_instance_uid"]) == ("chest", instance)
    assert house.stored_of(study_uid, "SEG") == [instance]
    answer = house.ask("GET", f"/studies/{study_uid}/series/{series}/instances/{instance}", Accept=DICOM)
    served = dcmread(BytesIO(answer.get_data()))
    assert served.SegmentSequence[0].SegmentLabel == made.SegmentSequence[0].SegmentLabel
    assert house.gateway.study_watch.complete_due() == 0

    told = json.dumps([waiting, claimed, completed])
    today = f"{datetime.fromtimestamp(house.clock.now, UTC):%Y%m%d}"
    assert [day for day in (today, DONE_AT, f"{MADE_AT:%Y%m%d}") if day in told] == []
    moved_by = MADE_AT - day_of(str(images[0].StudyDate))
    assert day_of(value(value(completed, "00741216"), "00404051")) == day_of(DONE_AT) - moved_by
    assert day_of(value(completed, "00404010")) == day_of(today) - moved_by
    assert "Last-Modified" not in answer.headers
    path = f"/studies/{study_uid}/series/{series}/instances/{instance}"
    for header in ("If-Modified-Since", "If-Unmodified-Since"):
        later = house.ask("GET", path, **{"Accept": DICOM, header: "Fri, 31 Dec 2999 23:59:59 GMT"})
        assert later.status_code == 200
