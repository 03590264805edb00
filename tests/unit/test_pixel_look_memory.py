"""Whether an image is looked at is decided once for all that are alike."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from service.deident.pixels.image_policy import Look, load_policy
from service.deident.pixels.look_memory import LookMemory
from tests.datasets import ct_slice, encode

POLICY = load_policy(Path(__file__).parents[2] / "config" / "devices" / "policy.toml")


class Decider:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, header: Dataset) -> bool:
        self.asked += 1
        return POLICY.decide(header).decide is not Look.PASS


@pytest.fixture
def decider() -> Decider:
    return Decider()


def as_read(number: int = 1, **changes: object) -> Dataset:
    made = ct_slice(number)
    for name, value in changes.items():
        setattr(made, name, value)
    return read_dataset(io.BytesIO(encode(made)), is_implicit_VR=False, is_little_endian=True)


def test_images_that_are_alike_are_decided_on_once(decider: Decider) -> None:
    memory = LookMemory(decider)
    assert [memory.must_look(as_read(number)) for number in range(1, 5)] == [False] * 4
    assert decider.asked == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"Modality": "US", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"BurnedInAnnotation": "YES"},
        {"SamplesPerPixel": 3},
    ],
)
def test_what_tells_them_apart_is_decided_on_anew(decider: Decider, changes: dict[str, object]) -> None:
    memory = LookMemory(decider)
    assert (memory.must_look(as_read()), memory.must_look(as_read(**changes))) == (False, True)


def test_header_is_left_as_it_was_read(decider: Decider) -> None:
    header = as_read()
    LookMemory(decider).must_look(header)
    assert all(isinstance(header.get_item(tag), RawDataElement) for tag in header.keys())  # noqa: SIM118


def test_header_that_was_converted_is_decided_on_as_well(decider: Decider) -> None:
    memory = LookMemory(decider)
    assert [memory.must_look(ct_slice()), memory.must_look(as_read())] == [False, False]
