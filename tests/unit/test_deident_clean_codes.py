"""Codes in sequences that are kept only because they are cleaned: public ones stay, local ones are texts."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from tests.datasets import as_file, ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def cleaned(image: Dataset, profile: str = "default") -> Dataset:
    return Deidentifier(load_profile(PROFILES, profile), KEYS).clean(dcmread(BytesIO(as_file(image)))).data_set


def triplet(item: Dataset) -> tuple[str, str, str]:
    return item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning


def diagnosed(*codes: Dataset) -> Dataset:
    image = ct_slice()
    image.AdmittingDiagnosesCodeSequence = Sequence(codes)
    return image


@pytest.mark.parametrize("given", [("C34.1", "I10", "Lung tumor"), ("C34.11", "I10C", "Malignancy of a lobe")])
def test_codes_of_public_schemes_stay(given):
    (found,) = cleaned(diagnosed(code(*given))).AdmittingDiagnosesCodeSequence
    assert triplet(found) == given


def test_a_public_code_with_a_meaning_of_somebodys_own_loses_that():
    (found,) = cleaned(diagnosed(code("C34.1", "I10", "tell Mrs Xyzzyqwert"))).AdmittingDiagnosesCodeSequence
    assert found.CodeValue == "C34.1"
    assert "Xyzzyqwert" not in found.CodeMeaning


def test_codes_of_local_schemes_are_cleaned_like_texts():
    (found,) = cleaned(diagnosed(code("Xyzzyqwert", "99QWERTY", "Thorax, Xyzzyqwert"))).AdmittingDiagnosesCodeSequence
    assert not [text for text in triplet(found) if "xyzzy" in text.lower() or "qwerty" in text.lower()]
    assert all(triplet(found)), "a code has a value, a scheme and a meaning (PS3.3 Table 8.8-1)"


@pytest.mark.parametrize("scheme", ["NPI", "ISO_OID"])
def test_codes_of_registered_schemes_that_name_persons_or_anything_are_cleaned(scheme):
    (found,) = cleaned(diagnosed(code("1234567893", scheme, "Xyzzyqwert"))).AdmittingDiagnosesCodeSequence
    assert "1234567893" not in found.CodeValue
    assert "Xyzzyqwert" not in found.CodeMeaning


def test_equivalent_codes_are_cleaned_as_well():
    given = code("27925004", "SCT", "Nodule")
    given.EquivalentCodeSequence = Sequence([code("Xyzzyqwert", "99QWERTY", "Xyzzyqwert")])
    assert b"yzzyqwert" not in as_file(cleaned(diagnosed(given)))


def test_codes_of_a_request_are_cleaned_with_it():
    image, request = ct_slice(), Dataset()
    request.RequestedProcedureCodeSequence = Sequence([code("Xyzzyqwert", "99QWERTY", "Thorax, Xyzzyqwert")])
    image.RequestAttributesSequence = Sequence([request])
    content = cleaned(image)
    assert len(content.RequestAttributesSequence[0].RequestedProcedureCodeSequence) == 1
    assert b"yzzyqwert" not in as_file(content)


@pytest.mark.parametrize(("scheme", "kept"), [("99QWERTY", "CT of lung"), ("", "CT of lung"), ("SCT", None)])
def test_what_a_local_scheme_calls_a_code_is_cleaned_wherever_it_stands(scheme, kept):
    image, item, given = ct_slice(), Dataset(), code("X-1", scheme, "CT of lung Xyzzyqwert")
    item.ConceptNameCodeSequence = Sequence([given])
    image.AcquisitionContextSequence = Sequence([item])
    image.AnatomicRegionSequence = Sequence([given])
    image.SegmentSequence = Sequence([Dataset()])
    image.SegmentSequence[0].SegmentLabel = "Xyzzyqwert"
    image.SegmentSequence[0].SegmentedPropertyTypeCodeSequence = Sequence([given])
    content = cleaned(image)
    kept = kept or given.CodeMeaning
    assert content.AnatomicRegionSequence[0].CodeMeaning == kept
    assert content.AcquisitionContextSequence[0].ConceptNameCodeSequence[0].CodeMeaning == kept
    assert ("Xyzzyqwert" in content.SegmentSequence[0].SegmentLabel) == (scheme == "SCT")


def test_without_the_option_the_codes_go():
    assert "AdmittingDiagnosesCodeSequence" not in cleaned(diagnosed(code("C34.1", "I10", "Lung tumor")), "basic")
