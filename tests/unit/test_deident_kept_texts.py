"""Texts stay unless one of the patient's own values stands in them, in whatever character set."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.sequence import Sequence

from service.core.pydicom_reading import read_leniently
from tests.datasets import as_file, ct_slice
from tests.header_cleaning import deidentifier, item, raw


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def default():
    return deidentifier()


@pytest.mark.parametrize(
    "text",
    ["Doe", "scan of JANE DOE", "doe_jane", "Dôe", "ID PAT4711", "pat-4711", "born 02.05.1961", "JaneDoe2"],
)
def test_text_that_repeats_the_patients_values_goes(default, text):
    image = ct_slice()
    image.ManufacturerModelName = text
    assert "ManufacturerModelName" not in default.clean(raw(image)).data_set


@pytest.mark.parametrize("text", ["made 2024-03-17", "17.03.2024", "of 1.2.826.0.1.3680043.8.498.1.1.1", "Dr. House"])
def test_text_that_says_when_which_or_by_whom_goes(default, text):
    image = ct_slice()
    image.ManufacturerModelName = text
    assert "ManufacturerModelName" not in default.clean(raw(image)).data_set


def test_a_coded_string_may_share_a_word_with_a_physicians_department(default):
    image = ct_slice()
    image.ReferringPhysicianName = "CHEST CLINIC"
    assert default.clean(raw(image)).data_set.BodyPartExamined == "CHEST"


def test_addresses_of_servers_go(default):
    image = ct_slice()
    image.RetrieveURL = "https://pacs.example/studies"
    assert "RetrieveURL" not in default.clean(raw(image)).data_set


@pytest.mark.parametrize("text", ["Scanner 9000", "Doering model", "Janet", "4711"])
def test_text_that_only_looks_alike_stays(default, text):
    image = ct_slice()
    image.ManufacturerModelName = text
    assert default.clean(raw(image)).data_set.ManufacturerModelName == text


@pytest.mark.parametrize(
    ("charset", "name", "text"),
    [
        ("ISO_IR 192", "山田^太郎", "画像 山田太郎"),
        ("ISO_IR 100", "Müller^Jörg", "Aufnahme MÜLLER"),
        ("ISO_IR 144", "Люкceмбypг^Иван", "снимок Люкceмбypг"),
        ("GB18030", "王^小东", "王 小东的扫描"),
    ],
)
def test_names_are_found_in_their_character_set(default, charset, name, text):
    image = ct_slice(patient_name=name)
    image.SpecificCharacterSet = charset
    image.ManufacturerModelName = text
    cleaned = default.clean(raw(image)).data_set
    assert "ManufacturerModelName" not in cleaned
    assert cleaned.SpecificCharacterSet == charset


@pytest.mark.parametrize(("charset", "name"), [("ISO_IR 192", "山田^太郎"), ("GB18030", "王^小东")])
def test_name_in_a_required_coded_string_goes(default, charset, name):
    image = ct_slice(patient_name=name)
    image.SpecificCharacterSet = charset
    image.add_new("Modality", "LO", name.replace("^", " "))
    assert default.clean(raw(image)).data_set.Modality == "REMOVED"


def test_kept_text_stays_decodable(default):
    image = ct_slice()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.ManufacturerModelName = "Gerät für Köpfe"
    cleaned = default.clean(raw(image)).data_set
    again = dcmread(BytesIO(as_file(cleaned)))
    assert again.ManufacturerModelName == "Gerät für Köpfe"


def test_a_code_keeps_its_meaning_even_where_a_patient_is_called_so(default):
    image = ct_slice(patient_name="Lung^Wai")
    image.AnatomicRegionSequence = Sequence(
        [item(CodeValue="39607008", CodingSchemeDesignator="SCT", CodeMeaning="Lung")]
    )
    assert default.clean(raw(image)).data_set.AnatomicRegionSequence[0].CodeMeaning == "Lung"


def test_a_code_with_a_meaning_of_its_own_is_searched(default):
    image = ct_slice()
    image.AnatomicRegionSequence = Sequence(
        [item(CodeValue="39607008", CodingSchemeDesignator="SCT", CodeMeaning="Lung of Doe")]
    )
    assert default.clean(raw(image)).data_set.AnatomicRegionSequence[0].CodeMeaning == "REMOVED"
