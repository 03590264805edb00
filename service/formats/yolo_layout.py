"""A dataset as YOLO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.formats.case import Case, LabelledFinding
from service.formats.case_record import DatasetDescription, Json, Records, parts_of
from service.formats.finding_shapes import Shape
from service.formats.labels import Label
from service.formats.layout import CaseFiles
from service.formats.picture_layout import PictureLayout, shapes_by_slice
from service.formats.pictures import Window
from service.formats.staged_file import DatasetFolder, WrittenFile


class YoloLayout(PictureLayout):
    """``images/PART/CASE/SLICE.png``, ``labels/PART/CASE/SLICE.txt`` and ``data.yaml``.

    A line of a text is a region, in shares of the picture. Classes count from 0 in the order of the mapping's numbers.

    Parameters
    ----------
    outlines : polygons in place of boxes; holes of masks are filled then
    """

    name = "yolo"

    def __init__(
        self,
        labels: tuple[Label, ...],
        *,
        outlines: bool = False,
        window: Window | None = None,
        all_slices: bool = False,
    ) -> None:
        super().__init__(labels, window=window, all_slices=all_slices)
        self._outlines = outlines
        self._classes = {label.name: place for place, label in enumerate(labels)}

    @property
    def options(self) -> Json:
        """Whether regions are polygons, too."""
        return super().options | {"outlines": self._outlines}

    def write(self, case: Case, files: CaseFiles) -> Any:
        """Pictures and texts; a picture without a mark has an empty text."""
        found = shapes_by_slice(case, with_points=False)
        place = f"{case.part}/{case.name}"
        pictures = self.pictures(case, set(found), lambda number: f"images/{place}/{number + 1:04d}.png", files)
        for one in pictures if case.findings is not None else ():
            lines = [line for item in found[one["slice"]] for line in self._lines(case, *item)]
            text = "".join(f"{line}\n" for line in lines).encode()
            files.write_bytes("label text", f"labels/{place}/{one['slice'] + 1:04d}.txt", text)
        return {"pictures": self.picture_rows(case, pictures)}

    def _lines(self, case: Case, one: LabelledFinding, shape: Shape) -> Iterator[str]:
        _, rows, columns = case.images.shape
        number = self._classes[one.label.name]
        if self._outlines:
            for polygon in shape.polygons():
                shares = [share for x, y in polygon for share in (x / columns, y / rows)]
                yield " ".join([str(number), *map(_share, shares)])
        else:
            left, top, right, bottom = shape.extent
            middle = ((left + right) / 2 / columns, (top + bottom) / 2 / rows)
            yield " ".join([str(number), *map(_share, (*middle, (right - left) / columns, (bottom - top) / rows))])

    def finish(self, dataset: DatasetDescription, records: Records, folder: DatasetFolder) -> list[WrittenFile]:
        """data.yaml; a dataset without a part for validation names its training part for it, as the tools ask."""
        parts = parts_of(records)
        keys = {"train": "train", "validation": "val", "test": "test"}
        lines = [f"# {' '.join(dataset.name.split())}", "path: ."]
        lines += [f"{keys[part]}: images/{part}" for part in parts]
        if "validation" not in parts and "train" in parts:
            lines.append("val: images/train")
        lines += ["names:", *(f"  {place}: {label.name}" for place, label in enumerate(self.labels))]
        return [folder.write_bytes("data.yaml", ("\n".join(lines) + "\n").encode())]


def _share(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0):.8g}"
