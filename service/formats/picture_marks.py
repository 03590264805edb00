"""Images of labels as PNG, a slice each, read back as masks of volumes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Finding
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.annotation_import import Marks
from service.formats.flat_images import FlatImages
from service.formats.intake import ImportedItem, ImportStatus
from service.formats.labels import Label, LabelMapping
from service.formats.mask_files import LabelOf, finding_of_label, labels_of
from service.formats.place_list import PictureList, PicturePlace
from service.formats.slice_layers import mask_of_layers, slice_of_image, slices_by_image
from service.formats.stable_uids import content_digest, uid_of

_MODES: Final = ("1", "L", "P", "I;16", "I")


def marks_of_pictures(
    files: Iterable[Path], pictures: PictureList, mapping: LabelMapping, label_of: LabelOf, how: str
) -> Iterator[Marks | ImportedItem]:
    """The masks of pictures, those of a series together: a series is taken in whole or not at all.

    Parameters
    ----------
    how : in a word, what else bears on which number is which label
    """
    by_series: dict[str, list[tuple[Path, PicturePlace]]] = defaultdict(list)
    for file in files:
        try:
            place = pictures.place_of(file)
        except FormatRefused as error:
            yield ImportedItem(file.name, ImportStatus.REFUSED, str(error))
            continue
        by_series[place.series_uid].append((file, place))
    for series_uid, found in sorted(by_series.items()):
        source = f"{len(found)} pictures of {found[0][0].parent.name}"
        try:
            digests = sorted(content_digest(file) for file, _ in found)
        except FormatRefused as error:
            yield ImportedItem(source, ImportStatus.REFUSED, str(error), series_uid=series_uid)
            continue
        yield Marks(
            source=source,
            series_uid=series_uid,
            digest=uid_of(*digests, mapping.digest, how),
            findings_on=lambda volume, found=found: _findings(found, volume, label_of),  # type: ignore[misc]
        )


def _findings(
    found: Sequence[tuple[Path, PicturePlace]], volume: VolumeSlices | FlatImages, label_of: LabelOf
) -> list[Finding]:
    slices = slices_by_image(volume)
    layers: dict[int, dict[int, npt.NDArray[np.bool_]]] = defaultdict(dict)
    for file, place in found:
        number = slice_of_image(slices, (place.sop_instance_uid, place.frame), volume, file.name)
        numbers = _read(file, volume.shape[1:])
        for value in np.unique(numbers):
            if value:
                layers[int(value)][number] = numbers == value
    labels: dict[int, Label] = labels_of(sorted(layers), label_of)
    return [
        replace(finding_of_label(label, label.name), mask=mask_of_layers(layers[value]))
        for value, label in labels.items()
    ]


def _read(file: Path, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Numbers of a picture, shape (rows, columns)."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            if picture.mode not in _MODES:
                raise FormatRefused(
                    f"{file.name}: its pixels are colours ({picture.mode}); a mask holds numbers of labels, with or "
                    "without a palette"
                )
            numbers = np.asarray(picture)
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise FormatRefused(f"{file.name}: it cannot be read as a picture") from error
    if numbers.shape != size:
        raise FormatRefused(
            f"{file.name}: it has {numbers.shape[1]} × {numbers.shape[0]} pixels, its image {size[1]} × {size[0]}: "
            "give it the size of the image, nearest neighbour"
        )
    return numbers
