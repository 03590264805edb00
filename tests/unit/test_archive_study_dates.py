"""Which dates a study carries as it is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from service.archive.study_dates import StudyDates, days_in
from service.core.archived import StudyRow
from tests.datasets import ct_slice
from tests.ingest_house import IngestHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def receive(house: IngestHouse, image: Dataset) -> StudyRow:
    house.clock.now += 1
    outcome = house.pipeline.process(house.incoming(image))
    study = house.index.study("clinical", outcome.study_uid)
    assert study is not None
    return study


def test_dates_at_every_depth_are_told(house: IngestHouse) -> None:
    image = ct_slice()
    image.AcquisitionDateTime = "20240318101112.5+0100"
    item = Dataset()
    item.PerformedProcedureStepStartDate = "20240319"
    image.RequestAttributesSequence = [item]
    assert StudyDates(house.index).of(receive(house, image)) == {"20240317", "20240318", "20240319", "19610502"}


def test_dates_of_what_comes_later_are_told_as_well(house: IngestHouse) -> None:
    dates = StudyDates(house.index)
    before = dates.of(receive(house, ct_slice(1)))
    same_series, other_series = ct_slice(2), ct_slice(3, series_uid="1.2.826.5")
    same_series.ContentDate, other_series.ContentDate = "20240401", "20240402"
    receive(house, same_series)
    assert dates.of(receive(house, other_series)) == before | {"20240401", "20240402"}


def test_versions_of_the_standard_and_dummies_are_no_dates_of_the_study() -> None:
    text = (
        '{"00080106":{"vr":"DT","Value":["20210101"]},"00080023":{"vr":"DA","Value":["19000101"]},'
        '"00080022":{"vr":"DA","Value":["20200102","20200103"]},"00080060":{"vr":"CS","Value":["20200104"]}}'
    )
    assert days_in(text) == {"20200102", "20200103"}
