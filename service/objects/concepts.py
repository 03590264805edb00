"""Coded concepts of PS3.16 that the objects here are made of."""

from __future__ import annotations

from typing import Final

from service.core.codes import Code, ucum
from service.core.geometry import ShapeKind


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


# TID 1500 and its containers
IMAGING_MEASUREMENT_REPORT: Final = _dcm("126000", "Imaging Measurement Report")
LANGUAGE: Final = _dcm("121049", "Language of Content Item and Descendants")
ENGLISH: Final = Code("en", "RFC5646", "English")
PROCEDURE_REPORTED: Final = _dcm("121058", "Procedure reported")
IMAGING_MEASUREMENTS: Final = _dcm("126010", "Imaging Measurements")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
FINDINGS_SUMMARY: Final = _dcm("111017", "CAD Processing and Findings Summary")
WITH_FINDINGS: Final = _dcm("111242", "All algorithms succeeded; with findings")
WITHOUT_FINDINGS: Final = _dcm("111241", "All algorithms succeeded; without findings")
COMMENT: Final = _dcm("121106", "Comment")

# TID 1002 and 1004, observer context
OBSERVER_TYPE: Final = _dcm("121005", "Observer Type")
DEVICE: Final = _dcm("121007", "Device")
PERSON: Final = _dcm("121006", "Person")
PERSON_OBSERVER_NAME: Final = _dcm("121008", "Person Observer Name")
PERSON_OBSERVER_ORGANIZATION: Final = _dcm("121009", "Person Observer's Organization Name")
PERSON_OBSERVER_LOGIN: Final = _dcm("128774", "Person Observer's Login Name")
DEVICE_OBSERVER_UID: Final = _dcm("121012", "Device Observer UID")
DEVICE_OBSERVER_NAME: Final = _dcm("121013", "Device Observer Name")
DEVICE_OBSERVER_MANUFACTURER: Final = _dcm("121014", "Device Observer Manufacturer")
DEVICE_OBSERVER_MODEL: Final = _dcm("121015", "Device Observer Model Name")

# TID 1600 and 1602, image library
IMAGE_LIBRARY: Final = _dcm("111028", "Image Library")
IMAGE_LIBRARY_GROUP: Final = _dcm("126200", "Image Library Group")
MODALITY: Final = _dcm("121139", "Modality")
FRAME_OF_REFERENCE_UID: Final = _dcm("112227", "Frame of Reference UID")
PIXEL_DATA_ROWS: Final = _dcm("110910", "Pixel Data Rows")
PIXEL_DATA_COLUMNS: Final = _dcm("110911", "Pixel Data Columns")
HORIZONTAL_PIXEL_SPACING: Final = _dcm("111026", "Horizontal Pixel Spacing")
VERTICAL_PIXEL_SPACING: Final = _dcm("111066", "Vertical Pixel Spacing")
SPACING_BETWEEN_SLICES: Final = _dcm("112226", "Spacing between slices")
PIXELS: Final = ucum("{pixels}", "pixels")
MILLIMETRE: Final = ucum("mm", "millimeter")
SQUARE_MILLIMETRE: Final = ucum("mm2", "square millimeter")
DEGREE: Final = ucum("deg", "degree")
SECOND: Final = ucum("s", "second")

# TID 4019, algorithm identification
ALGORITHM_NAME: Final = _dcm("111001", "Algorithm Name")
ALGORITHM_VERSION: Final = _dcm("111003", "Algorithm Version")
ALGORITHM_MANUFACTURER: Final = _dcm("122405", "Algorithm Manufacturer")
ALGORITHM_PARAMETERS: Final = _dcm("111002", "Algorithm Parameters")
ALGORITHM_FAMILY: Final = _dcm("111000", "Algorithm Family")

