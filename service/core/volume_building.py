"""A series into volumes: one grid in patient coordinates each, real values, ordered along the normal.

See ``volume_slices`` for how a volume is opened. Nothing is interpolated: a voxel is a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.volume import SeriesVolumes
from service.core.volume_slices import StoredPixels, open_volumes


def build_volumes(data_sets: Sequence[Dataset], pixels: StoredPixels) -> SeriesVolumes:
    """Make the volumes of one series.

    Parameters
    ----------
    data_sets : the instances of the series, in any order; pixel data are not looked at
    pixels : gives the stored pixel values of ``data_sets[i]``, shape (rows, columns) or (frames, rows, columns), for
        instance ``decode_pixels`` of the file; asked only for instances that become part of a volume, and seldom
        twice for the same one

    Returns
    -------
    the volumes, the one with the most slices first, and in words what became none; a series may give both
    """
    opened = open_volumes(data_sets, pixels)
    volumes, refused = [], list(opened.refused)
    for one in opened.volumes:
        try:
            volumes.append(one.whole())
        except GatewayError as err:
            refused.append(f"{len(one.slices)} of {opened.slices} slices: {err}")
    return SeriesVolumes(tuple(volumes), tuple(refused))
