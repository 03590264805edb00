"""What a run looks at: the images of one series, told to annotators and named by one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Final

from service.archive.metadata_cache import text_of
from service.core.annotator import Annotator, SeriesSummary
from service.core.archived import InstanceRow, SeriesRow
from service.core.records import ObjectKind

_IMAGE_TYPE: Final = "00080008"


def images_of(instances: Iterable[InstanceRow]) -> list[InstanceRow]:
    """Those that came from outside to be looked at: results and annotations are no inputs."""
    return [row for row in instances if row.kind is ObjectKind.IMAGE]


def inputs_digest(images: Sequence[InstanceRow], annotator: Annotator) -> str:
    """What makes two runs the same: the same images with the same content, looked at by the same annotator.

    In hexadecimal. The order in which images came does not matter; one that was replaced makes another digest, and so
    does a new version of the annotator.
    """
    digest = hashlib.sha256()
    algorithm = annotator.algorithm
    for word in (annotator.name, algorithm.version, algorithm.device_uid):
        digest.update(word.encode() + b"\0")
    for uid, content in sorted((row.sop_instance_uid, row.content_digest) for row in images):
        digest.update(uid.encode() + b"\0" + content)
    return digest.hexdigest()


def summarize(series: SeriesRow, images: Sequence[InstanceRow], metadata: Iterable[bytes]) -> SeriesSummary:
    """What an annotator is told of a series when it is asked whether it matches.

    Parameters
    ----------
    metadata : the cached metadata of the series' instances
    """
    return SeriesSummary(
        modality=series.modality,
        sop_class_uids=frozenset(row.sop_class_uid for row in images),
        image_types=frozenset(_image_type(blob) for blob in metadata) - {""},
        instances=len(images),
        description=series.series_description,
        body_part=series.body_part,
    )


def _image_type(metadata: bytes) -> str:
    values = json.loads(text_of(metadata, "")).get(_IMAGE_TYPE, {}).get("Value", ())
    return "\\".join(str(value) for value in values if value is not None)
