"""Key points in COCO: a category names them and joins them, an annotation gives three numbers for each name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.errors import FormatRefused
from service.formats.case_record import Json
from service.formats.finding_shapes import PixelPoint, PointsShape

POINTS: Final = "points"
"""Under which an entry of a case keeps the points of an annotation until all names of the dataset are known."""
SINGLE: Final = "point"
"""What a point without a name is called, as COCO has none without."""
_SEEN: Final = 2
_NUMBERS: Final = 3


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The key points of one category.

    Parameters
    ----------
    names : in the order in which annotations give them
    edges : pairs of names that are joined
    """

    names: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()

    @property
    def members(self) -> Json:
        """What a category says of them; nothing where it has none. Numbers in a skeleton count from 1."""
        if not self.names:
            return {}
        places = {name: place for place, name in enumerate(self.names, start=1)}
        return {
            "keypoints": list(self.names),
            "skeleton": [[places[one], places[other]] for one, other in self.edges],
        }

    def key_points(self, annotation: Json) -> Json:
        """What an annotation says of its points: (column, row, 2) for each name, zeros for one that it lacks."""
        found = {name: (column, row) for name, column, row in annotation[POINTS]["at"]}
        triples = [(*found[name], _SEEN) if name in found else (0, 0, 0) for name in self.names]
        return {"keypoints": [value for triple in triples for value in triple], "num_keypoints": len(found)}

    def points_in(self, values: Iterable[float]) -> PointsShape | None:
        """The points that an annotation sees (their third number is above 0); None where it sees none.

        Raises
        ------
        FormatRefused : there are not three numbers for each name
        """
        numbers = list(values)
        if len(numbers) % _NUMBERS or (self.names and len(numbers) != _NUMBERS * len(self.names)):
            wanted = f"for each of the {len(self.names)} that its category names" if self.names else "each"
            raise FormatRefused(f"its keypoints are not three numbers {wanted}")
        triples = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
        seen = [place for place, (_, _, flag) in enumerate(triples) if flag > 0]
        if not seen:
            return None
        points: tuple[PixelPoint, ...] = tuple(triples[place][:2] for place in seen)
        if not self.names or self.names == (SINGLE,):
            return PointsShape(points)
        names = tuple(self.names[place] for place in seen)
        joined = tuple((names.index(one), names.index(other)) for one, other in self.edges if {one, other} <= {*names})
        return PointsShape(points, names, joined)


def points_entry(shape: PointsShape) -> Json:
    """The points of an annotation as an entry of a case keeps them."""
    names = shape.names or (SINGLE,) * len(shape.points)
    return {
        "at": [[name, *point] for name, point in zip(names, shape.points, strict=True)],
        "edges": [[names[one], names[other]] for one, other in shape.skeleton],
    }


def skeletons_of(entries: Iterable[Json]) -> dict[str, Skeleton]:
    """For each label that has points, the names of all of them in the order in which they first come."""
    names: dict[str, dict[str, None]] = {}
    edges: dict[str, dict[tuple[str, str], None]] = {}
    for label, points in _all_points(entries):
        names.setdefault(label, {}).update(dict.fromkeys(name for name, _, _ in points["at"]))
        edges.setdefault(label, {}).update(dict.fromkeys((one, other) for one, other in points["edges"]))
    return {label: Skeleton(tuple(found), tuple(edges[label])) for label, found in names.items()}


def _all_points(entries: Iterable[Json]) -> Iterator[tuple[str, Json]]:
    for entry in entries:
        for annotation in entry["annotations"]:
            if POINTS in annotation:
                yield annotation["label"], annotation[POINTS]


def skeleton_in(category: Mapping[str, Any]) -> Skeleton:
    """The key points that a category of a file names.

    Raises
    ------
    FormatRefused : names are none or come twice, or the skeleton joins one that is not there
    """
    names = category.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise FormatRefused("the keypoints of its category are not a list of names")
    told = tuple(" ".join(name.split()) for name in names)
    if len(set(told)) < len(told):
        raise FormatRefused("its category names a keypoint twice")
    edges = category.get("skeleton") or []
    if not isinstance(edges, list) or not all(_is_edge(edge, len(told)) for edge in edges):
        raise FormatRefused("the skeleton of its category joins keypoints that are not there: they count from 1")
    return Skeleton(told, tuple((told[one - 1], told[other - 1]) for one, other in edges))


def _is_edge(edge: Any, count: int) -> bool:
    return (
        isinstance(edge, list)
        and len(edge) == 2
        and all(isinstance(end, int) and not isinstance(end, bool) and 1 <= end <= count for end in edge)
    )


def is_number(value: Any) -> bool:
    """Whether a value of a file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
