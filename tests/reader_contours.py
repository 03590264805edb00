"""What readers drew and what a segmentation marks, on the grid of the images; and how well the two agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.core.volume import Volume
from service.objects.structure_set_reader import read_structure_set, region_of

Region = npt.NDArray[np.bool_]


def drawn_region(structure_set: Dataset, volume: Volume) -> Region:
    """The voxels whose centre lies within the contours of the one ROI; contours within contours are holes."""
    (drawn,) = read_structure_set(structure_set).annotations.findings
    return region_of(drawn, volume).mask.into(volume.shape)


def marked_regions(segmentation: Dataset, volume: Volume) -> list[Region]:
    """The voxels of each segment."""
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns).astype(bool)
    regions = [np.zeros(volume.shape, dtype=bool) for _ in segmentation.SegmentSequence]
    inverse = np.linalg.inv(volume.affine)
    for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        number, row, column = (inverse @ [*position, 1])[:3]
        assert np.allclose([number - round(number), row, column], 0, atol=0.01), "a frame lies on its source's slice"
        segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        regions[segment - 1][round(number)] |= frame
    return regions


def dice(one: Region, other: Region) -> float:
    """Twice what both hold, over what each holds."""
    return 2 * int((one & other).sum()) / (int(one.sum()) + int(other.sum()))
