"""What the gateway must know of a SOP class to take an object in: does it hold pixels, does it mark a study."""

from __future__ import annotations

from typing import Final

from pydicom._uid_dict import UID_dictionary

LABEL_MAP_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.7"

_PIXELS_BESIDE_IMAGES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.6.2",  # Enhanced US Volume
        "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        LABEL_MAP_SEGMENTATION,
    }
)


def _named_images() -> frozenset[str]:
    """SOP classes whose name says that they are images: their IODs all have a mandatory pixel module."""
    return frozenset(
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Image Storage" in name and "Spectroscopy" not in name
    )


PIXELS_REQUIRED: Final = _named_images() | _PIXELS_BESIDE_IMAGES
"""SOP classes whose objects are nothing without Pixel Data (Image Pixel Module and its kin, PS3.3 C.7.6.3)."""

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
