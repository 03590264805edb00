"""The places of a segmentation's frames: each once, in order, and where each frame lies among them or on a source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.core.source_frames import SourceFrame, SourceFrames, Space
from service.errors import ObjectInvalid
from service.objects.frame_place_reading import FramePlace
from service.objects.regular_steps import STEP_TOLERANCE, distances_along_normal

Indices = npt.NDArray[np.intp]
_SAME_PLACE_MM: Final = 0.01
_SAME_PLACE_SHARE: Final = 0.01
"""Of a pixel: what is nearer than this, or than the other, is the same place, since headers round."""
_SAME_COSINE: Final = 1e-3
_SAME_SPACING: Final = 1e-3


def own_places(header: Dataset, frames: Sequence[FramePlace]) -> tuple[SourceFrames, Indices]:
    """Each place that frames lie on, once, and the index of each frame's; shape (frames,).

    In the patient they are ordered by time, then along the normal; on a slide by plane, row and column; elsewhere by
    their source.
    """
    sliding = header.get("TotalPixelMatrixRows") is not None
    located = bool(header.get("FrameOfReferenceUID")) and all(one.position is not None for one in frames)
    keys = [_key(one, sliding=sliding, located=located) for one in frames]
    first: dict[Hashable, FramePlace] = {}
    for key, one in zip(keys, frames, strict=True):
        first.setdefault(key, one)
    distinct = list(first)
    ordered = [distinct[n] for n in _order(list(first.values()), sliding=sliding, located=located)]
    index = {key: place for place, key in enumerate(ordered)}
    said = [first[key] for key in ordered]
    return _source_frames(header, said, sliding=sliding), np.array([index[key] for key in keys], dtype=np.intp)


def _key(one: FramePlace, *, sliding: bool, located: bool) -> Hashable:
    if sliding:
        return one.position and one.position[2], one.matrix_position
    if located:
        return one.position, one.temporal_index, one.stack
    return one.references, one.temporal_index


def _order(said: Sequence[FramePlace], *, sliding: bool, located: bool) -> Sequence[int]:
    """Of the places, by what orders them; a stable sort keeps the rest as they came."""
    numbers = range(len(said))
    if sliding:
        return sorted(numbers, key=lambda n: (said[n].position or (0, 0, 0))[2:] + (said[n].matrix_position or (0, 0)))
    if not located:
        series = {uid: place for place, uid in enumerate(dict.fromkeys(_instance(one) for one in said))}
        return sorted(
            numbers, key=lambda n: (said[n].temporal_index or 0, series[_instance(said[n])], _number(said[n]))
        )
    along = np.rint(distances_along_normal([_source_frame(one) for one in said]) / STEP_TOLERANCE)
    return sorted(numbers, key=lambda n: (said[n].stack or "", said[n].temporal_index or 0, along[n]))


def _instance(one: FramePlace) -> str:
    return one.references[0][1] if one.references else ""


def _number(one: FramePlace) -> int:
    return min(one.references[0][2], default=0) if one.references else 0


def _source_frame(one: FramePlace) -> SourceFrame:
    sop_class, instance, _ = one.references[0] if one.references else ("", "", ())
    numbers = tuple(number for _, uid, some in one.references if uid == instance for number in some)
    return SourceFrame(
        sop_class,
        instance,
        numbers,
        one.position,
        one.orientation,
        one.spacing_mm,
        one.matrix_position,
        one.temporal_index,
    )


def _source_frames(header: Dataset, said: Sequence[FramePlace], *, sliding: bool) -> SourceFrames:
    series = list(header.get("ReferencedSeriesSequence") or ())
    return SourceFrames(
        frames=tuple(_source_frame(one) for one in said),
        rows=int(header.Rows),
        columns=int(header.Columns),
        header=header,
        study_uid=str(header.get("StudyInstanceUID", "")),
        series_uid=str(series[0].get("SeriesInstanceUID", "")) if series else "",
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID") or ""),
        matrix=(int(header.TotalPixelMatrixRows), int(header.TotalPixelMatrixColumns)) if sliding else None,
        slice_distance_mm=said[0].distance_mm,
        thickness_mm=said[0].thickness_mm,
    )


def places_on(frames: Sequence[FramePlace], own: SourceFrames, source: SourceFrames) -> Indices:
    """The index of the source frame that each frame lies on; shape (frames,).

    By the images that it names, and by where it lies: both have to agree where both are known.

    Raises
    ------
    ObjectInvalid : frames are of another size or Frame of Reference, name images that are not there, or lie elsewhere
    """
    for what, size, wanted in (
        ("pixels", (own.rows, own.columns), (source.rows, source.columns)),
        ("pixels in its matrix", own.matrix, source.matrix),
    ):
        if size != wanted:
            raise ObjectInvalid(f"the segmentation has {_size(size)} {what}, its source {_size(wanted)}")
    uids = own.frame_of_reference_uid, source.frame_of_reference_uid
    if all(uids) and uids[0] != uids[1]:
        raise ObjectInvalid("the segmentation lies in another Frame of Reference than its source")
    matcher = _Matcher(source)
    known: dict[Hashable, int] = {}
    found = np.empty(len(frames), dtype=np.intp)
    for number, one in enumerate(frames):
        key = one.position, one.matrix_position, one.references, one.temporal_index
        if key not in known:
            known[key] = matcher.match(number + 1, one)
        found[number] = known[key]
    return found


def _size(shape: tuple[int, int] | None) -> str:
    return "no" if shape is None else f"{shape[0]} × {shape[1]}"


class _Matcher:
    """Finds the source frame of a place."""

    def __init__(self, source: SourceFrames) -> None:
        self._source = source
        self._named: dict[tuple[str, int | None], list[int]] = defaultdict(list)
        self._instances: dict[str, list[int]] = defaultdict(list)
        self._tiles: dict[tuple[int, int] | None, list[int]] = defaultdict(list)
        for number, frame in enumerate(source.frames):
            self._tiles[frame.matrix_position].append(number)
            self._instances[frame.sop_instance_uid].append(number)
            for own in frame.frame_numbers or (None,):
                self._named[frame.sop_instance_uid, own].append(number)

    def match(self, number: int, one: FramePlace) -> int:
        """The index of the source frame on which frame ``number`` lies."""
        candidates = self._candidates(one)
        if one.references and not candidates:
            raise ObjectInvalid(f"frame {number} refers to an image that is not among the source's")
        if self._source.space is Space.SLIDE:
            return self._tile(number, one, candidates)
        if one.position is None or self._source.space is Space.NOWHERE:
            if len(candidates) != 1:
                raise ObjectInvalid(f"frame {number} does not say on which of the source's frames it lies")
            return candidates[0]
        near = [n for n in candidates or range(len(self._source.frames)) if self._is_at(n, one)]
        if not near:
            raise ObjectInvalid(f"frame {number} lies on no frame of its source: it has another geometry")
        return next((n for n in near if self._source.frames[n].temporal_index == one.temporal_index), near[0])

    def _candidates(self, one: FramePlace) -> list[int]:
        """The source frames that a frame names."""
        found: list[int] = []
        for _, instance, numbers in one.references:
            if numbers:
                found += [n for own in numbers for n in self._named.get((instance, own), ())]
            else:
                found += self._instances.get(instance, ())
        return list(dict.fromkeys(found))

    def _tile(self, number: int, one: FramePlace, candidates: Sequence[int]) -> int:
        """The tile at the same rows and columns; of several focal planes, the one at the same depth."""
        tiles = self._tiles[one.matrix_position]
        found = [n for n in candidates if n in tiles] if candidates else list(tiles)
        if len(found) > 1:
            found = [n for n in found if abs(self._depth(n) - (one.position or (0, 0, 0))[2]) <= STEP_TOLERANCE]
        if not found:
            where = "elsewhere than the tile that it names" if candidates else "on no tile of its source"
            raise ObjectInvalid(f"frame {number} lies {where}")
        return found[0]

    def _depth(self, number: int) -> float:
        position = self._source.frames[number].position
        return 0.0 if position is None else position[2]

    def _is_at(self, number: int, one: FramePlace) -> bool:
        frame = self._source.frames[number]
        if frame.position is None or frame.spacing_mm is None or one.position is None:
            return False
        allowed = max(_SAME_PLACE_MM, _SAME_PLACE_SHARE * min(frame.spacing_mm))
        away = sum((a - b) ** 2 for a, b in zip(frame.position, one.position, strict=True)) ** 0.5
        return (
            away <= allowed
            and _near(frame.orientation, one.orientation, _SAME_COSINE)
            and _near(frame.spacing_mm, one.spacing_mm, _SAME_SPACING * max(frame.spacing_mm))
        )


def _near(one: Sequence[float] | None, other: Sequence[float] | None, tolerance: float) -> bool:
    """What is not said is not another."""
    return one is None or other is None or all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))
