"""RT Structure Sets, ours or another maker's, read as findings (PS3.3 A.19), and filled as masks on request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from service.core.annotations import AnnotationSet, Author, PersonObserver
from service.core.codes import Code
from service.core.contour_masks import FilledContours, fill_contours
from service.core.findings import AlgorithmIdentification, Finding
from service.core.geometry import PatientPlace, Shape, ShapeKind
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.content_tree import code_from, first_code
from service.objects.result_context import NOT_FOR_DIAGNOSIS
from service.objects.structure_set_contours import CLOSED_PLANAR, OPEN_NONPLANAR, OPEN_PLANAR, POINT

CLOSED_PLANAR_XOR: Final = "CLOSEDPLANAR_XOR"
_LEAST_POINTS: Final = {CLOSED_PLANAR: 3, CLOSED_PLANAR_XOR: 3, OPEN_PLANAR: 2, OPEN_NONPLANAR: 2, POINT: 1}
_COLOUR: Final = (255, 160, 0)
_REGION: Final = Code("309825002", "SCT", "Spatial and Relational Concept")
_ANATOMICAL_STRUCTURE: Final = Code("123037004", "SCT", "Anatomical Structure")
_KINDS: Final = {
    "ORGAN": Code("113343008", "SCT", "Organ"),
    "GTV": Code("228791009", "SCT", "Gross tumor volume"),
    "CTV": Code("228792002", "SCT", "Clinical target volume"),
    "PTV": Code("228793007", "SCT", "Planning target volume"),
}
"""What an ROI is by its RT ROI Interpreted Type (PS3.3 C.8.8.8.1), where no code says so."""
_ANYTHING: Final = Code("111030", "DCM", "Image Region")
_UNKNOWN_FAMILY: Final = Code("123110", "DCM", "Artificial Intelligence")


@dataclass(frozen=True, slots=True, eq=False)
class ReadStructureSet:
    """What an RT Structure Set says.

    Parameters
    ----------
    annotations : a finding for each ROI that has a contour, its contours as shapes in the patient
    remarks : in words, what of it is no finding
    """

    annotations: AnnotationSet
    remarks: tuple[str, ...]


def read_structure_set(data_set: Dataset) -> ReadStructureSet:
    """Each ROI as a finding; several have one tracking UID where they are of one thing.

    Closed contours become polygons, open ones lines and polylines, in the Frame of Reference of their ROI; where
    several lie on one slice, what an odd number of them encloses is the region, be they CLOSED_PLANAR or
    CLOSEDPLANAR_XOR. An ROI without tracking UID gets one that is the same at each reading.

    Raises
    ------
    ObjectInvalid : it is no RT Structure Set, or an ROI cannot be read; the message names it by its number
    """
    if str(data_set.get("SOPClassUID", "")) != RTStructureSetStorage:
        raise ObjectInvalid("not an RT Structure Set")
    rois = list(data_set.get("StructureSetROISequence") or ())
    if not rois:
        raise ObjectInvalid("the structure set has no ROI")
    observations = _by_number(data_set, "RTROIObservationsSequence", rois)
    contours = _by_number(data_set, "ROIContourSequence", rois)
    labels = _labels(rois)
    findings, remarks = [], []
    for roi, label in zip(rois, labels, strict=True):
        number = _number(roi, "ROINumber")
        if number not in observations:
            raise ObjectInvalid(
                f"ROI {number} has no item in RT ROI Observations Sequence: have its maker add one (PS3.3 C.8.8.8)"
            )
        drawn = contours.get(number, Dataset())
        shapes = tuple(_shapes(number, roi, drawn))
        if shapes:
            findings.append(_finding(data_set, roi, label, observations[number], drawn, shapes))
        else:
            remarks.append(f"ROI {number} has no contour")
    return ReadStructureSet(AnnotationSet(_author(data_set, rois, observations), tuple(findings)), tuple(remarks))


def region_of(finding: Finding, volume: Volume) -> FilledContours:
    """What the closed contours of a finding enclose, as a mask in the grid of a volume.

    Raises
    ------
    ObjectInvalid : it has none, they lie in another Frame of Reference, or they do not fit the slices
    """
    closed = [
        shape
        for shape in finding.shapes
        if shape.kind in (ShapeKind.POLYGON, ShapeKind.FREEHAND) and isinstance(shape.place, PatientPlace)
    ]
    if not closed:
        raise ObjectInvalid(f"{finding.label}: it has no closed contour in the patient to fill")
    places = {shape.place.frame_of_reference_uid for shape in closed if isinstance(shape.place, PatientPlace)}
    if places - {"", volume.frame_of_reference_uid}:
        raise ObjectInvalid(
            f"{finding.label}: its contours lie in another Frame of Reference than the images: "
            "fill them on the images that they were drawn on"
        )
    return fill_contours([shape.points for shape in closed], volume)


def _number(item: Dataset, keyword: str) -> int:
    value = item.get(keyword)
    if value is None or value == "":
        raise ObjectInvalid(f"an ROI is without {keyword}")
    return int(value)


def _by_number(data_set: Dataset, keyword: str, rois: Sequence[Dataset]) -> dict[int, Dataset]:
    """The items of a sequence by the ROI that they refer to; of an ROI's observations the first."""
    known = [_number(roi, "ROINumber") for roi in rois]
    if len(set(known)) < len(known):
        raise ObjectInvalid("an ROI number is used twice: number the ROIs anew")
    found: dict[int, Dataset] = {}
    for item in data_set.get(keyword) or ():
        number = _number(item, "ReferencedROINumber")
        if number not in known:
            raise ObjectInvalid(f"{keyword} refers to ROI {number}, which is not in Structure Set ROI Sequence")
        found.setdefault(number, item)
    return found


