"""dciodvfy (dicom3tools) finds no Error in segmentations of any kind on any kind of source.

Debian's knows no Label Map Segmentation: our own rules judge these.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from service.objects.segmentation_form import SegmentationForm
from service.objects.segmentation_reading import read_segmentation
from service.objects.segmentation_rewriting import rewrite_segmentation
from service.objects.validation import Severity, validate
from tests.dciodvfy import errors_in
from tests.segmentation_sources import SOURCES
from tests.segmented import BINARY, LABEL_MAP, OCCUPANCY, PROBABILITY, drawn_masks, written
from tests.written_results import context


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("form", [BINARY, PROBABILITY, OCCUPANCY], ids=lambda form: form.kind.name)
@pytest.mark.parametrize("name", SOURCES)
def test_segmentation_has_no_error(name: str, form: SegmentationForm, tmp_path: Path) -> None:
    source = SOURCES[name]()
    assert errors_in(written(source, drawn_masks(source), form), tmp_path) == []


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("name", ["axial", "radiograph", "moving heart", "slide, TILED_SPARSE"])
def test_label_map_written_anew_as_binary_has_no_error(name: str, tmp_path: Path) -> None:
    source = SOURCES[name]()
    read = read_segmentation(written(source, drawn_masks(source), LABEL_MAP))
    assert errors_in(rewrite_segmentation(read, context(), BINARY), tmp_path) == []


@pytest.mark.parametrize("form", [BINARY, PROBABILITY, LABEL_MAP], ids=lambda form: form.kind.name)
@pytest.mark.parametrize("name", SOURCES)
def test_our_own_rules_find_no_error(name: str, form: SegmentationForm) -> None:
    source = SOURCES[name]()
    problems = validate(written(source, drawn_masks(source), form))
    assert [str(problem) for problem in problems if problem.severity is Severity.ERROR] == []
