"""The colours of PALETTE COLOR pixels (PS3.3 C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from dicom_nodes.errors import InstanceUnreadable

_TABLES: Final = tuple(
    f"{segmented}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for segmented, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)


def coloured(indices: npt.NDArray[Any], header: Dataset) -> npt.NDArray[np.uint8]:
    """Red, green and blue of stored values, shape (…, 3).

    Raises
    ------
    InstanceUnreadable : the tables are missing or broken
    """
    tables = Dataset()
    # Segmented tables are read in the byte order that came in; headers built in memory have none.
    implicit_vr, little_endian = header.original_encoding
    tables.set_original_encoding(bool(implicit_vr), little_endian is not False)
    for keyword in _TABLES:
        if keyword in header:
            tables[keyword] = header[keyword]
    try:
        colours = apply_color_lut(indices.astype(indices.dtype.newbyteorder("=")), tables)
    except Exception as error:  # pydicom raises what it likes on broken tables
        raise InstanceUnreadable("The palette of the picture cannot be read") from error
    if colours.dtype.itemsize == 2:
        colours = colours >> 8
    return np.array(colours[..., :3], dtype=np.uint8)
