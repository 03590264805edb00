"""Source frames of volumes and of images, from their headers: what a mask lies on, with or without a place in space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset

from service.core.source_frames import SourceFrame, SourceFrames, Triple
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.image_plane import ImagePlane, plane_of, planes_of, slice_distance_mm
from service.objects.tile_positions import PLANE_POSITION_SLIDE, Tile, offset_of_tile, sparse_tiles, tiles_in_order

_TIME_BETWEEN_FRAMES: Final = ("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate")
"""Each says that frames are pictures one after the other in time (PS3.3 C.7.6.5)."""


def frames_of_volume(volume: Volume) -> SourceFrames:
    """The slices of a volume, each where its own header says, all oriented like the first, since rounding differs.

    Raises
    ------
    ObjectInvalid : a header does not say where its slice lies
    """
    planes = planes_of(volume)
    first = volume.sources[0]
    return SourceFrames(
        frames=tuple(_frame_on(plane, planes[0].orientation) for plane in planes),
        rows=volume.shape[1],
        columns=volume.shape[2],
        header=first,
        study_uid=volume.study_uid,
        series_uid=volume.series_uid,
        frame_of_reference_uid=volume.frame_of_reference_uid,
        slice_distance_mm=slice_distance_mm(volume) if volume.shape[0] > 1 else None,
        thickness_mm=_thickness_mm(first, volume.frame_numbers[0]),
    )


def frames_of_images(images: Sequence[Dataset]) -> SourceFrames:
    """The frames of one or several images of a series, in their order.

    A place is given where every image has a Frame of Reference and every frame its plane; else masks are known by
    image and frame alone. Colour is no hindrance. A tiled image (TILED_FULL or TILED_SPARSE) is a slide by itself.

    Raises
    ------
    ObjectInvalid : there is no image, or they are of several sizes or series, or tiles do not say where they lie
    """
    if not images:
        raise ObjectInvalid("there is no source image")
    first = images[0]
    if any((one.get("Rows"), one.get("Columns")) != (first.get("Rows"), first.get("Columns")) for one in images):
        raise ObjectInvalid("source images are of several sizes: each size is segmented by itself")
    if any(one.get("SeriesInstanceUID") != first.get("SeriesInstanceUID") for one in images):
        raise ObjectInvalid("source images are of several series: each series is segmented by itself")
    tiled = first.get("TotalPixelMatrixRows") is not None
    if tiled and len(images) > 1:
        raise ObjectInvalid("a slide is segmented image by image")
    frames = tuple(_tiles_of(first) if tiled else _frames_of(images))
    return SourceFrames(
        frames=frames,
        rows=int(first.Rows),
        columns=int(first.Columns),
        header=first,
        study_uid=str(first.get("StudyInstanceUID", "")),
        series_uid=str(first.get("SeriesInstanceUID", "")),
        frame_of_reference_uid=str(first.get("FrameOfReferenceUID") or ""),
        matrix=(int(first.TotalPixelMatrixRows), int(first.TotalPixelMatrixColumns)) if tiled else None,
        slice_distance_mm=_distance_mm(frames),
        thickness_mm=_thickness_mm(first, 1),
    )


def _frame_on(plane: ImagePlane, orientation: tuple[float, ...], temporal_index: int | None = None) -> SourceFrame:
    return SourceFrame(
        plane.sop_class_uid,
        plane.sop_instance_uid,
        () if plane.frame_number is None else (plane.frame_number,),
        plane.position,
        orientation,
        plane.spacing_mm,
        temporal_index=temporal_index,
    )


def _frames_of(images: Sequence[Dataset]) -> Iterator[SourceFrame]:
    places = [(image, number) for image in images for number in range(1, _count(image) + 1)]
    times = _temporal_indices(places)
    planes = _planes(images, places)
    for (image, number), time, plane in zip(places, times, planes, strict=True):
        if plane is not None:
            yield _frame_on(plane, plane.orientation, time)
        else:
            numbers = (number,) if _count(image) > 1 or "NumberOfFrames" in image else ()
            yield SourceFrame(str(image.SOPClassUID), str(image.SOPInstanceUID), numbers, temporal_index=time)


def _planes(images: Sequence[Dataset], places: Sequence[tuple[Dataset, int]]) -> list[ImagePlane | None]:
    """The plane of each frame, or of none where one lacks it."""
    if not all(image.get("FrameOfReferenceUID") for image in images):
        return [None] * len(places)
    try:
        return [plane_of(image, number) for image, number in places]
    except ObjectInvalid:
        return [None] * len(places)


def _count(image: Dataset) -> int:
    return int(image.get("NumberOfFrames") or 1)


def _temporal_indices(places: Sequence[tuple[Dataset, int]]) -> list[int | None]:
    """Temporal Position Index of each frame, where they differ in it; the pictures of a cine loop are counted."""
    said = [_said_time(image, number) for image, number in places]
    known = {time for time in said if time is not None}
    if len(known) > 1 and None not in said:
        return said
    first = places[0][0]
    if _count(first) > 1 and len({id(image) for image, _ in places}) == 1 and not known:
        in_groups = "PerFrameFunctionalGroupsSequence" in first
        if not in_groups and any(first.get(keyword) for keyword in _TIME_BETWEEN_FRAMES):
            return [number for _, number in places]
    return [None] * len(places)


def _said_time(image: Dataset, number: int) -> int | None:
    groups = image.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        return None
    for content in groups[number - 1].get("FrameContentSequence") or ():
        index = content.get("TemporalPositionIndex")
        return None if index is None else int(index)
    return None


def _tiles_of(slide: Dataset) -> Iterator[SourceFrame]:
    """Each tile once, with the frames of all optical paths that show it (PS3.3 C.7.6.17.3, C.8.12.14)."""
    orientation = _numbers(slide.get("ImageOrientationSlide"), 6)
    spacing = _slide_spacing(slide)
    if orientation is None or spacing is None:
        raise ObjectInvalid("the slide has no Image Orientation (Slide) or Pixel Spacing")
    found: dict[Tile, list[int]] = {}
    for number, tile in enumerate(_tiles(slide), start=1):
        found.setdefault(tile, []).append(number)
    for tile, numbers in sorted(found.items()):
        z, row, column = tile
        x, y, _ = offset_of_tile(slide, row, column, orientation, spacing)
        yield SourceFrame(
            str(slide.SOPClassUID),
            str(slide.SOPInstanceUID),
            tuple(numbers),
            (x, y, z),
            orientation,
            spacing,
            matrix_position=(row, column),
        )


def _tiles(slide: Dataset) -> Iterator[Tile]:
    """The tile that each frame shows."""
    groups = list(slide.get("PerFrameFunctionalGroupsSequence") or ())
    if groups and all(PLANE_POSITION_SLIDE in group for group in groups):
        return sparse_tiles(groups)
    if groups and str(slide.get("DimensionOrganizationType", "")) != "TILED_FULL":
        raise ObjectInvalid("a frame of the slide has no Plane Position (Slide), and it is not TILED_FULL")
    return tiles_in_order(slide, _count(slide))


def _slide_spacing(slide: Dataset) -> tuple[float, float] | None:
    for group in slide.get("SharedFunctionalGroupsSequence") or ():
        for measures in group.get("PixelMeasuresSequence") or ():
            spacing = _numbers(measures.get("PixelSpacing"), 2)
            return None if spacing is None else (spacing[0], spacing[1])
    return None


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """The values of an element, None where it has not so many."""
    if value is None or isinstance(value, str) or not hasattr(value, "__len__") or len(value) != count:
        return None
    return tuple(float(one) for one in value)


def _distance_mm(frames: Sequence[SourceFrame]) -> float | None:
    """Between the planes of the first two frames that are not in one plane, along their normal."""
    if any(frame.position is None or frame.orientation is None or frame.matrix_position for frame in frames):
        return None
    first = frames[0]
    normal = np.cross(first.orientation[:3], first.orientation[3:])  # type: ignore[index]
    away = [abs(float(np.dot(np.subtract(_place(frame), _place(first)), normal))) for frame in frames[1:]]
    return next((distance for distance in away if distance > 0), None)


def _place(frame: SourceFrame) -> Triple:
    return frame.position or (0.0, 0.0, 0.0)


def _thickness_mm(source: Dataset, frame_number: int) -> float | None:
    """Slice Thickness of a frame, None where it is not given or not positive."""
    holders = [source]
    for keyword, place in (
        ("PerFrameFunctionalGroupsSequence", frame_number - 1),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = source.get(keyword)
        if groups and place < len(groups):
            holders += list(groups[place].get("PixelMeasuresSequence") or ())
    for holder in holders:
        thickness = holder.get("SliceThickness")
        if thickness is not None and float(thickness) > 0:
            return float(thickness)
    return None
