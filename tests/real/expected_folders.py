"""What becomes of the objects of each folder, sent in the order of ``real_files.folders``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Expected:
    """How many objects of a folder were archived, came again unchanged or changed, are held, or were refused.

    ``held`` and ``refused`` say why; what is refused has no status where the node takes no such SOP class.
    """

    archived: int = 0
    duplicates: int = 0
    kept_first: int = 0
    held: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


NO_CLASS = "No SOP Class UID (0008,0016)"
NO_STUDY = "No Study Instance UID (0020,000D)"
PIXEL_REST = "Pixel Data is longer than Rows, Columns and Frames say: the rest may be anything"

SHARED: dict[str, Expected] = {
    "burned-in": Expected(7, kept_first=1),
    "charset": Expected(
        11, duplicates=1, held={NO_CLASS: 2, "Computed Radiography Image Storage without Pixel Data": 2}
    ),
    "colour": Expected(20, kept_first=10, held={NO_STUDY: 2}),
    "dicomdir": Expected(0, refused={"no storage class": 7}),
    "dicomdir/77654033": Expected(7),
    "dicomdir/98892001": Expected(7),
    "dicomdir/98892003": Expected(17),
    "enhanced-multiframe": Expected(2, kept_first=4),
    "lut-overlay": Expected(4, kept_first=1),
    "mr-deidentified-header": Expected(64),
    "mr-enhanced-xa30/07_func-bold_task-fa_run-1": Expected(3),
    "mr-enhanced-xa30/09_gre_field_mapping": Expected(1),
    "mr-enhanced-xa30/12_DWI_dir80_PA": Expected(1),
    "mr-enhanced-xa30/14_DWI_dir80_PA": Expected(1),
    "mr-enhanced-xa30/25_asl_2d_tra": Expected(2),
    "mr-t1-defaced": Expected(384),
    "presentation-state": Expected(4, held={NO_STUDY: 1}),
    "projection-and-large": Expected(5),
    "rt": Expected(3, kept_first=3),
    "seg-encodings": Expected(6, kept_first=1),
    "seg-sr-dcmqi/labelmap": Expected(1, kept_first=1),
    "seg-sr-dcmqi/liver": Expected(4, kept_first=1),
    "seg-sr-dcmqi/small-23x38x3": Expected(5),
    "seg-sr-dcmqi/small-24x38x3": Expected(5),
    "seg-sr-dcmqi/tid1500-pet": Expected(3),
    "seg-sr-highdicom": Expected(24, kept_first=1),
    "sr-waveform-doc": Expected(5),
    "synthetic": Expected(4),
    "transfer-syntax/ct-one-image": Expected(7, kept_first=8),
    "transfer-syntax/fragments": Expected(3, kept_first=11, refused={"C001 Affected SOP Instance UID is not a UID": 1}),
    "transfer-syntax/mr-small": Expected(1, duplicates=1, kept_first=6),
    "transfer-syntax/various": Expected(5, duplicates=1, kept_first=1, held={NO_STUDY: 6}),
    "ultrasound": Expected(4, kept_first=1),
    "bad-input": Expected(
        2,
        kept_first=3,
        held={
            PIXEL_REST: 1,
            "Cut short in its header at (300A,00B0)": 1,
            NO_CLASS: 1,
            "Study Instance UID (0020,000D) is not a UID": 1,
            "Cut short in its Pixel Data": 2,
            "Cut short in its header": 1,
            "Cut short in its encapsulated Pixel Data": 1,
            "SOP Instance UID (0008,0018) is not a UID": 1,
        },
    ),
    "private-tags": Expected(0, held={NO_CLASS: 2}, refused={"no storage class": 1}),
}

WHEEL: dict[str, Expected] = {
    "charset_files": Expected(
        11, duplicates=1, held={NO_CLASS: 2, "Computed Radiography Image Storage without Pixel Data": 3}
    ),
    "palettes": Expected(0, held={NO_STUDY: 8}),
    "test_files": Expected(
        35,
        duplicates=2,
        kept_first=24,
        held={
            PIXEL_REST: 1,
            "Cut short in its header at (300A,00B0)": 1,
            NO_CLASS: 3,
            NO_STUDY: 4,
            "Cut short in its Pixel Data": 1,
        },
        refused={"no storage class": 1},
    ),
    "test_files/dicomdirtests": Expected(
        31, held={"CT Image Storage without Pixel Data": 50}, refused={"no storage class": 8}
    ),
}

# No DICOM files at all, or without the file meta that says what they are.
NOT_SENDABLE: dict[str, dict[str, list[str]]] = {
    "shared": {
        "bad-input": [
            "CTImageStorage_bad_meta.dcm",
            "ExplVR_BigEndNoMeta.dcm",
            "ExplVR_LitEndNoMeta.dcm",
            "empty_charset_LEI.dcm",
            "gen-not-dicom.dcm",
            "gen-preamble-only.dcm",
            "gen-random-4k.dcm",
            "gen-zero-bytes.dcm",
            "meta_missing_tsyntax.dcm",
            "no_meta.dcm",
            "rtstruct.dcm",
            "zipMR.gz",
        ],
    },
    "wheel": {
        "charset_files": ["FileInfo.txt"],
        "palettes": ["README.md"],
        "test_files": [
            "ExplVR_BigEndNoMeta.dcm",
            "ExplVR_LitEndNoMeta.dcm",
            "README.txt",
            "crayons.icc",
            "empty_charset_LEI.dcm",
            "meta_missing_tsyntax.dcm",
            "no_meta.dcm",
            "rtplan.dump",
            "rtstruct.dcm",
            "rtstruct.dump",
            "test1.json",
            "test_PN.json",
            "zipMR.gz",
        ],
        "test_files/dicomdirtests": ["README.txt", "README"],
    },
}
