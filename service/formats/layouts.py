"""The formats of datasets by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import BadRequest
from service.formats.coco_layout import CocoLayout
from service.formats.labels import Label
from service.formats.layout import Layout
from service.formats.nifti_file import require_nibabel
from service.formats.pictures import Window
from service.formats.png_layout import PngLayout
from service.formats.table_layouts import CsvLayout, ParquetLayout
from service.formats.tables import require_parquet
from service.formats.training_layouts import DecathlonLayout, NnunetLayout
from service.formats.volume_layouts import NiftiLayout, NrrdLayout
from service.formats.yolo_layout import YoloLayout

Labels = tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class LayoutOptions:
    """What a user may say of a format, where it knows it.

    Parameters
    ----------
    each_finding : a mask for each finding (nifti)
    window : centre and width of what becomes grey (coco, yolo, yolo-seg, png)
    all_slices : slices without a mark as well (likewise)
    """

    each_finding: bool = False
    window: tuple[float, float] | None = None
    all_slices: bool = False

    @property
    def named(self) -> set[str]:
        """Those that were given."""
        given = {"each_finding": self.each_finding, "window": self.window, "all_slices": self.all_slices}
        return {name for name, value in given.items() if value}


def _pictures(options: LayoutOptions) -> dict[str, object]:
    return {"window": None if options.window is None else Window(*options.window), "all_slices": options.all_slices}


_OF_PICTURES: Final = {"window", "all_slices"}
_LAYOUTS: Final[dict[str, tuple[set[str], Callable[[Labels, LayoutOptions], Layout]]]] = {
    "nifti": ({"each_finding"}, lambda labels, options: NiftiLayout(labels, each_finding=options.each_finding)),
    "nrrd": (set(), lambda labels, _: NrrdLayout(labels)),
    "nnunet": (set(), lambda labels, _: NnunetLayout(labels)),
    "monai": (set(), lambda labels, _: DecathlonLayout(labels)),
    "coco": (_OF_PICTURES, lambda labels, options: CocoLayout(labels, **_pictures(options))),  # type: ignore[arg-type]
    "yolo": (_OF_PICTURES, lambda labels, options: YoloLayout(labels, **_pictures(options))),  # type: ignore[arg-type]
    "yolo-seg": (
        _OF_PICTURES,
        lambda labels, options: YoloLayout(labels, outlines=True, **_pictures(options)),  # type: ignore[arg-type]
    ),
    "png": (_OF_PICTURES, lambda labels, options: PngLayout(labels, **_pictures(options))),  # type: ignore[arg-type]
    "csv": (set(), lambda labels, _: CsvLayout(labels)),
    "parquet": (set(), lambda labels, _: ParquetLayout(labels)),
}
LAYOUTS: Final = tuple(_LAYOUTS)
_NIFTI: Final = frozenset({"nifti", "nnunet", "monai"})


def make_layout(name: str, labels: Labels, options: LayoutOptions, out: Path) -> Layout:
    """A format, ready to write.

    Raises
    ------
    BadRequest : there is none of the name, it knows not an option that was given, or asks for another folder
    SettingsInvalid : it needs a library that is not installed
    """
    if name not in _LAYOUTS:
        raise BadRequest(f"there is no format {name!r} (there are: {', '.join(_LAYOUTS)})")
    known, make = _LAYOUTS[name]
    if unknown := sorted(options.named - known):
        raise BadRequest(f"the format {name} knows no {', '.join(unknown).replace('_', ' ')}")
    if name == "nnunet":
        NnunetLayout.check_folder(out.resolve().name)
    if name == "parquet":
        require_parquet()
    if name in _NIFTI:
        require_nibabel()
    return make(labels, options)
