"""Hotspots of a PET: SUV from the header by QIBA's computation, its refusals, and what is measured."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from service.annotators.pet_header import suv_factor
from service.annotators.registry import load_annotators
from service.annotators.suv_peak import ball_weights, suv_peak
from service.core.findings import Finding, Mask
from service.core.volume import Volume
from service.errors import VolumeRefused
from tests.phantoms import ANNOTATORS, annotator, pet

HALF_LIFE_S = 6586.2
SEEDS = [1, 2, 3]


def measured(finding: Finding, name: str, derivation: str | None = None) -> float:
    (found,) = [
        m.value
        for m in finding.measurements
        if m.name.meaning == name and (m.derivation.meaning if m.derivation else None) == derivation
    ]
    return found


def header(**changes: Any) -> Dataset:
    """The header of an FDG scan: 370 MBq, 80 kg, injected one hour before; a None takes an element away."""
    one = Dataset()
    one.Modality = "PT"
    one.CorrectedImage = ["DECY", "ATTN"]
    one.DecayCorrection = "START"
    one.PatientWeight = "80"
    one.SeriesDate = one.AcquisitionDate = "20240317"
    one.SeriesTime = one.AcquisitionTime = "120000"
    drug = Dataset()
    drug.RadionuclideTotalDose = "370000000"
    drug.RadionuclideHalfLife = str(HALF_LIFE_S)
    drug.RadiopharmaceuticalStartTime = "110000.00"
    one.RadiopharmaceuticalInformationSequence = [drug]
    for keyword, value in changes.items():
        holder = drug if keyword.startswith("Radio") and keyword in DRUG else one
        if value is None:
            del holder[keyword]
        elif isinstance(value, list):
            setattr(holder, keyword, value)
        else:
            # As scanners write it: times with colons and worse.
            tag = tag_for_keyword(keyword)
            assert tag is not None
            holder.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE))
    return one


DRUG = {
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
}


def volume_with(*headers: Dataset, unit: str = "Bq/ml") -> Volume:
    _, volume = pet(1)
    return replace(volume, sources=tuple(headers), unit=unit)


def expected(hours: float) -> float:
    return 80_000 / (370e6 * 2 ** (-hours * 3600 / HALF_LIFE_S))


def test_dose_decays_from_injection_to_the_start_of_the_scan() -> None:
    assert suv_factor(volume_with(header())) == pytest.approx(expected(1))


def test_image_corrected_to_administration_takes_the_whole_dose() -> None:
    assert suv_factor(volume_with(header(DecayCorrection="ADMIN"))) == pytest.approx(expected(0))


def test_injection_before_midnight_is_of_the_day_before() -> None:
    one = header(SeriesTime="003000", AcquisitionTime="003000", RadiopharmaceuticalStartTime="233000")
    assert suv_factor(volume_with(one)) == pytest.approx(expected(1))


def test_injection_with_its_date_is_taken_as_it_is() -> None:
    one = header(RadiopharmaceuticalStartDateTime="20240316120000", RadiopharmaceuticalStartTime=None)
    one.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife = "100000"
    assert suv_factor(volume_with(one)) == pytest.approx(80_000 / (370e6 * 2 ** (-86400 / 100000)))


def test_offsets_from_utc_are_compared() -> None:
    one = header(RadiopharmaceuticalStartDateTime="20240317100000+0000", TimezoneOffsetFromUTC="+0100")
    assert suv_factor(volume_with(one)) == pytest.approx(expected(1))


def test_time_with_colons_is_read() -> None:
    assert suv_factor(volume_with(header(RadiopharmaceuticalStartTime="11:00:00"))) == pytest.approx(expected(1))


def test_stated_moment_of_correction_goes_before_series_time() -> None:
    one = header(DecayCorrectionDateTime="20240317123000", SeriesTime="180000")
    assert suv_factor(volume_with(one)) == pytest.approx(expected(1.5))


def test_rewritten_series_time_gives_way_to_frame_reference_time() -> None:
    """Five minutes into the scan: its count rate equals its average some 1.5 minutes into a frame of three."""
    one = header(
        SeriesTime="180000", AcquisitionTime="120500", FrameReferenceTime="390000", ActualFrameDuration="180000"
    )
    assert suv_factor(volume_with(one)) == pytest.approx(expected(1), rel=1e-3)


def test_earliest_slice_decides_whether_series_time_was_rewritten() -> None:
    late, early = header(AcquisitionTime="121000"), header(AcquisitionTime="120000")
    assert suv_factor(volume_with(late, early)) == pytest.approx(expected(1))


def test_suv_in_the_pixels_is_taken_as_it_is() -> None:
    assert suv_factor(volume_with(Dataset(), unit="g/ml{SUVbw}")) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PatientWeight": None}, "Patient's Weight (0010,1030) is missing"),
        ({"PatientWeight": "0"}, "Patient's Weight (0010,1030) is not positive"),
        ({"RadionuclideTotalDose": None}, "Radionuclide Total Dose (0018,1074) is missing"),
        ({"RadionuclideTotalDose": "370"}, "Radionuclide Total Dose (0018,1074) is no plausible number of becquerels"),
        ({"RadionuclideHalfLife": None}, "Radionuclide Half Life (0018,1075) is missing"),
        ({"RadiopharmaceuticalStartTime": None}, "Radiopharmaceutical Start Time (0018,1072) are missing"),
        ({"RadiopharmaceuticalStartTime": "noon"}, "Radiopharmaceutical Start Time (0018,1072) is not a time"),
        ({"RadiopharmaceuticalStartDateTime": "20240317130000"}, "the injection is later than the scan"),
        ({"RadiopharmaceuticalStartDateTime": "19000101110000"}, "more than ten half-lives"),
        (
            {"RadiopharmaceuticalInformationSequence": []},
            "Radiopharmaceutical Information Sequence (0054,0016) is missing",
        ),
        ({"CorrectedImage": ["DECY"]}, "no ATTN in Corrected Image (0028,0051)"),
        ({"CorrectedImage": "ATTN"}, "no DECY in Corrected Image (0028,0051)"),
        ({"DecayCorrection": "NONE"}, "Decay Correction (0054,1102) is neither START nor ADMIN"),
        ({"AcquisitionTime": None}, "Acquisition Time (0008,0032) is missing"),
        ({"SeriesTime": "180000"}, "Frame Reference Time (0054,1300) is missing"),
    ],
)
def test_what_suv_needs_and_the_header_lacks_is_named(changes: dict[str, Any], words: str) -> None:
    one = header(**changes)
    with pytest.raises(VolumeRefused) as refused:
        suv_factor(volume_with(one))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("unit", "words"), [("{counts}", "are counts"), ("g/ml{SUV LBM}", "no SUVbw"), ("1", "no SUVbw")]
)
def test_units_that_give_no_suv_are_refused(unit: str, words: str) -> None:
    with pytest.raises(VolumeRefused, match=words):
        suv_factor(volume_with(header(), unit=unit))


def test_refusal_repeats_no_value_of_the_header() -> None:
    with pytest.raises(VolumeRefused) as refused:
        suv_factor(volume_with(header(RadiopharmaceuticalStartDateTime="20240317131415")))
    assert "2024" not in str(refused.value)


@pytest.mark.parametrize("seed", SEEDS)
def test_factor_of_the_phantom_is_its_own(seed: int) -> None:
    phantom, volume = pet(seed)
    assert suv_factor(volume) == pytest.approx(phantom.suv_factor, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_hot_ball_is_one_hotspot(seed: int) -> None:
    phantom, volume = pet(seed)
    findings = annotator("hotspots").annotate(volume).findings
    assert len(findings) == len(phantom.balls)
    for ball, finding in zip(sorted(phantom.balls, key=lambda ball: -ball.suv), findings, strict=True):
        assert measured(finding, "SUVbw", "Maximum") == pytest.approx(ball.suv, rel=0.01)
        assert measured(finding, "SUVbw", "Peak Value Within ROI") == pytest.approx(ball.suv, rel=0.02)
        assert measured(finding, "Metabolic Volume") == pytest.approx(ball.volume_ml, rel=0.5)
        assert np.linalg.norm(np.subtract(finding.shapes[0].points[0], ball.centre_mm)) < ball.radius_mm


def test_glycolysis_is_mean_times_volume() -> None:
    _, volume = pet(1)
    for finding in annotator("hotspots").annotate(volume).findings:
        mean, metabolic = measured(finding, "SUVbw", "Mean"), measured(finding, "Metabolic Volume")
        assert measured(finding, "Total Lesion Glycolysis") == pytest.approx(mean * metabolic)


def test_measurements_carry_their_ucum_units() -> None:
    _, volume = pet(1)
    finding = annotator("hotspots").annotate(volume).findings[0]
    assert [m.unit.value for m in finding.measurements] == ["g/ml{SUVbw}"] * 3 + ["mL", "g"]


def test_cold_scan_has_no_hotspot() -> None:
    _, volume = pet(1)
    result = annotator("hotspots").annotate(replace(volume, array=volume.array * np.float32(0.1)))
    assert (list(result.findings), result.summary) == ([], "No hotspot found")


def test_small_piece_is_left_out() -> None:
    _, volume = pet(1)
    array = np.zeros(volume.shape, dtype=np.float32)
    array[10, 20:23, 20:23] = 1e6
    assert not annotator("hotspots").annotate(replace(volume, array=array)).findings


def with_threshold(tmp_path: Path, old: str, new: str) -> Any:
    text = (ANNOTATORS / "hotspots.toml").read_text()
    assert old in text
    (tmp_path / "hotspots.toml").write_text(text.replace(old, new))
    return load_annotators(tmp_path, ["hotspots"])["hotspots"]


def test_share_of_the_maximum_draws_a_tighter_volume(tmp_path: Path) -> None:
    phantom, volume = pet(2)
    tight = with_threshold(tmp_path, "fraction_of_max = 0.0", "fraction_of_max = 0.5").annotate(volume).findings
    hottest = max(phantom.balls, key=lambda ball: ball.suv)
    assert measured(tight[0], "Metabolic Volume") == pytest.approx(hottest.volume_ml, rel=0.1)


def test_more_than_the_most_hotspots_are_counted_only(tmp_path: Path) -> None:
    _, volume = pet(1)
    result = with_threshold(tmp_path, "most = 20", "most = 2").annotate(volume)
    assert len(result.findings) == 2
    assert result.summary == "2 hotspots (1 with less uptake left out)"


def test_ct_is_refused() -> None:
    _, volume = pet(1)
    with pytest.raises(VolumeRefused, match="not a PET"):
        annotator("hotspots").annotate(replace(volume, modality="CT"))


def test_ball_of_one_millilitre_has_that_volume() -> None:
    directions = np.diag([3.0, 4.0, 4.0])
    assert ball_weights(directions).sum() * 48 == pytest.approx(1000, rel=0.02)


def test_peak_reaches_beyond_the_segment_but_starts_within() -> None:
    _, volume = pet(1)
    suv = np.zeros(volume.shape, dtype=np.float32)
    suv[19:22, 30:33, 30:33] = 5
    mask = Mask(np.ones((1, 1, 1), dtype=bool), (20, 31, 31))
    peak, middle = suv_peak(volume, suv, mask)
    np.testing.assert_allclose(middle, volume.to_patient([20, 31, 31]))
    assert 3 < peak < 5


def test_annotating_changes_nothing_of_the_volume() -> None:
    _, volume = pet(1)
    before = deepcopy(volume.array)
    annotator("hotspots").annotate(volume)
    np.testing.assert_array_equal(volume.array, before)
