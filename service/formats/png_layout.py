"""A dataset as plain pictures: PNG, with images of labels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from service.errors import FormatRefused
from service.formats.case import Case, label_image
from service.formats.case_record import DatasetDescription, Records
from service.formats.json_stream import write_object
from service.formats.layout import CaseFiles
from service.formats.picture_layout import PictureLayout
from service.formats.pictures import palette_png
from service.formats.staged_file import DatasetFolder, WrittenFile

_LARGEST_NUMBER: Final = 255


class PngLayout(PictureLayout):
    """``images/CASE/SLICE.png`` and ``masks/CASE/SLICE.png``, where a pixel is the number of its label."""

    name = "png"

    def write(self, case: Case, files: CaseFiles) -> Any:
        """Pictures and images of labels."""
        marked: set[int] = set()
        image = None
        if case.findings is not None:
            numbers = {label.name: label.number for label in self.labels}
            if max(numbers.values()) > _LARGEST_NUMBER:
                raise FormatRefused(f"a palette has {_LARGEST_NUMBER} colours beside the background; number labels so")
            image = label_image(case, self.labels, numbers).astype(np.uint8)
            marked = set(np.flatnonzero(image.any(axis=(1, 2))).tolist())
        pictures = self.pictures(case, marked, lambda number: f"images/{case.name}/{number + 1:04d}.png", files)
        if image is not None:
            for number in (one["slice"] for one in pictures):
                path = f"masks/{case.name}/{number + 1:04d}.png"
                files.write_bytes("labels", path, palette_png(image[number], self.labels))
        return {"pictures": self.picture_rows(case, pictures)}

    def finish(self, dataset: DatasetDescription, records: Records, folder: DatasetFolder) -> list[WrittenFile]:  # noqa: ARG002 (as every format)
        """Which number is which label, in which colour."""
        labels = [{"number": one.number, "name": one.name, "colour": one.colour} for one in self.labels]
        members = {"name": dataset.name, "background": 0, "labels": labels}
        return [folder.write("labels.json", lambda sink: write_object(sink, members))]
