"""Slices into volumes: order, geometry, gaps, copies, phases, localizers and what stored values mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedCTImageStorage, PositronEmissionTomographyImageStorage, SecondaryCaptureImageStorage

from service.core.volume import SeriesVolumes
from service.core.volume_building import build_volumes
from service.errors import TransferSyntaxNotSupported
from tests.datasets import ct_slice

HOUNSFIELD = "[hnsf'U]"
PADDED_AIR = -1000.0


def series(count: int, **kwargs: Any) -> list[Dataset]:
    """Axial slices 2 mm apart; the pixels of each hold its number."""
    return [ct_slice(number, rows=4, columns=3, **kwargs) for number in range(1, count + 1)]


def built(data_sets: Sequence[Dataset]) -> SeriesVolumes:
    return build_volumes(data_sets, lambda index: stored(data_sets[index]))


def stored(data_set: Dataset) -> np.ndarray:
    frames = int(data_set.get("NumberOfFrames") or 1)
    dtype = {8: "u1", 16: "<i2" if data_set.PixelRepresentation else "<u2"}[data_set.BitsAllocated]
    shape = (data_set.Rows, data_set.Columns) if frames == 1 else (frames, data_set.Rows, data_set.Columns)
    return np.frombuffer(data_set.PixelData, dtype=dtype)[: int(np.prod(shape))].reshape(shape)


def first_voxels(volumes: SeriesVolumes) -> list[float]:
    return [float(value) for value in volumes.volumes[0].array[:, 0, 0]]


def test_slices_come_in_order_along_their_normal() -> None:
    slices = series(5)
    assert first_voxels(built([slices[i] for i in (3, 0, 4, 1, 2)])) == [1, 2, 3, 4, 5]


def test_sources_stand_in_the_order_of_their_slices() -> None:
    slices = series(4)
    volume = built(slices[::-1]).volumes[0]
    assert [source.InstanceNumber for source in volume.sources] == [1, 2, 3, 4]


def test_axial_affine_says_where_voxels_lie() -> None:
    volume = built(series(3)).volumes[0]
    np.testing.assert_allclose(volume.to_patient([1, 2, 1]), [-49, -48, 4])


def test_feet_first_slices_run_against_the_patient_axis() -> None:
    slices = series(3)
    for one in slices:
        one.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
    assert first_voxels(built(slices)) == [3, 2, 1]


def test_tilted_gantry_shears_the_grid() -> None:
    slices = series(4)
    cosine, sine = np.cos(0.3), np.sin(0.3)
    for one in slices:
        one.ImageOrientationPatient = [1, 0, 0, 0, cosine, -sine]
    volume = built(slices).volumes[0]
    np.testing.assert_allclose(volume.affine[:3, 0], [0, 0, 2])
    assert volume.voxel_mm3 == pytest.approx(2 * cosine)


@settings(max_examples=40, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3, 3) for _ in range(3)]),
    spacing=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3), st.floats(0.5, 6)),
    shear=st.floats(-0.5, 0.5),
    order=st.permutations(range(5)),
)
def test_every_slice_lies_where_its_header_says(angles, spacing, shear, order) -> None:
    a, b, c = angles
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turn_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turn = turn_x @ turn_y @ turn_z
    step = turn @ np.array([0, shear, 1]) * spacing[2]
    slices = series(5)
    for number, one in enumerate(slices):
        one.ImageOrientationPatient = [*turn[:, 0], *turn[:, 1]]
        one.ImagePositionPatient = list(np.array([10.0, -20.0, 30.0]) + number * step)
        one.PixelSpacing = list(spacing[:2])
    volume = built([slices[i] for i in order]).volumes[0]
    for index, source in enumerate(volume.sources):
        np.testing.assert_allclose(volume.to_patient([index, 0, 0]), source.ImagePositionPatient, atol=1e-6)
        corner = np.array(source.ImagePositionPatient) + turn[:, 1] * 3 * spacing[0] + turn[:, 0] * 2 * spacing[1]
        np.testing.assert_allclose(volume.to_patient([index, 3, 2]), corner, atol=1e-6)
        assert volume.array[index, 0, 0] == source.InstanceNumber


def test_missing_slice_is_refused_with_its_gap() -> None:
    slices = series(9)
    del slices[4]
    refused = built(slices).refused
    assert refused == (
        "8 of 8 slices: 1 slice is missing, the first after slice 4 of 8: "
        "a gap of 4.00 mm where slices are 2.00 mm apart",
    )


def test_irregular_spacing_is_refused_with_its_range() -> None:
    slices = series(6)
    for one in slices[3:]:
        one.ImagePositionPatient = [-50, -50, one.ImagePositionPatient[2] * 1.7]
    volumes = built(slices)
    assert not volumes.volumes
    assert "apart; a volume needs even spacing" in volumes.refused[0]


def test_positions_rounded_to_one_decimal_are_even() -> None:
    slices = series(40)
    for number, one in enumerate(slices):
        one.ImagePositionPatient = [-50, -50, round(number * 1.25, 1)]
    assert built(slices).volumes[0].spacing_mm[0] == pytest.approx(1.25, abs=0.01)


def test_slice_out_of_line_is_refused() -> None:
    slices = series(6)
    slices[3].ImagePositionPatient = [-44, -50, slices[3].ImagePositionPatient[2]]
    assert "off an even grid" in built(slices).refused[0]


def test_two_slices_far_apart_are_no_volume() -> None:
    slices = series(2)
    slices[1].ImagePositionPatient = [-50, -50, 90]
    assert "two slices of 2.00 mm lie 88.00 mm apart" in built(slices).refused[0]


def test_copy_with_the_same_pixels_is_dropped() -> None:
    slices = [*series(4), ct_slice(2, rows=4, columns=3, sop_instance_uid="1.2.3.4")]
    assert first_voxels(built(slices)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("keyword", "values"), [("AcquisitionNumber", (1, 2)), ("TemporalPositionIdentifier", (1, 2)), ("EchoTime", (5, 9))]
)
def test_phases_become_a_volume_each(keyword: str, values: tuple[int, int]) -> None:
    first, second = series(4), series(4, series_uid="1.2.3.4.5")
    for one in first:
        setattr(one, keyword, values[0])
    for one in second:
        setattr(one, keyword, values[1])
        one.PixelData = np.full((4, 3), 50 + one.InstanceNumber, "<i2").tobytes()
    volumes = built([*first, *second])
    assert [v.array[:, 0, 0].tolist() for v in volumes.volumes] == [[1, 2, 3, 4], [51, 52, 53, 54]]


def test_different_slices_at_one_position_are_refused() -> None:
    slices = series(4)
    slices.append(ct_slice(2, rows=4, columns=3, sop_instance_uid="1.2.3.4", pixels=np.full((4, 3), 9)))
    volumes = built(slices)
    assert not volumes.volumes
    assert "up to 2 different slices share one position" in volumes.refused[0]


def test_mixed_orientations_become_a_volume_each() -> None:
    axial, sagittal = series(5), series(3, series_uid="1.2.3.4.5")
    for number, one in enumerate(sagittal):
        one.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        one.ImagePositionPatient = [number * 4.0, 0, 0]
    volumes = built([*sagittal, *axial])
    assert [v.shape for v in volumes.volumes] == [(5, 4, 3), (3, 4, 3)]


def test_lone_slices_of_other_orientations_are_refused() -> None:
    slices = series(5)
    lone = ct_slice(9, rows=4, columns=3)
    lone.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    volumes = built([*slices, lone])
    assert volumes.volumes[0].shape == (5, 4, 3)
    assert volumes.refused == ("1 of 6 slices: each has an orientation or grid of its own, as localizers have",)


def test_slices_of_other_sizes_become_a_volume_each() -> None:
    wide = [ct_slice(number, rows=4, columns=5, series_uid="1.2.3.4.5") for number in (1, 2, 3)]
    assert [v.shape for v in built([*series(4), *wide]).volumes] == [(4, 4, 3), (3, 4, 5)]


def test_single_slice_is_as_thick_as_its_header_says() -> None:
    volume = built(series(1)).volumes[0]
    assert volume.shape == (1, 4, 3)
    assert volume.spacing_mm[0] == 2


def test_single_slice_without_thickness_is_refused() -> None:
    slices = series(1)
    del slices[0].SliceThickness
    assert built(slices).refused == ("1 of 1 slices: a single slice without Slice Thickness (0018,0050) has no depth",)


def test_ct_localizers_are_refused() -> None:
    slices = series(2)
    for one in slices:
        one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert "2 of 2 instances: a CT localizer is a projection" in built(slices).refused[0]


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("FrameOfReferenceUID", "Frame of Reference UID (0020,0052) is missing"),
        ("ImagePositionPatient", "Image Position (Patient) (0020,0032) is missing"),
        ("ImageOrientationPatient", "Image Orientation (Patient) (0020,0037) is missing"),
        ("PixelSpacing", "Pixel Spacing (0028,0030) is missing"),
        ("Rows", "Rows (0028,0010) is missing or not positive"),
    ],
)
def test_slice_without_its_geometry_is_refused_by_name(keyword: str, words: str) -> None:
    slices = series(3)
    del slices[2][keyword]
    volumes = built(slices)
    assert volumes.refused == (f"1 of 3 instances: {words}",)
    assert volumes.volumes[0].shape[0] == 2


def test_skewed_orientation_is_refused() -> None:
    slices = series(3)
    for one in slices:
        one.ImageOrientationPatient = [1, 0, 0, 0.5, 0.866025, 0]
    assert "is not two perpendicular unit vectors" in built(slices).refused[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "colour has no measured value"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour has no measured value"),
        ({"BitsAllocated": 1}, "one bit a pixel"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "Secondary Capture"),
        ({"NumberOfFrames": 7}, "several frames without functional groups"),
        ({"ModalityLUTSequence": DicomSequence([Dataset()])}, "Modality LUT Sequence (0028,3000)"),
    ],
)
def test_what_is_no_slice_of_a_scan_is_refused(changes: dict[str, Any], words: str) -> None:
    slices = series(3)
    for one in slices:
        one.update(changes)
    volumes = built(slices)
    assert not volumes.volumes
    assert words in volumes.refused[0]


def test_no_refusal_repeats_a_value_of_the_header() -> None:
    slices = series(3)
    slices[0].ImagePositionPatient = None
    slices[1].PixelSpacing = [0, 0]
    slices[2].ImageOrientationPatient = [1, 0, 0]
    text = " ".join(built(slices).refused)
    assert all(value not in text for value in ("Doe", "PAT-4711", "1.2.826", "ACC-99"))


def test_empty_series_is_refused() -> None:
    assert built([]).refused == ("the series has no instance",)


def test_rescale_may_differ_from_slice_to_slice() -> None:
    slices = series(3)
    for one, slope, intercept in zip(slices, (1, 2, 0.5), (0, -10, 7), strict=True):
        one.RescaleSlope, one.RescaleIntercept = slope, intercept
    assert first_voxels(built(slices)) == [1, -6, 8.5]


def test_signed_values_keep_their_sign() -> None:
    slices = series(2)
    slices[0].PixelData = np.full((4, 3), -1024, "<i2").tobytes()
    assert first_voxels(built(slices)) == [-1024, 2]


def test_unsigned_values_use_all_their_bits() -> None:
    slices = series(2)
    for one in slices:
        one.PixelRepresentation = 0
        one.PixelData = np.full((4, 3), 60000, "<u2").tobytes()
    assert first_voxels(built(slices)) == [60000, 60000]


def test_eight_bit_values_are_read() -> None:
    slices = series(2)
    for one in slices:
        one.BitsAllocated = one.BitsStored = 8
        one.PixelRepresentation = 0
        one.PixelData = np.full((4, 3), 200, "u1").tobytes()
    assert first_voxels(built(slices)) == [200, 200]


def test_float_values_that_are_no_number_become_air() -> None:
    slices = series(2)
    values = np.full((4, 3), 12.5, np.float32)
    values[0, 0] = np.nan
    volume = build_volumes(slices, lambda index: values).volumes[0]
    assert volume.array[0, 0].tolist() == [PADDED_AIR, 12.5, 12.5]


def test_monochrome1_changes_no_value() -> None:
    slices = series(2)
    for one in slices:
        one.PhotometricInterpretation = "MONOCHROME1"
    assert first_voxels(built(slices)) == [1, 2]


@pytest.mark.parametrize("written", [-2000, 63536])
def test_pixel_padding_becomes_air(written: int) -> None:
    slices = series(2)
    for one in slices:
        one.PixelPaddingValue = written
        pixels = np.full((4, 3), 40, "<i2")
        pixels[0, 0] = -2000
        one.PixelData = pixels.tobytes()
    assert built(slices).volumes[0].array[0, 0].tolist() == [PADDED_AIR, 40, 40]


def test_padding_range_is_padding_as_a_whole() -> None:
    slices = series(2)
    for one in slices:
        one.PixelPaddingValue, one.PixelPaddingRangeLimit = -2000, -1500
        one.PixelData = np.array([[-2000, -1700, -1500]] * 4, "<i2").tobytes()
    assert set(built(slices).volumes[0].array.ravel()) == {PADDED_AIR}


def test_pixels_that_do_not_fill_the_slice_are_refused() -> None:
    slices = series(3)
    volumes = build_volumes(slices, lambda index: np.zeros((4, 4)))
    assert "do not fill Rows (0028,0010) × Columns (0028,0011)" in volumes.refused[0]


def test_pixels_that_no_codec_reads_are_refused() -> None:
    def unreadable(index: int) -> np.ndarray:
        raise TransferSyntaxNotSupported("no codec here reads pixels in transfer syntax 1.2.3")

    volumes = build_volumes(series(3), unreadable)
    assert volumes.refused == ("3 of 3 slices: no codec here reads pixels in transfer syntax 1.2.3",)


@pytest.mark.parametrize(
    ("rescale_type", "image_type", "unit"),
    [
        ("HU", "ORIGINAL", HOUNSFIELD),
        (None, "DERIVED", HOUNSFIELD),
        ("US", "ORIGINAL", HOUNSFIELD),
        ("US", "DERIVED", "1"),
        ("Z_EFF", "DERIVED", "1"),
    ],
)
def test_ct_is_in_hounsfield_units_unless_it_says_otherwise(rescale_type, image_type, unit) -> None:
    slices = series(2)
    for one in slices:
        one.ImageType = [image_type, "PRIMARY", "AXIAL"]
        if rescale_type is None:
            del one.RescaleType
        else:
            one.RescaleType = rescale_type
    assert built(slices).volumes[0].unit == unit


@pytest.mark.parametrize(
    ("units", "suv_type", "unit"),
    [
        ("BQML", None, "Bq/ml"),
        ("GML", None, "g/ml{SUVbw}"),
        ("GML", "BW", "g/ml{SUVbw}"),
        ("GML", "LBM", "g/ml{SUV LBM}"),
        ("CNTS", None, "{counts}"),
    ],
)
def test_pet_is_in_the_units_that_it_names(units, suv_type, unit) -> None:
    slices = series(2)
    for one in slices:
        one.SOPClassUID, one.Modality, one.Units = PositronEmissionTomographyImageStorage, "PT", units
        if suv_type:
            one.SUVType = suv_type
    assert built(slices).volumes[0].unit == unit


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, DicomSequence([value]) if isinstance(value, Dataset) else value)
    return made


def enhanced(positions: Sequence[float], phases: Sequence[int] | None = None) -> Dataset:
    """One enhanced CT instance; frame k holds the value k + 1 and rescales it by its own slope 1 or 2."""
    one = ct_slice(1, rows=4, columns=3)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        del one[keyword]
    for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType", "AcquisitionNumber"):
        del one[keyword]
    one.SOPClassUID = EnhancedCTImageStorage
    one.NumberOfFrames = len(positions)
    one.SharedFunctionalGroupsSequence = DicomSequence(
        [
            item(
                PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
                PixelMeasuresSequence=item(PixelSpacing=[1, 1], SliceThickness=2),
            )
        ]
    )
    one.PerFrameFunctionalGroupsSequence = DicomSequence(
        [
            item(
                PlanePositionSequence=item(ImagePositionPatient=[0, 0, height]),
                PixelValueTransformationSequence=item(
                    RescaleSlope=1 + number % 2, RescaleIntercept=0, RescaleType="HU"
                ),
                FrameContentSequence=item(TemporalPositionIndex=phases[number] if phases else 1),
            )
            for number, height in enumerate(positions)
        ]
    )
    one.PixelData = b"".join(np.full((4, 3), k + 1, "<i2").tobytes() for k in range(len(positions)))
    return one


def test_enhanced_frames_are_sorted_and_rescaled_each() -> None:
    volume = built([enhanced([4, 2, 0])]).volumes[0]
    assert volume.frame_numbers == (3, 2, 1)
    assert volume.array[:, 0, 0].tolist() == [3, 4, 1]
    assert volume.unit == HOUNSFIELD


def test_enhanced_phases_become_a_volume_each() -> None:
    volumes = built([enhanced([0, 2, 4, 0, 2, 4], phases=[1, 1, 1, 2, 2, 2])]).volumes
    assert [v.frame_numbers for v in volumes] == [(1, 2, 3), (4, 5, 6)]


def test_too_few_frames_in_the_pixels_are_refused() -> None:
    one = enhanced([0, 2, 4])
    volumes = build_volumes([one], lambda index: np.zeros((2, 4, 3), dtype=np.int16))
    assert "fewer frames in the pixel data" in volumes.refused[0]


def test_each_enhanced_instance_is_decoded_once() -> None:
    instances = [enhanced([0, 2, 4]), enhanced([6, 8, 10])]
    asked: list[int] = []

    def pixels(index: int) -> np.ndarray:
        asked.append(index)
        return stored(instances[index])

    assert build_volumes(instances, pixels).volumes[0].shape[0] == 6
    assert sorted(asked) == [0, 1]