# Measurement groups: TID 1410, 1411, 1501, with 300 and 1419
MEASUREMENT_GROUP: Final = _dcm("125007", "Measurement Group")
TRACKING_IDENTIFIER: Final = _dcm("112039", "Tracking Identifier")
TRACKING_UID: Final = _dcm("112040", "Tracking Unique Identifier")
ACTIVITY_SESSION: Final = Code("C67447", "NCIt", "Activity Session")
TIME_POINT_CONTEXT: Final = (
    _dcm("126070", "Subject Time Point Identifier"),
    _dcm("126071", "Protocol Time Point Identifier"),
    Code("C2348792", "UMLS", "Time Point"),
    _dcm("126072", "Time Point Type"),
)
"""What TID 1502 says of a time point in words and codes."""
FINDING_CATEGORY: Final = _sct("276214006", "Finding category")
FINDING: Final = _dcm("121071", "Finding")
FINDING_SITE: Final = _sct("363698007", "Finding Site")
LATERALITY: Final = _sct("272741003", "Laterality")
REFERENCED_SEGMENT: Final = _dcm("121191", "Referenced Segment")
SOURCE_SERIES: Final = _dcm("121232", "Source series for segmentation")
SOURCE: Final = _sct("260753009", "Source")
IMAGE_REGION: Final = _dcm("111030", "Image Region")
MEASUREMENT_METHOD: Final = _sct("370129005", "Measurement Method")
DERIVATION: Final = _dcm("121401", "Derivation")
CERTAINTY: Final = _dcm("111012", "Certainty of Finding")
PERCENT: Final = ucum("%", "percent")
CENTER: Final = _dcm("111010", "Center")

# Lengths; OHIF knows the two axes by these very meanings.
LENGTH: Final = _sct("410668003", "Length")
ANGLE: Final = _sct("1483009", "Angle")
COBB_ANGLE: Final = _sct("285285000", "Cobb angle")
AREA: Final = _sct("42798000", "Area")
NUMBER_OF: Final = {ShapeKind.LINE: LENGTH, ShapeKind.ANGLE: ANGLE, ShapeKind.COBB_ANGLE: COBB_ANGLE}
"""What is measured by drawing such a shape."""
LONG_AXIS: Final = _sct("103339001", "Long Axis")
SHORT_AXIS: Final = _sct("103340004", "Short Axis")

# IHE AIR, Contributing Equipment
PROCESSING_EQUIPMENT: Final = _dcm("109102", "Processing Equipment")

# Segmentations
SEGMENTATION: Final = _dcm("113076", "Segmentation")
SOURCE_FOR_PROCESSING: Final = _dcm("121322", "Source image for image processing operation")
BACKGROUND: Final = _dcm("125040", "Background")

MODALITY_CODES: Final = {
    "CT": _dcm("CT", "Computed Tomography"),
    "MR": _dcm("MR", "Magnetic Resonance"),
    "PT": _dcm("PT", "Positron emission tomography"),
}

PROCEDURES: Final = {
    "CT": _sct("77477000", "Computed tomography"),
    "MR": _sct("113091000", "Magnetic resonance imaging"),
    "PT": _sct("82918005", "Positron emission tomography"),
}
"""What Procedure reported falls back on where the source names no procedure."""

IMAGING_PROCEDURE: Final = _sct("363679005", "Imaging procedure")


_OF_BEFORE: Final = {
    "G-C0E3": FINDING_SITE.value,
    "G-C171": LATERALITY.value,
    "G-C036": MEASUREMENT_METHOD.value,
    "R-427CE": FINDING_CATEGORY.value,
    "G-C05F": SOURCE.value,
    "G-D7FE": LENGTH.value,
    "G-A160": ANGLE.value,
    "F-00E5C": COBB_ANGLE.value,
    "G-A166": AREA.value,
    "G-A185": LONG_AXIS.value,
    "G-A186": SHORT_AXIS.value,
}
"""Concepts of SNOMED as they were coded until 2018, in the scheme SRT; reports of that time stay (PS3.16 8.1.1)."""


def same(left: Code, right: Code) -> bool:
    """Whether two codes name the same concept, whatever their meanings say."""
    if left.scheme == right.scheme:
        return left.value == right.value
    return {left.scheme, right.scheme} == {"SRT", "SCT"} and _of_today(left) == _of_today(right)


def _of_today(code: Code) -> str:
    return _OF_BEFORE.get(code.value, code.value) if code.scheme == "SRT" else code.value
