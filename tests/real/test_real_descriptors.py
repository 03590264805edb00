"""Descriptors and comments of real images: what was harmless is still there, names and dates are not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from service.deident.own_values import OwnValues
from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.text_cleaning.text_cleaner import TextCleaner

pytestmark = pytest.mark.real_data

KINDS = {
    "StudyDescription": TextKind.DESCRIPTOR,
    "SeriesDescription": TextKind.DESCRIPTOR,
    "ProtocolName": TextKind.DESCRIPTOR,
    "PerformedProcedureStepDescription": TextKind.DESCRIPTOR,
    "BodyPartExamined": TextKind.DESCRIPTOR,
    "ConvolutionKernel": TextKind.DESCRIPTOR,
    "ROIName": TextKind.LABEL,
    "SegmentLabel": TextKind.LABEL,
    "DerivationDescription": TextKind.NARRATIVE,
    "ImageComments": TextKind.NARRATIVE,
    "TextValue": TextKind.NARRATIVE,
    "UnformattedTextValue": TextKind.NARRATIVE,
}
PEOPLE_AND_PLACES = re.compile(
    r"fukuda|mason|klugman|redlands|hanke|stadler|iowa|ibsi|(?<![.\d])\d{5}|\b(19\d\d|20(0[1-9]|[123]\d))\b",
    re.IGNORECASE,
)
SEQUENCES = {"ContentSequence", "SegmentSequence", "StructureSetROISequence"}
LARGEST_HEADER = 64 * 1024 * 1024
WORD = re.compile(r"[^\W_]+")


def texts_of(folder: Path) -> set[tuple[str, TextKind]]:
    """Collect each text once; a series says in all files what it says in the first."""
    texts: set[tuple[str, TextKind]] = set()
    for directory in sorted({file.parent for file in folder.rglob("*.dcm")} - {folder / "bad-input"}):
        for file in sorted(directory.glob("*.dcm"))[:8]:
            if file.stat().st_size <= LARGEST_HEADER:
                texts |= texts_in(file)
    return texts


def texts_in(file: Path) -> set[tuple[str, TextKind]]:
    try:
        data_set = dcmread(file, stop_before_pixels=True)
    except Exception:  # noqa: BLE001 - fragments without a header are among the files
        return set()
    return {(text, KINDS[key]) for key, text in texts_at(data_set)}


def texts_at(data_set: Dataset):
    for tag in list(data_set.keys()):
        keyword = keyword_for_tag(tag)
        if keyword in SEQUENCES:
            for item in data_set[tag].value or ():
                yield from texts_at(item)
        elif keyword in KINDS and data_set[tag].value:
            value = data_set[tag].value
            yield from ((keyword, str(one)) for one in ([value] if isinstance(value, str) else list(value)))


@pytest.mark.filterwarnings("ignore")
def test_harmless_words_survive_and_names_do_not(shared_data, repository):
    cleaner = TextCleaner.load(repository / "config" / "text")
    nobody = OwnValues((), ())
    texts = texts_of(shared_data)
    cleaned = [cleaner.clean(text, nobody, kind).text or "" for text, kind in texts]
    there = sum(len(WORD.findall(text)) for text, _ in texts)
    kept = sum(len(WORD.findall(text)) for text in cleaned)
    assert len(texts) > 150
    assert kept >= 0.9 * there
    assert [text for text in cleaned if PEOPLE_AND_PLACES.search(text)] == []
