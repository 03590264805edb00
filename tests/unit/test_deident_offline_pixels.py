"""Files whose pixels are looked at, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from service.core.pydicom_reading import read_leniently
from service.deident.offline import FileResult, FileStatus, deidentify_files, offline_deidentifier
from service.deident.pixels.pixel_outcome import OutcomeKind
from tests.datasets import as_file, ct_slice
from tests.fakes.scripted_pixel_cleaner import ScriptedPixelCleaner

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
BLACKENED = bytes(255 - byte for byte in ct_slice().PixelData)


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def cleaner():
    return offline_deidentifier(PROFILES, "default")


@pytest.fixture
def clean(cleaner, tmp_path):
    def clean(word: str, syntax: str = ExplicitVRLittleEndian, out: Path | None = tmp_path / "out") -> FileResult:
        image = ct_slice()
        image.DerivationDescription = word
        source = tmp_path / "source.dcm"
        source.write_bytes(as_file(image, syntax))
        (result,) = deidentify_files([source], cleaner, out, pixels=ScriptedPixelCleaner())
        return result

    return clean


def written(result: FileResult) -> Dataset:
    assert result.written is not None, result.reason
    return dcmread(result.written)


def codes(data_set: Dataset) -> list[str]:
    return [item.CodeValue for item in data_set.DeidentificationMethodCodeSequence]


def test_file_that_needs_no_look_is_not_said_to_be_clean(clean):
    result = clean("")
    assert (result.pixels, "113101" in codes(written(result))) == (OutcomeKind.PASSED, False)


def test_file_without_text_says_so(clean):
    result = clean("clean")
    stored = written(result)
    assert ("113101" in codes(stored), stored.BurnedInAnnotation) == (True, "NO")
    assert stored.PixelData == ct_slice().PixelData


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_file_is_written_blackened_in_the_form_that_it_had(clean, syntax):
    result = clean("blacken", syntax)
    stored = written(result)
    assert (stored.PixelData, result.regions_blackened) == (BLACKENED, 2)
    expected = ExplicitVRLittleEndian if syntax == DeflatedExplicitVRLittleEndian else syntax
    assert stored.file_meta.TransferSyntaxUID == expected
    assert stored["PixelData"].VR in ("OW", "OB or OW")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_file_takes_the_transfer_syntax_of_its_new_pixels(clean, syntax):
    stored = written(clean("compress", syntax))
    assert (stored.file_meta.TransferSyntaxUID, stored["PixelData"].VR) == (JPEGLSLossless, "OB")
    assert (stored.Rows, str(stored.PatientName).startswith("ANON-")) == (16, True)
    assert [float(number) for number in stored.PixelSpacing] == [1, 1]
    assert "113101" in codes(stored)


def test_file_that_needs_a_person_is_refused_with_the_reason(clean, tmp_path):
    result = clean("ask")
    assert (result.status, result.reason) == (
        FileStatus.REFUSED,
        "its pixels are for a person to decide on: Text is left after blackening",
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_what_would_become_of_the_pixels_is_told(clean):
    result = clean("blacken", out=None)
    assert (result.status, result.pixels, result.written) == (FileStatus.LISTED, OutcomeKind.BLACKENED, None)


def test_pixels_that_nobody_looked_at_are_not_said_to_be_clean(cleaner, tmp_path):
    (tmp_path / "source.dcm").write_bytes(as_file(ct_slice()))
    (result,) = deidentify_files([tmp_path / "source.dcm"], cleaner, tmp_path / "out")
    assert (result.pixels, "113101" in codes(written(result))) == (None, False)
