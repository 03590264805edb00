"""Results on real series: judged by dciodvfy and by our own rules; and what our rules say of other makers' objects."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.annotators.registry import load_annotators
from service.core.annotator import AnnotatorResult
from service.core.findings import Mask
from service.core.stored_pixels import decode_pixels
from service.core.volume import Volume
from service.core.volume_building import build_volumes
from service.objects.validation import Severity, validate
from service.objects.writer import write_results
from tests.patience import PATIENCE_S
from tests.volumes import organ, result_of
from tests.written_results import axial, context

pytestmark = [pytest.mark.real_data, pytest.mark.usefixtures("lenient")]


SERIES = {
    "PET": ("petct-sts/STS_001", "PT"),
    "CT of a PET/CT": ("petct-sts/STS_022", "CT"),
    "JPEG 2000, 5 mm": ("ct-phantom-philips/std-5mm", "CT"),
    "tilted gantry": ("ct-gantry-tilt", "CT"),
    "sphere": ("digital-phantom-ibsi2/sphere", "CT"),
    "enhanced CT": ("enhanced-multiframe/eCT_Supplemental.dcm", "CT"),
    "enhanced MR": ("mr-enhanced-xa30", "MR"),
}


def volume_in(place: Path, modality: str) -> Volume:
    paths = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    loaded: dict[str, list[Dataset]] = {}
    for path in paths:
        data_set = dcmread(path, force=True)
        if data_set.get("Modality") == modality and "PixelData" in data_set and "Rows" in data_set:
            loaded.setdefault(str(data_set.SeriesInstanceUID), []).append(data_set)
    for instances in loaded.values():
        volumes = build_volumes(instances, lambda number, own=instances: decode_pixels(own[number])).volumes
        if volumes:
            return volumes[0]
    raise AssertionError("no volume")


def results_of(volume: Volume, repository: Path) -> Iterator[AnnotatorResult]:
    """What the built-in annotator for the modality finds, and everything bright as one finding."""
    names = {"CT": "bones", "PT": "hotspots"}
    if volume.modality in names and volume.unit in ("[hnsf'U]", "Bq/ml", "g/ml{SUVbw}", "{SUVbw}g/ml"):
        name = names[volume.modality]
        yield load_annotators(repository / "config" / "annotators", [name])[name].annotate(volume)
    bright = volume.array > np.percentile(volume.array, 99.5)
    if bright.any():
        yield result_of(replace(organ(axial()), mask=Mask.cut_from(bright), measurements=()))


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("name", SERIES)
def test_results_on_a_real_series_are_without_error(
    name: str, shared_data: Path, repository: Path, tmp_path: Path
) -> None:
    place, modality = SERIES[name]
    volume = volume_in(shared_data / place, modality)
    for result in results_of(volume, repository):
        written = write_results(result, "Real", volume, context())
        made = [written.report] if written.segmentation is None else [written.report, written.segmentation]
        for data_set in made:
            assert validate(data_set, sources=volume.sources, referenced=made[1:]) == []
            path = tmp_path / f"{data_set.SOPInstanceUID}.dcm"
            data_set.save_as(path, enforce_file_format=True)
            told = subprocess.run(
                ["/usr/bin/dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=PATIENCE_S
            )
            assert not [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")]


# What is truly wrong with objects of other makers; everything else there must be without an error.
KNOWN_ERRORS = {
    "bad-input/reportsi_with_empty_number_tags.dcm": {"SR-EVIDENCE"},
    "bad-input/rtstruct.dcm": {"IOD-TYPE-1"},
    "seg-encodings/liver_1frame.dcm": {"IOD-TYPE-1", "SEG-FRAMES-LEFT"},
    "seg-sr-dcmqi/tid1500-pet/sr.dcm": {"VIEW-SR-COORDINATES"},
    "seg-sr-highdicom/seg_image_cr_binary.dcm": {"IOD-TYPE-2C"},
    "seg-sr-highdicom/sr_document.dcm": {"TID-ROW"},
    "seg-sr-highdicom/sr_document_with_multiple_groups.dcm": {"VIEW-SR-COORDINATES"},
    "sr-waveform-doc/reportsi.dcm": {"SR-EVIDENCE"},
    "sr-waveform-doc/test-SR.dcm": {"SR-EVIDENCE"},
}
FOLDERS = (
    "bad-input",
    "lut-overlay",
    "seg-encodings",
    "seg-sr-dcmqi",
    "seg-sr-highdicom",
    "sr-waveform-doc",
    "petct-sts",
)
CHECKED = (
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.66.7",
    "1.2.840.10008.5.1.4.1.1.30",
    "1.2.840.10008.5.1.4.1.1.481.3",
    "1.2.840.10008.5.1.4.1.1.88.",
)


def test_other_makers_objects_are_not_slandered(shared_data: Path) -> None:
    found = {}
    for folder in FOLDERS:
        for path in sorted(
            one for one in (shared_data / folder).rglob("*.dcm") if one.parent.name not in ("CT", "PET", "MR_T1")
        ):
            try:
                data_set = dcmread(path, force=True)
                checked = str(data_set.get("SOPClassUID", "")).startswith(CHECKED)
            except Exception:  # noqa: BLE001  bad-input holds what nothing reads
                continue
            if checked:
                errors = {problem.rule for problem in validate(data_set) if problem.severity is Severity.ERROR}
                # RT Series asks for Operators' Name (Type 2), which the publishers of these left out.
                found[str(path.relative_to(shared_data))] = errors - (
                    {"IOD-TYPE-2"} if "rtstruct" in str(path) else set()
                )
    assert {name: errors for name, errors in found.items() if errors} == KNOWN_ERRORS
    assert len(found) > 40
