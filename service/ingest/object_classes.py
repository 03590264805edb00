"""What the gateway must know of a SOP class to take an object in: does it hold pixels, does it mark a study."""

from __future__ import annotations

from functools import cache
from typing import Final

from dicom_nodes.storage_classes import standard_storage_classes

LABEL_MAP_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.7"

_PIXELS_BESIDE_IMAGES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.6.2",  # Enhanced US Volume
        "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        LABEL_MAP_SEGMENTATION,
    }
)


@cache
def _pixels_required() -> frozenset[str]:
    """Every class that is an image by its name: those IODs all have a mandatory pixel module (PS3.3 C.7.6.3)."""
    images = {uid for uid, name in standard_storage_classes().items() if "Image Storage" in name}
    return _PIXELS_BESIDE_IMAGES | images


def requires_pixels(sop_class_uid: str) -> bool:
    """Whether objects of this class are nothing without Pixel Data."""
    return sop_class_uid in _pixels_required()


def name_of(sop_class_uid: str) -> str:
    """The name of a storage SOP class, or its UID where it is a private one."""
    return standard_storage_classes().get(sop_class_uid, sop_class_uid)


_SR: Final = "1.2.840.10008.5.1.4.1.1.88."
_PRESENTATION_STATE: Final = "1.2.840.10008.5.1.4.1.1.11."

ANNOTATIONS: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.5",  # Surface Segmentation
        LABEL_MAP_SEGMENTATION,
        "1.2.840.10008.5.1.4.1.1.91.1",  # Microscopy Bulk Simple Annotations
        "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set
        "1.2.840.10008.5.1.4.1.1.481.11",  # RT Segment Annotation
    }
)


def marks_a_study(sop_class_uid: str) -> bool:
    """Whether such an object says something about images that are elsewhere.

    Segmentations, parametric maps, structure sets, annotations, every structured report (key objects are one of
    them) and every presentation state.
    """
    return sop_class_uid in ANNOTATIONS or sop_class_uid.startswith((_SR, _PRESENTATION_STATE))


_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


def may_be_result(sop_class_uid: str) -> bool:
    """Whether the gateway writes results of this class: pictures of a summary beside what marks a study."""
    return sop_class_uid == _SECONDARY_CAPTURE or marks_a_study(sop_class_uid)
