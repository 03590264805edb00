"""A dataset is split by patient, always alike."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadRequest
from service.formats.patient_split import PARTS, PatientSplit

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
PATIENTS = [f"ANON-{number:05d}" for number in range(5000)]


def test_shares_are_met_on_average() -> None:
    counts = Counter(map(PatientSplit(SHARES).part_of, PATIENTS))
    assert {part: round(counts[part] / len(PATIENTS), 1) for part in PARTS} == SHARES


@given(st.text(), st.integers())
def test_patient_and_seed_decide_alone(patient: str, seed: int) -> None:
    assert PatientSplit(SHARES, seed).part_of(patient) == PatientSplit(dict(SHARES), seed).part_of(patient)


def test_another_seed_is_another_split() -> None:
    one, other = PatientSplit(SHARES, 1), PatientSplit(SHARES, 2)
    assert any(one.part_of(patient) != other.part_of(patient) for patient in PATIENTS[:100])


@pytest.mark.parametrize("part", PARTS)
def test_whole_dataset_can_be_one_part(part: str) -> None:
    assert {PatientSplit({part: 1.0}).part_of(patient) for patient in PATIENTS[:50]} == {part}


@pytest.mark.parametrize("shares", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": 0.5, "tset": 0.5}])
def test_shares_that_are_none_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(BadRequest):
        PatientSplit(shares)
