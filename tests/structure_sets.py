"""Structure sets as files, and findings to write into them."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet, Author, PersonObserver
from service.core.findings import Finding, Mask
from service.core.geometry import Shape
from service.core.volume import Volume
from service.objects.source_images import SourceImages
from service.objects.structure_set import WrittenStructureSet, write_structure_set
from tests.volumes import ABNORMAL, LEFT, LUNG, NODULE
from tests.written_results import context

READER = PersonObserver("Reader^First", "reader1", "Clinic")


def finding(*shapes: Shape, **more: object) -> Finding:
    bare = Finding("Mark", "2.25.7", ABNORMAL, NODULE, LUNG, LEFT, shapes=shapes, colour=(1, 2, 3), comment="Words")
    return replace(bare, **more)


def marked(volume: Volume, voxels: npt.NDArray[np.bool_]) -> Finding:
    """A finding whose mask fills the corner of a volume."""
    whole = np.zeros(volume.shape, dtype=bool)
    whole[tuple(slice(length) for length in voxels.shape)] = voxels
    return finding(mask=Mask.cut_from(whole))


def written(sources: SourceImages, *findings: Finding, author: Author = READER) -> WrittenStructureSet:
    return write_structure_set(AnnotationSet(author, findings), "Lung nodules", sources, context())


def as_read(data_set: Dataset) -> Dataset:
    """What comes back from a file."""
    buffer = BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)
