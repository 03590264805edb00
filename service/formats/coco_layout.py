"""A dataset as COCO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from service.formats.case import Case, LabelledFinding
from service.formats.case_record import CaseRecord, DatasetDescription, Json, Records, parts_of
from service.formats.coco_keypoints import POINTS, Skeleton, points_entry, skeletons_of
from service.formats.finding_shapes import MaskShape, PointsShape, PolygonShape, Shape
from service.formats.json_stream import write_object
from service.formats.layout import CaseFiles
from service.formats.picture_layout import PictureLayout, shapes_by_slice
from service.formats.run_lengths import encoded
from service.formats.staged_file import DatasetFolder, WrittenFile


class CocoLayout(PictureLayout):
    """``images/PART/CASE/SLICE.png`` and ``annotations/instances_PART.json``.

    Masks are run lengths, contours polygons, boxes boxes, points key points; a category has the names of all key points
    that the dataset holds of it, and an annotation leaves out (0, 0, 0) those that it lacks. What COCO has no place for
    stands under ``annogate`` in images and annotations, so that `annogate import coco` finds its way back.
    """

    name = "coco"

    def write(self, case: Case, files: CaseFiles) -> Any:
        """Pictures and annotations of a case, without numbers: these count through the dataset."""
        found = shapes_by_slice(case)
        folder = f"images/{case.part}/{case.name}"
        pictures = self.pictures(case, set(found), lambda number: f"{folder}/{number + 1:04d}.png", files)
        _, rows, columns = case.images.shape
        entries = [
            one
            | {
                "width": columns,
                "height": rows,
                "annotations": [_annotation(item, shape, rows, columns) for item, shape in found[one["slice"]]],
            }
            for one in pictures
        ]
        return {"pictures": self.picture_rows(case, pictures), "entries": entries}

    def finish(self, dataset: DatasetDescription, records: Records, folder: DatasetFolder) -> list[WrittenFile]:
        """A file of annotations for each part."""
        skeletons = skeletons_of(entry for record in records() for entry in record.own["entries"])
        return [self._write_part(part, dataset, records, skeletons, folder) for part in parts_of(records)]

    def _write_part(
        self,
        part: str,
        dataset: DatasetDescription,
        records: Records,
        skeletons: Mapping[str, Skeleton],
        folder: DatasetFolder,
    ) -> WrittenFile:
        numbers = {label.name: label.number for label in self.labels}
        members = {
            "info": {
                "description": dataset.description or dataset.name,
                "version": "1.0",
                "year": int(dataset.created[:4]),
                "date_created": dataset.created,
            },
            "licenses": [{"id": 1, "name": dataset.licence or "not stated", "url": ""}],
            "categories": [
                {"id": number, "name": name, "supercategory": "", **skeletons.get(name, Skeleton()).members}
                for name, number in numbers.items()
            ],
            "images": _images(part, records),
            "annotations": _annotations(part, records, numbers, skeletons),
        }
        return folder.write(f"annotations/instances_{part}.json", lambda sink: write_object(sink, members))


def _entries(part: str, records: Records) -> Iterator[tuple[int, CaseRecord, Json]]:
    """The pictures of a part, numbered from 1."""
    of_part = ((record, entry) for record in records() if record.part == part for entry in record.own["entries"])
    return ((number, record, entry) for number, (record, entry) in enumerate(of_part, start=1))


def _images(part: str, records: Records) -> Iterator[Json]:
    for number, record, entry in _entries(part, records):
        yield {
            "id": number,
            "file_name": entry["file"].removeprefix("images/"),
            "width": entry["width"],
            "height": entry["height"],
            "license": 1,
            "annogate": {
                "case": record.case,
                "patient": record.patient,
                "series_uid": record.series_uid,
                "sop_instance_uid": entry["sop_instance_uid"],
                "frame": entry["frame"],
                "slice": entry["slice"],
                "window": entry["window"],
            },
        }


def _annotations(
    part: str, records: Records, numbers: Mapping[str, int], skeletons: Mapping[str, Skeleton]
) -> Iterator[Json]:
    identifier = 0
    for image, _, entry in _entries(part, records):
        for annotation in entry["annotations"]:
            identifier += 1
            label = annotation["label"]
            told = {key: value for key, value in annotation.items() if key not in ("label", POINTS)}
            if POINTS in annotation:
                told |= skeletons[label].key_points(annotation)
            yield {"id": identifier, "image_id": image, "category_id": numbers[label]} | told


def _annotation(one: LabelledFinding, shape: Shape, rows: int, columns: int) -> Json:
    left, top, right, bottom = shape.extent
    return {
        "label": one.label.name,
        "bbox": [left, top, right - left, bottom - top],
        "area": shape.area,
        "iscrowd": 0,
        **_region(shape, rows, columns),
        **({} if one.finding.confidence is None else {"score": one.finding.confidence}),
        "annogate": {
            "kind": _kind(shape),
            "finding": one.finding.label,
            "tracking_uid": one.finding.tracking_uid,
            "maker": one.maker,
        },
    }


def _region(shape: Shape, rows: int, columns: int) -> Json:
    if isinstance(shape, MaskShape):
        whole = np.zeros((rows, columns), dtype=bool)
        height, width = shape.inside.shape
        whole[shape.row : shape.row + height, shape.column : shape.column + width] = shape.inside
        return {"segmentation": encoded(whole)}
    if isinstance(shape, PointsShape):
        return {"segmentation": [], POINTS: points_entry(shape)}
    return {"segmentation": [[coordinate for point in shape.points for coordinate in point]]}


def _kind(shape: Shape) -> str:
    if isinstance(shape, PolygonShape):
        return "box" if shape.is_box else "polygon"
    if isinstance(shape, MaskShape):
        return "mask"
    return "keypoints" if shape.names else "point"