def _labels(rois: Sequence[Dataset]) -> list[str]:
    """ROI names, each once: with their number where there is none or several have it."""
    names = [str(roi.get("ROIName") or "").strip() for roi in rois]
    times = Counter(names)
    return [
        name if name and times[name] == 1 else f"{name or 'ROI'} {_number(roi, 'ROINumber')}"
        for name, roi in zip(names, rois, strict=True)
    ]


def _shapes(number: int, roi: Dataset, drawn: Dataset) -> Iterator[Shape]:
    place = PatientPlace(str(roi.get("ReferencedFrameOfReferenceUID") or ""))
    for place_in_roi, contour in enumerate(drawn.get("ContourSequence") or (), 1):
        name = f"contour {place_in_roi} of ROI {number}"
        kind = str(contour.get("ContourGeometricType") or "")
        if kind not in _LEAST_POINTS:
            raise ObjectInvalid(f"{name}: its Contour Geometric Type is none of {', '.join(_LEAST_POINTS)}")
        points = _points(name, contour, closed=kind in (CLOSED_PLANAR, CLOSED_PLANAR_XOR))
        if len(points) < _LEAST_POINTS[kind] or (kind == POINT and len(points) > 1):
            raise ObjectInvalid(f"{name}: {len(points)} points make no {kind} contour: remove it or draw it again")
        yield Shape(_shape_kind(kind, len(points)), points, place)


def _points(name: str, contour: Dataset, *, closed: bool) -> tuple[tuple[float, float, float], ...]:
    """The points of a contour, the first one not repeated at the end of a closed one."""
    try:
        values = _coordinates(contour)
    except (TypeError, ValueError) as error:
        raise ObjectInvalid(f"{name}: a coordinate is no number") from error
    if not np.isfinite(values).all():
        raise ObjectInvalid(f"{name}: a coordinate is no number")
    stated = contour.get("NumberOfContourPoints")
    if len(values) % 3 or (stated is not None and len(values) != 3 * int(stated)):
        raise ObjectInvalid(
            f"{name}: {len(values)} coordinates do not make {stated} points of three: it may be cut short"
        )
    points = tuple((x, y, z) for x, y, z in values.reshape(-1, 3).tolist())
    while closed and len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
    return points


