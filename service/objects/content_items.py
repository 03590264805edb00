"""Content items of a structured report (PS3.3 C.17.3), each made by one small function.

Value types and their attributes: PS3.3 Table C.17.3-7 and the macros of C.18. A relationship is written on the child.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat, format_number_as_ds

from service.core.codes import Code
from service.core.geometry import ImagePlace
from service.errors import ObjectInvalid

CONTAINS: Final = "CONTAINS"
HAS_CONCEPT_MOD: Final = "HAS CONCEPT MOD"
HAS_OBS_CONTEXT: Final = "HAS OBS CONTEXT"
HAS_ACQ_CONTEXT: Final = "HAS ACQ CONTEXT"
INFERRED_FROM: Final = "INFERRED FROM"
SELECTED_FROM: Final = "SELECTED FROM"

_CODE_VALUE_LENGTH: Final = 16
_MEANING_LENGTH: Final = 64
_MOST_COORDINATES: Final = 0xFFFE // 4
"""An FL has a length of 16 bits in Explicit VR (PS3.5 7.1.2)."""


def code_item(code: Code) -> Dataset:
    """A code sequence item (PS3.3 8.8); a value too long for Code Value goes into Long Code Value."""
    item = Dataset()
    if len(code.value) > _CODE_VALUE_LENGTH:
        item.LongCodeValue = code.value
    else:
        item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning[:_MEANING_LENGTH]
    return item


def _item(value_type: str, relationship: str | None, name: Code | None) -> Dataset:
    item = Dataset()
    if relationship is not None:
        item.RelationshipType = relationship
    item.ValueType = value_type
    if name is not None:
        item.ConceptNameCodeSequence = [code_item(name)]
    return item


def with_children(item: Dataset, children: Iterable[Dataset]) -> Dataset:
    """The item, holding the children; none is no sequence."""
    children = list(children)
    if children:
        item.ContentSequence = children
    return item


def container(
    name: Code, children: Iterable[Dataset], *, relationship: str | None = CONTAINS, template: str | None = None
) -> Dataset:
    """A CONTAINER, with the template that it follows (C.18.8); the root has no relationship."""
    item = _item("CONTAINER", relationship, name)
    item.ContinuityOfContent = "SEPARATE"
    if template is not None:
        identification = Dataset()
        identification.MappingResource = "DCMR"
        identification.MappingResourceUID = "1.2.840.10008.8.1.1"
        identification.TemplateIdentifier = template
        item.ContentTemplateSequence = [identification]
    return with_children(item, children)


def code(name: Code, value: Code, *, relationship: str = CONTAINS, children: Iterable[Dataset] = ()) -> Dataset:
    """A CODE."""
    item = _item("CODE", relationship, name)
    item.ConceptCodeSequence = [code_item(value)]
    return with_children(item, children)


def text(name: Code, value: str, *, relationship: str = CONTAINS) -> Dataset:
    """A TEXT."""
    item = _item("TEXT", relationship, name)
    item.TextValue = value
    return item


def pname(name: Code, value: str, *, relationship: str = CONTAINS) -> Dataset:
    """A PNAME."""
    item = _item("PNAME", relationship, name)
    item.PersonName = value
    return item


def uidref(name: Code, uid: str, *, relationship: str = CONTAINS) -> Dataset:
    """A UIDREF."""
    item = _item("UIDREF", relationship, name)
    item.UID = uid
    return item


def num(
    name: Code, value: float, unit: Code, *, relationship: str = CONTAINS, children: Iterable[Dataset] = ()
) -> Dataset:
    """A NUM; what 16 characters cannot say exactly is repeated as Floating Point Value (C.18.1).

    Raises
    ------
    ObjectInvalid : the value is not a finite number
    """
    if not math.isfinite(value):
        raise ObjectInvalid(f"{name.meaning}: {value} is not a number that a report can hold")
    item = _item("NUM", relationship, name)
    measured = Dataset()
    rounded = format_number_as_ds(float(value))
    measured.NumericValue = DSfloat(rounded)
    if float(rounded) != value:
        measured.FloatingPointValue = float(value)
    measured.MeasurementUnitsCodeSequence = [code_item(unit)]
    item.MeasuredValueSequence = [measured]
    return with_children(item, children)


def image_reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """An item of a sequence that names an instance (PS3.3 10.8)."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    return reference


def image(reference: Dataset, *, name: Code | None = None, relationship: str = CONTAINS) -> Dataset:
    """An IMAGE (C.18.4)."""
    item = _item("IMAGE", relationship, name)
    item.ReferencedSOPSequence = [reference]
    return item


def image_at(place: ImagePlace, *, name: Code | None = None, relationship: str = SELECTED_FROM) -> Dataset:
    """An IMAGE: an image, or frames of it (C.18.4)."""
    reference = image_reference(place.sop_class_uid, place.sop_instance_uid)
    if place.frames:
        reference.ReferencedFrameNumber = place.frames[0] if len(place.frames) == 1 else list(place.frames)
    return image(reference, name=name, relationship=relationship)


def _graphic_data(points: Sequence[Sequence[float]]) -> list[float]:
    numbers = [float(value) for point in points for value in point]
    if len(numbers) > _MOST_COORDINATES:
        raise ObjectInvalid(f"an outline of {len(points)} points: a report holds {_MOST_COORDINATES // 2}; thin it out")
    return numbers


def scoord_at(
    graphic_type: str,
    points: Sequence[Sequence[float]],
    place: ImagePlace,
    *,
    name: Code | None = None,
    relationship: str = INFERRED_FROM,
) -> Dataset:
    """An SCOORD of points (column, row), SELECTED FROM its image (C.18.6; TID 320 row 4)."""
    item = _item("SCOORD", relationship, name)
    item.GraphicType = graphic_type
    item.GraphicData = _graphic_data(points)
    return with_children(item, [image_at(place)])


def scoord3d(
    graphic_type: str,
    points: Sequence[Sequence[float]],
    frame_of_reference_uid: str,
    *,
    name: Code | None = None,
    relationship: str = INFERRED_FROM,
) -> Dataset:
    """An SCOORD3D of points (mm, LPS) (C.18.9)."""
    item = _item("SCOORD3D", relationship, name)
    item.GraphicType = graphic_type
    item.GraphicData = _graphic_data(points)
    item.ReferencedFrameOfReferenceUID = frame_of_reference_uid
    return item
