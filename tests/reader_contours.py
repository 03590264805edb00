"""What readers drew and what a segmentation marks, on the grid of the images; and how well the two agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from skimage.measure import grid_points_in_poly

from service.core.volume import Volume

Region = npt.NDArray[np.bool_]


def drawn_region(structure_set: Dataset, volume: Volume) -> Region:
    """The voxels whose centre lies within the contours of the one ROI; contours within contours are holes."""
    (roi,) = structure_set.ROIContourSequence
    region = np.zeros(volume.shape, dtype=bool)
    inverse = np.linalg.inv(volume.affine)
    for contour in roi.ContourSequence:
        corners = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        indices = np.c_[corners, np.ones(len(corners))] @ inverse.T
        slices = np.unique(np.rint(indices[:, 0]).astype(int))
        assert np.abs(indices[:, 0] - slices[0]).max() < 0.05, "a contour lies on one slice"
        region[slices[0]] ^= grid_points_in_poly(volume.shape[1:], indices[:, 1:3])
    return region


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
