"""Each element gets a reason, and no reason holds a value."""

from __future__ import annotations

import pytest
from pydicom.sequence import Sequence

from service.core.pydicom_reading import read_leniently
from tests.datasets import ct_slice
from tests.header_cleaning import deidentifier, item, raw


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def default():
    return deidentifier()


def test_every_element_gets_its_reason(default):
    header = raw(ct_slice())
    decisions = {decision.keyword: decision for decision in default.clean(header, explain=True).decisions}
    assert set(decisions) == {element.keyword for element in header}
    assert all(decision.rule and decision.reason for decision in decisions.values())
    assert decisions["StudyDescription"].action == "kept"
    assert decisions["AccessionNumber"].action == "emptied"
    assert decisions["StudyInstanceUID"].action == "replaced"
    assert decisions["PixelData"].action == "kept"
    assert decisions["StudyDescription"].rule == "PS3.15 Table E.1-1: clean_descriptors C"


def test_a_nested_decision_names_its_path(default):
    image = ct_slice()
    image.ReferencedSeriesSequence = Sequence([item(SeriesNumber=1), item(InstitutionName="Doe clinic")])
    decisions = default.clean(raw(image), explain=True).decisions
    found = next(decision for decision in decisions if decision.keyword == "InstitutionName")
    assert found.path == "(0008,1115)[1].(0008,0080)"


def test_reasons_hold_no_value(default):
    text = repr(default.clean(raw(ct_slice()), explain=True).decisions)
    for value in ("Doe", "Jane", "4711", "ACC-99", "House", "19610502", "20240317", "1.2.826"):
        assert value not in text


def test_a_found_own_value_is_the_reason(default):
    image = ct_slice()
    image.ManufacturerModelName = "Doe"
    decisions = default.clean(raw(image), explain=True).decisions
    found = next(decision for decision in decisions if decision.keyword == "ManufacturerModelName")
    assert (found.action, found.reason) == ("removed", "one of the patient's own values stands in it")


def test_counts_are_of_elements(default):
    cleaned = default.clean(raw(ct_slice()), explain=True)
    words = [decision.action for decision in cleaned.decisions]
    assert cleaned.elements_removed == words.count("removed")
    assert cleaned.elements_replaced == words.count("replaced") + words.count("emptied")
