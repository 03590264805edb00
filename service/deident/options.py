"""The options of PS3.15 Annex E and the codes of CID 7050 that say that one was applied."""

from __future__ import annotations

MODIFIED_DATES = "retain_longitudinal_modified_dates"
FULL_DATES = "retain_longitudinal_full_dates"
SAFE_PRIVATE = "retain_safe_private"
RETAIN_UIDS = "retain_uids"
CLEAN_DESCRIPTORS = "clean_descriptors"
CLEAN_CONTENT = "clean_structured_content"
CLEAN_GRAPHICS = "clean_graphics"
CLEAN_PIXEL_DATA = "clean_pixel_data"
CLEAN_FACES = "clean_recognizable_visual_features"
PIXEL_OPTIONS = (CLEAN_PIXEL_DATA, CLEAN_FACES)
"""Options without a column in Table E.1-1: true of an object only when its own pixels were cleaned."""

BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")
OPTION_CODES = {
    SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
    RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    "retain_device_identity": ("113109", "Retain Device Identity Option"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    FULL_DATES: ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    MODIFIED_DATES: ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    CLEAN_CONTENT: ("113104", "Clean Structured Content Option"),
    CLEAN_GRAPHICS: ("113103", "Clean Graphics Option"),
    CLEAN_PIXEL_DATA: ("113101", "Clean Pixel Data Option"),
    CLEAN_FACES: ("113102", "Clean Recognizable Visual Features Option"),
}
"""CID 7050 (PS3.16): the code that says that an option was applied."""
CLEANING_OPTIONS = frozenset(
    {
        CLEAN_DESCRIPTORS,
        CLEAN_CONTENT,
        CLEAN_GRAPHICS,
        "retain_patient_characteristics",
        "retain_device_identity",
    }
)
"""Options that keep of some texts what is harmless (C in their column)."""
