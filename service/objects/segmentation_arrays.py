"""A read segmentation as arrays: one for each segment, one of labels, or masks no larger than what they hold.

Arrays have the grid of ``places``: frames, rows, columns; on a slide focal planes, rows and columns of its matrix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask
from service.errors import ObjectInvalid
from service.objects.packed_frames import label_type
from service.objects.read_segments import background_values
from service.objects.segmentation_form import SegmentationKind
from service.objects.segmentation_pixels import PixelBox
from service.objects.segmentation_reading import ReadSegmentation

_HALF: Final = 0.5
_Box = tuple[slice, slice, slice]


def segment_array(read: ReadSegmentation, number: int) -> npt.NDArray[np.bool_]:
    """Where a segment is, at least by half where it is FRACTIONAL; bool, shape of ``places``.

    Raises
    ------
    ObjectInvalid : there is no such segment
    InstanceUnreadable : a frame cannot be decoded
    """
    read.segment(number)
    if read.kind is SegmentationKind.LABELMAP:
        found: npt.NDArray[np.bool_] = label_array(read) == number
        return found
    whole = np.zeros(read.places.shape, dtype=bool)
    for place, box in _boxes_of(read, number):
        inside, values = _inside(whole, place, box)
        whole[inside] |= values.astype(bool) if read.kind is SegmentationKind.BINARY else _is_half(read, values)
    return whole


def fraction_array(read: ReadSegmentation, number: int) -> npt.NDArray[np.float32]:
    """How likely, or how much of, each voxel is in a segment: 0 to 1, float32, shape of ``places``.

    Raises
    ------
    ObjectInvalid : there is no such segment
    InstanceUnreadable : a frame cannot be decoded
    """
    if not read.kind.is_fractional:
        return segment_array(read, number).astype(np.float32)
    read.segment(number)
    whole = np.zeros(read.places.shape, dtype=np.float32)
    for place, box in _boxes_of(read, number):
        inside, values = _inside(whole, place, box)
        np.maximum(whole[inside], values / np.float32(read.largest_fraction), out=whole[inside])
    return whole


def label_array(read: ReadSegmentation) -> npt.NDArray[Any]:
    """The number of the segment that each voxel is in, 0 for none; uint8 or uint16, shape of ``places``.

    Raises
    ------
    ObjectInvalid : segments overlap, are fractions, or pixels of a label map are in no segment that is described; a
        segment is numbered 0
    InstanceUnreadable : a frame cannot be decoded
    """
    if read.kind.is_fractional:
        raise ObjectInvalid("fractions are no labels: ask for one segment after the other")
    if read.kind is SegmentationKind.LABELMAP:
        return _label_map(read)
    largest = max(one.number for one in read.segments)
    labels = np.zeros(read.places.shape, dtype=label_type(largest))
    corners = read.places.corners()
    for frame, number in enumerate(read.segment_of_frame):
        inside, values = _inside(labels, corners[read.place_of_frame[frame]], read.pixels.box(frame))
        box, marked = labels[inside], values.view(bool)
        if box[marked].any():
            raise ObjectInvalid("segments overlap: ask for one segment after the other")
        np.copyto(box, labels.dtype.type(number), where=marked)
    return labels


def masks_of(read: ReadSegmentation) -> dict[int, Mask]:
    """Each segment that is anywhere as a mask, by its number; what is FRACTIONAL has fractions.

    Raises
    ------
    ObjectInvalid : pixels of a label map are in no segment that is described
    InstanceUnreadable : a frame cannot be decoded
    """
    if read.kind is SegmentationKind.LABELMAP:
        return _masks_of_labels(read)
    found = {one.number: _joined(read, list(_boxes_of(read, one.number))) for one in read.segments}
    return {number: mask for number, mask in found.items() if mask is not None}


def _boxes_of(read: ReadSegmentation, number: int) -> Iterator[tuple[tuple[int, int, int], PixelBox]]:
    """What a segment has in each of its frames, and where the frame begins."""
    corners = read.places.corners()
    for frame in np.flatnonzero(read.segment_of_frame == number):
        yield corners[read.place_of_frame[frame]], read.pixels.box(int(frame))


def _inside(whole: npt.NDArray[Any], corner: tuple[int, int, int], box: PixelBox) -> tuple[_Box, npt.NDArray[Any]]:
    """Where a box lies in the grid, and its values there: a tile at the edge of a slide reaches beyond."""
    plane, row, column = corner[0], corner[1] + box.row, corner[2] + box.column
    values = box.values[: max(whole.shape[1] - row, 0), : max(whole.shape[2] - column, 0)]
    height, width = values.shape
    return (slice(plane, plane + 1), slice(row, row + height), slice(column, column + width)), values[np.newaxis]


def _is_half(read: ReadSegmentation, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    half: npt.NDArray[np.bool_] = values >= read.largest_fraction * _HALF
    return half


def _joined(read: ReadSegmentation, boxes: list[tuple[tuple[int, int, int], PixelBox]]) -> Mask | None:
    """Boxes of one segment as a mask that is no larger than they are together."""
    boxes = [(corner, box) for corner, box in boxes if box.values.size]
    if not boxes:
        return None
    lows = np.array([(p, r + box.row, c + box.column) for (p, r, c), box in boxes])
    highs = lows + np.array([(1, *box.values.shape) for _, box in boxes])
    low, high = lows.min(axis=0), np.minimum(highs.max(axis=0), read.places.shape)
    stored = np.zeros(high - low, dtype=np.uint8)
    for corner, box in boxes:
        inside, values = _inside(stored, tuple(int(a - b) for a, b in zip(corner, low, strict=True)), box)  # type: ignore[arg-type]
        np.maximum(stored[inside], values, out=stored[inside])
    tight = Mask.cut_from(stored.view(bool) if read.kind is SegmentationKind.BINARY else stored > 0)
    origin = (int(low[0]) + tight.origin[0], int(low[1]) + tight.origin[1], int(low[2]) + tight.origin[2])
    if read.kind is SegmentationKind.BINARY:
        return Mask(tight.voxels, origin)
    inner = tuple(slice(o, o + n) for o, n in zip(tight.origin, tight.voxels.shape, strict=True))
    fractions = np.divide(stored[inner], read.largest_fraction, dtype=np.float32)
    return Mask(fractions >= _HALF, origin, fractions)


def _label_map(read: ReadSegmentation) -> npt.NDArray[Any]:
    table = _label_table(read)
    labels = np.zeros(read.places.shape, dtype=np.uint8 if read.pixels.bits == 8 else np.uint16)
    native = read.pixels.whole()
    if native is not None and read.places.matrix is None:
        labels[read.place_of_frame] = native
    else:
        corners = read.places.corners()
        for frame in range(read.pixels.frames):
            pixels = read.pixels.frame(frame)
            inside, values = _inside(labels, corners[read.place_of_frame[frame]], PixelBox(0, 0, pixels))
            labels[inside] = values
    return _relabelled(labels, table)


def _label_table(read: ReadSegmentation) -> npt.NDArray[np.int64]:
    """For each value that a pixel may have, the label that it stands for, or -1 where nobody says."""
    if any(one.number == 0 for one in read.segments):
        raise ObjectInvalid("a segment is numbered 0, which an array of labels has for none")
    table = np.full(1 << read.pixels.bits, -1, dtype=np.int64)
    for value in background_values(read.header):
        table[value] = 0
    for one in read.segments:
        table[one.number] = one.number
    return table


def _relabelled(labels: npt.NDArray[Any], table: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Labels with what stands for none as 0, in place, one frame after the other."""
    same = np.flatnonzero(table != np.arange(len(table)))
    if not len(same) or labels.max(initial=0) < same[0]:
        return labels
    for frame in labels:
        found = table[frame]
        if found.min(initial=0) < 0:
            value = int(frame[found < 0].flat[0])
            raise ObjectInvalid(f"pixels of the label map hold {value}, which no segment describes")
        frame[...] = found
    return labels


