"""Segmentations written from masks alone, and the bytes of their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset

from service.core.findings import Mask
from service.core.result_file import result_file
from service.core.source_frames import SourceFrames
from service.core.volume import Volume
from service.objects.segmentation import write_segmentation
from service.objects.segmentation_form import NATIVE, SegmentationForm, SegmentationKind
from tests.volumes import ct_sources, organ, result_of, volume_of
from tests.written_results import context

BINARY = SegmentationForm()
LABEL_MAP = SegmentationForm(SegmentationKind.LABELMAP)
PROBABILITY = SegmentationForm(SegmentationKind.PROBABILITY)
OCCUPANCY = SegmentationForm(SegmentationKind.OCCUPANCY)


def as_form(kind: SegmentationKind, transfer_syntax_uid: str = NATIVE) -> SegmentationForm:
    return SegmentationForm(kind, transfer_syntax_uid)


def written(source: Volume | SourceFrames, masks: Sequence[Mask], form: SegmentationForm = BINARY) -> Dataset:
    """A segment for each mask, called Part 1, Part 2 …"""
    drawn = organ(volume_of(ct_sources(8)))
    findings = [
        replace(drawn, label=f"Part {number}", tracking_uid=f"2.25.7{number}", mask=mask)
        for number, mask in enumerate(masks, start=1)
    ]
    segmentation = write_segmentation(result_of(*findings), "Parts", source, context(), form)
    assert segmentation is not None
    return segmentation


def file_of(data_set: Dataset) -> bytes:
    """The file in which the gateway keeps an object."""
    return b"".join(result_file(data_set, "key", "0.1.0").parts)


def drawn_masks(source: SourceFrames, seed: int = 1, *, overlap: bool = False) -> list[Mask]:
    """Two masks in all frames of a source, where it has any; scattered, so that any swap or shift shows."""
    chance = np.random.default_rng(seed).random(source.shape)
    if source.matrix is not None:
        chance[~covered(source)] = 1
    first, second = chance < 0.2, (chance > 0.15 if overlap else chance > 0.25) & (chance < 0.3)
    return [Mask.cut_from(first), Mask.cut_from(second)]


def covered(source: SourceFrames) -> np.ndarray:
    """Where a slide has tiles."""
    there = np.zeros(source.shape, dtype=bool)
    for plane, row, column in source.corners():
        there[plane, row : row + source.rows, column : column + source.columns] = True
    return there


def same_mask(one: Mask, other: Mask) -> bool:
    """Whether two masks mark the same voxels in boxes of one size."""
    return one.origin == other.origin and np.array_equal(one.voxels, other.voxels)
