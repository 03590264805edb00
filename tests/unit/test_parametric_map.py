"""A number for each voxel becomes a Parametric Map and comes back to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.dataset import Dataset

from service.core.annotations import ParameterMap
from service.core.codes import Code, ucum
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.parametric_map import write_parametric_map
from service.objects.parametric_map_reader import parameter_maps_of
from service.objects.validation import validate
from tests.structure_sets import READER, as_read
from tests.volumes import ALGORITHM, MEAN, ct_sources, volume_of
from tests.written_results import VOLUMES, axial, context

DIFFUSION = Code("113041", "DCM", "Apparent Diffusion Coefficient")
FIT = Code("113250", "DCM", "Mono-exponential ADC model")
UNIT = ucum("mm2/s", "square millimeter per second")


def a_map(volume: Volume, values: npt.NDArray[np.float32] | None = None) -> ParameterMap:
    drawn = np.random.default_rng(1).normal(size=volume.shape).astype(np.float32) if values is None else values
    return ParameterMap("ADC of the prostate", DIFFUSION, UNIT, drawn, method=FIT, derivation=MEAN)


def written(volume: Volume, parameters: ParameterMap | None = None) -> Dataset:
    made = parameters or a_map(volume)
    return as_read(write_parametric_map(made, ALGORITHM, "Diffusion", volume, context()))


@pytest.mark.parametrize("name", VOLUMES)
def test_map_comes_back_as_it_was(name: str) -> None:
    volume = VOLUMES[name]()
    made = a_map(volume)
    (back,) = parameter_maps_of(written(volume, made), volume)
    for said in ("label", "quantity", "unit", "method", "derivation"):
        assert getattr(back, said) == getattr(made, said), said
    assert np.array_equal(back.values, made.values)


@settings(max_examples=25, deadline=None)
@given(values=arrays(np.float32, (2, 3, 5), elements=st.floats(width=32)).filter(lambda one: np.isfinite(one).any()))
def test_every_float_comes_back_to_the_bit(values: npt.NDArray[np.float32]) -> None:
    volume = volume_of(ct_sources(2, rows=3, columns=5))
    (back,) = parameter_maps_of(written(volume, a_map(volume, values)), volume)
    assert back.values.tobytes() == values.tobytes()


@pytest.mark.parametrize("name", VOLUMES)
def test_map_breaks_no_rule(name: str) -> None:
    volume = VOLUMES[name]()
    assert [str(problem) for problem in validate(written(volume), sources=volume.sources)] == []


@pytest.mark.parametrize("name", ["axial", "oblique", "enhanced"])
def test_highdicom_reads_the_same_values_in_the_same_place(name: str) -> None:
    volume = VOLUMES[name]()
    made = a_map(volume)
    read = hd.Image.from_dataset(written(volume, made))
    seen = read.get_volume(dtype=np.float32)
    where = volume.to_index(seen.affine[:3, 3])
    order = slice(None) if np.allclose(where, 0, atol=1e-6) else slice(None, None, -1)
    assert np.array_equal(seen.array, made.values[order])


def test_frame_names_the_frame_that_it_was_made_from() -> None:
    volume = VOLUMES["enhanced"]()
    groups = written(volume).PerFrameFunctionalGroupsSequence
    sources = [one.DerivationImageSequence[0].SourceImageSequence[0] for one in groups]
    assert [one.ReferencedFrameNumber for one in sources] == list(volume.frame_numbers)
    assert {one.ReferencedSOPInstanceUID for one in sources} == {volume.sources[0].SOPInstanceUID}


def test_person_is_the_creator_of_the_content() -> None:
    data_set = write_parametric_map(a_map(axial()), READER, "Diffusion", axial(), context())
    assert data_set.ContentCreatorName == "Reader^First"


def test_double_floats_and_mapped_integers_are_read() -> None:
    volume = axial()
    data_set = written(volume)
    del data_set.FloatPixelData
    data_set.BitsAllocated = data_set.BitsStored = 16
    data_set.HighBit, data_set.PixelRepresentation = 15, 0
    stored = np.arange(np.prod(volume.shape), dtype="<u2").reshape(volume.shape)
    data_set.PixelData = stored.tobytes()
    mapping = data_set.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.5, -3.0
    (back,) = parameter_maps_of(data_set, volume)
    assert np.array_equal(back.values, stored * np.float32(0.5) - 3)
    del data_set.PixelData
    data_set.BitsAllocated = 64
    data_set.DoubleFloatPixelData = stored.astype("<f8").tobytes()
    (back,) = parameter_maps_of(data_set, volume)
    assert np.array_equal(back.values, stored * np.float32(0.5) - 3)


def test_slice_without_a_frame_is_no_number() -> None:
    volume = axial()
    data_set = written(volume)
    data_set.PerFrameFunctionalGroupsSequence = data_set.PerFrameFunctionalGroupsSequence[:5]
    data_set.NumberOfFrames = 5
    data_set.FloatPixelData = data_set.FloatPixelData[: 5 * 16 * 16 * 4]
    (back,) = parameter_maps_of(data_set, volume)
    assert np.isnan(back.values[5:]).all()
    assert np.array_equal(back.values[:5], a_map(volume).values[:5])


def test_frames_of_two_quantities_are_two_maps() -> None:
    volume = axial()
    data_set = written(volume)
    shared = data_set.SharedFunctionalGroupsSequence[0]
    (mapping,) = shared.RealWorldValueMappingSequence
    del shared.RealWorldValueMappingSequence
    other = Dataset()
    other.update(mapping)
    other.LUTExplanation = "Other"
    for number, groups in enumerate(data_set.PerFrameFunctionalGroupsSequence):
        groups.RealWorldValueMappingSequence = [mapping if number < 4 else other]
    first, second = parameter_maps_of(data_set, volume)
    assert (first.label, second.label) == ("ADC of the prostate", "Other")
    assert np.isnan(first.values[4:]).all()
    assert np.isnan(second.values[:4]).all()


def empty_of_numbers() -> object:
    return written(axial(), a_map(axial(), np.full(axial().shape, np.nan, dtype=np.float32)))


def of_another_size() -> object:
    return written(axial(), a_map(axial(), np.zeros((2, 3, 4), dtype=np.float32)))


def without_frame_of_reference() -> object:
    return written(replace(axial(), frame_of_reference_uid=""))


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (empty_of_numbers, "no value is a number"),
        (of_another_size, "does not fit"),
        (without_frame_of_reference, "no Frame of Reference"),
    ],
)
def test_what_cannot_be_written_is_refused(refused: Callable[[], object], words: str) -> None:
    with pytest.raises(ObjectInvalid, match=words):
        refused()


def of_another_class(data_set: Dataset) -> None:
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"


def in_another_frame_of_reference(data_set: Dataset) -> None:
    data_set.FrameOfReferenceUID = "2.25.1"


def without_mapping(data_set: Dataset) -> None:
    del data_set.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence


def off_the_slices(data_set: Dataset) -> None:
    data_set.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient[2] += 0.7


def twice_on_a_slice(data_set: Dataset) -> None:
    groups = data_set.PerFrameFunctionalGroupsSequence
    groups[2].PlanePositionSequence = groups[1].PlanePositionSequence


def turned(data_set: Dataset) -> None:
    orientation = data_set.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def cut_short(data_set: Dataset) -> None:
    data_set.FloatPixelData = data_set.FloatPixelData[:100]


def of_other_pixels(data_set: Dataset) -> None:
    data_set.Rows = 8


@pytest.mark.parametrize(
    ("breaking", "words"),
    [
        (of_another_class, "not a Parametric Map"),
        (in_another_frame_of_reference, "another Frame of Reference"),
        (without_mapping, "frame 1 does not say by Real World Value Slope"),
        (off_the_slices, "frame 3 lies on no slice: it is 0.70 mm"),
        (twice_on_a_slice, "frame 3 lies on the slice of another frame"),
        (turned, "frame 1 has another orientation"),
        (cut_short, "cannot be read"),
        (of_other_pixels, "8 × 16 pixels, the images 16 × 16"),
    ],
)
def test_map_that_does_not_fit_is_refused(breaking: Callable[[Dataset], None], words: str) -> None:
    data_set = written(axial())
    breaking(data_set)
    with pytest.raises(ObjectInvalid, match=words):
        parameter_maps_of(data_set, axial())