def _masks_of_labels(read: ReadSegmentation) -> dict[int, Mask]:
    labels = label_array(read)
    spans: dict[int, list[npt.NDArray[np.intp]]] = defaultdict(list)
    for plane, frame in enumerate(labels):
        for number, low, high in _extents(frame):
            spans[number].append(np.array(((plane, *low), (plane, *high))))
    found = {}
    for number, boxes in sorted(spans.items()):
        low, high = np.min(boxes, axis=(0, 1)), np.max(boxes, axis=(0, 1)) + 1
        part = labels[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        found[number] = Mask(part == number, (int(low[0]), int(low[1]), int(low[2])))
    return found


def _extents(frame: npt.NDArray[Any]) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Each label in a frame with the first and the last row and column in which it is.

    Pixels are sorted by label, so that each is looked at once however many labels there are.
    """
    marked = np.flatnonzero(frame)
    if not len(marked):
        return
    values = frame.ravel()[marked]
    order = np.argsort(values, kind="stable")
    values = values[order]
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    ends = np.append(starts[1:], len(values)) - 1
    rows, columns = np.divmod(marked[order].astype(np.int32), np.int32(frame.shape[1]))
    lefts, rights = np.minimum.reduceat(columns, starts), np.maximum.reduceat(columns, starts)
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        # Within a label the sort left pixels in their order, so its rows ascend.
        yield (
            int(values[start]),
            (int(rows[start]), int(lefts[place])),
            (int(rows[end]), int(rights[place])),
        )