def _coordinates(contour: Dataset) -> npt.NDArray[np.float64]:
    """Contour Data as numbers; from its text where pydicom has not parsed it, which takes ten times as long."""
    element = contour.get_item("ContourData")
    if isinstance(element, RawDataElement):
        texts = (element.value or b"").decode("ascii").rstrip("\0 ").split("\\")
        return np.array([] if texts == [""] else texts, dtype=np.float64)
    return np.array(contour.get("ContourData") or (), dtype=np.float64).ravel()


def _shape_kind(kind: str, count: int) -> ShapeKind:
    if kind == POINT:
        return ShapeKind.POINT
    if kind in (OPEN_PLANAR, OPEN_NONPLANAR):
        return ShapeKind.LINE if count == 2 else ShapeKind.POLYLINE
    return ShapeKind.POLYGON


def _finding(
    data_set: Dataset, roi: Dataset, label: str, observation: Dataset, drawn: Dataset, shapes: tuple[Shape, ...]
) -> Finding:
    site = (observation.get("AnatomicRegionSequence") or [None])[0]
    kind = (observation.get("RTROIIdentificationCodeSequence") or [None])[0]
    stated = str(observation.get("RTROIInterpretedType") or "")
    side = _modifier(site, "AnatomicRegionModifierSequence") or _modifier(
        kind, "SegmentedPropertyTypeModifierCodeSequence"
    )
    colour = [int(value) for value in drawn.get("ROIDisplayColor") or _COLOUR]
    return Finding(
        label=label,
        tracking_uid=_tracking_uid(data_set, roi, observation),
        category=first_code(observation, "SegmentedPropertyCategoryCodeSequence")
        or (_ANATOMICAL_STRUCTURE if stated == "ORGAN" else _REGION),
        type=_KINDS.get(stated, _ANYTHING) if kind is None else code_from(kind),
        site=None if site is None else code_from(site),
        laterality=side,
        shapes=shapes,
        colour=(colour[0], colour[1], colour[2]) if len(colour) == 3 else _COLOUR,
        comment=str(roi.get("ROIDescription") or ""),
    )


def _modifier(item: Dataset | None, keyword: str) -> Code | None:
    return None if item is None else first_code(item, keyword)


def _tracking_uid(data_set: Dataset, roi: Dataset, observation: Dataset) -> str:
    """As the object says it; else one made of its UID and the ROI's number."""
    concept = (roi.get("ConceptualVolumeIdentificationSequence") or [Dataset()])[0]
    given = observation.get("TrackingUID") or concept.get("ConceptualVolumeUID")
    if given:
        return str(given)
    name = f"{data_set.get('SOPInstanceUID', '')} ROI {_number(roi, 'ROINumber')}"
    return f"2.25.{uuid5(NAMESPACE_OID, name).int}"


def _author(data_set: Dataset, rois: Sequence[Dataset], observations: dict[int, Dataset]) -> Author:
    """The algorithm that the first ROI names, else the person who interpreted or operated; both may be unsaid."""
    algorithm = (rois[0].get("ROIDerivationAlgorithmIdentificationSequence") or [None])[0]
    if algorithm is None or rois[0].get("ROIGenerationAlgorithm") == "MANUAL":
        names = [observation.get("ROIInterpreter") for observation in observations.values()]
        return PersonObserver(str(next(filter(None, names), None) or data_set.get("OperatorsName") or ""))
    pairs = [words.partition("=") for words in str(algorithm.get("AlgorithmParameters") or "").split(",") if words]
    return AlgorithmIdentification(
        name=str(algorithm.get("AlgorithmName", "")),
        version=str(algorithm.get("AlgorithmVersion", "")),
        manufacturer=str(algorithm.get("AlgorithmSource") or data_set.get("Manufacturer") or ""),
        family=first_code(algorithm, "AlgorithmFamilyCodeSequence") or _UNKNOWN_FAMILY,
        device_uid=str(data_set.get("DeviceUID") or ""),
        parameters={name: value for name, _, value in pairs},
        demonstrator=NOT_FOR_DIAGNOSIS in str(data_set.get("SeriesDescription") or ""),
    )
