"""Parametric Maps, ours or another maker's, read onto the grid of a volume (PS3.3 A.75)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from dicom_nodes.errors import GatewayError
from service.core.annotations import ParameterMap
from service.core.codes import Code
from service.core.slice_stacks import OFF_GRID_MM, ORIENTATION_TOLERANCE, SPACING_TOLERANCE
from service.core.stored_pixels import decode_pixels
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.content_tree import first_code, name_of
from service.objects.image_plane import ImagePlane, plane_of, planes_of
from service.objects.parametric_map import QUANTITY

_UNKNOWN_UNIT: Final = Code("1", "UCUM", "no units")


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What the values of a frame are, and how they come from the stored ones."""

    label: str
    quantity: Code
    unit: Code
    method: Code | None
    derivation: Code | None
    slope: float
    intercept: float


def parameter_maps_of(data_set: Dataset, volume: Volume) -> tuple[ParameterMap, ...]:
    """The maps of an object, one for each quantity, unit and label that its frames have, in their order.

    A slice without a frame is NaN. Values of other makers' double floats lose what 32 bits do not hold.

    Parameters
    ----------
    data_set : with its pixel data and file meta

    Raises
    ------
    ObjectInvalid : it is no Parametric Map, its pixels cannot be decoded, a frame does not say what its values are, or
        does not lie on a slice of the volume, or two of a map lie on one
    """
    if str(data_set.get("SOPClassUID", "")) != ParametricMapStorage:
        raise ObjectInvalid("not a Parametric Map")
    reference = str(data_set.get("FrameOfReferenceUID") or "")
    if reference != volume.frame_of_reference_uid:
        raise ObjectInvalid(
            "the map lies in another Frame of Reference than the images: give those that it was made from"
        )
    frames = _frames(data_set, volume)
    planes = planes_of(volume)
    maps: dict[_Meaning, npt.NDArray[np.float32]] = {}
    taken: set[tuple[_Meaning, int]] = set()
    for number, frame in enumerate(frames, 1):
        meaning = _meaning(data_set, number)
        place = _slice_of(plane_of(data_set, number), planes, number)
        if (meaning, place) in taken:
            raise ObjectInvalid(f"frame {number} lies on the slice of another frame of its map")
        taken.add((meaning, place))
        values = maps.setdefault(meaning, np.full(volume.shape, np.nan, dtype=np.float32))
        values[place] = _mapped(frame, meaning)
    return tuple(
        ParameterMap(one.label, one.quantity, one.unit, values, one.method, one.derivation)
        for one, values in maps.items()
    )


def _frames(data_set: Dataset, volume: Volume) -> npt.NDArray[Any]:
    """Stored values, shape (frames, rows, columns)."""
    size = (int(data_set.get("Rows") or 0), int(data_set.get("Columns") or 0))
    if size != volume.shape[1:]:
        raise ObjectInvalid(
            f"the map has {size[0]} × {size[1]} pixels, the images {volume.shape[1]} × {volume.shape[2]}"
        )
    try:
        pixels = decode_pixels(data_set)
    except GatewayError as error:
        raise ObjectInvalid(f"the map cannot be read: {error}") from error
    frames = pixels if pixels.ndim == 3 else pixels[np.newaxis]
    if len(frames) != len(data_set.get("PerFrameFunctionalGroupsSequence") or ()):
        raise ObjectInvalid("there are not as many items of Per-Frame Functional Groups as frames")
    return frames


def _mapped(stored: npt.NDArray[Any], meaning: _Meaning) -> npt.NDArray[np.float32]:
    """Real world values; the stored bits where these are the values already."""
    if stored.dtype == np.float32 and (meaning.slope, meaning.intercept) == (1.0, 0.0):
        return stored
    with np.errstate(over="ignore"):
        return (stored.astype(np.float64) * meaning.slope + meaning.intercept).astype(np.float32)


def _meaning(data_set: Dataset, number: int) -> _Meaning:
    """Real World Value Mapping of a frame, its own or the shared one (PS3.3 C.7.6.16.2.11); the first where several."""
    keyword = "RealWorldValueMappingSequence"
    own = data_set.PerFrameFunctionalGroupsSequence[number - 1]
    mapping = next(iter(own.get(keyword) or _shared_group(data_set).get(keyword) or ()), None)
    if mapping is None or mapping.get("RealWorldValueSlope") is None:
        raise ObjectInvalid(f"frame {number} does not say by Real World Value Slope what its values are")
    said = {
        (name.value, name.scheme): first_code(item, "ConceptCodeSequence")
        for item in mapping.get("QuantityDefinitionSequence") or ()
        if (name := name_of(item)) is not None
    }

    def value(name: Code) -> Code | None:
        return said.get((name.value, name.scheme))

    return _Meaning(
        label=str(mapping.get("LUTExplanation") or mapping.get("LUTLabel") or ""),
        quantity=value(QUANTITY) or QUANTITY,
        unit=first_code(mapping, "MeasurementUnitsCodeSequence") or _UNKNOWN_UNIT,
        method=value(concepts.MEASUREMENT_METHOD),
        derivation=value(concepts.DERIVATION),
        slope=float(mapping.RealWorldValueSlope),
        intercept=float(mapping.get("RealWorldValueIntercept") or 0.0),
    )


def _slice_of(plane: ImagePlane, planes: tuple[ImagePlane, ...], number: int) -> int:
    """Which slice a frame lies on, pixel on pixel."""
    away = np.linalg.norm(np.array([other.position for other in planes]) - plane.position, axis=1)
    nearest = int(away.argmin())
    other = planes[nearest]
    turned = np.abs(np.subtract(plane.orientation, other.orientation)).max() > ORIENTATION_TOLERANCE
    if turned or not np.allclose(plane.spacing_mm, other.spacing_mm, rtol=SPACING_TOLERANCE, atol=0):
        raise ObjectInvalid(f"frame {number} has another orientation or spacing than the images: resample the map")
    if away[nearest] > OFF_GRID_MM:
        raise ObjectInvalid(f"frame {number} lies on no slice: it is {away[nearest]:.2f} mm from the nearest one")
    return nearest


def _shared_group(data_set: Dataset) -> Dataset:
    """The item of Shared Functional Groups, empty where there is none."""
    items = list(data_set.get("SharedFunctionalGroupsSequence") or ())
    return items[0] if items else Dataset()
