"""Finds the series of a project that a mask or a picture was made from, and opens its volumes or flat images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dicom_nodes.errors import GatewayError
from service.core.archived import InstanceRow, StudyRow
from service.core.ports import BlobStore
from service.core.records import ObjectKind
from service.core.series_images import SeriesImages
from service.core.volume_slices import VolumeSlices, open_volumes
from service.errors import FormatRefused
from service.formats.flat_images import FlatImages, flat_images


class SeriesIndex(Protocol):
    """What is asked of the archive's index."""

    def study_of_series(self, project: str, series_uid: str) -> StudyRow | None:
        """The study that a series belongs to."""

    def instances_of(self, project: str, study_uid: str, series_uid: str) -> list[InstanceRow]:
        """The instances of a series that are shown."""

    def find_all(self, project: str, sop_instance_uids: Sequence[str]) -> dict[str, InstanceRow]:
        """Those of the instances that are held, by UID."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundSeries:
    """A series with its study, its volumes, and those of its images that lie nowhere."""

    study: StudyRow
    series_uid: str
    volumes: tuple[VolumeSlices, ...]
    flat: tuple[FlatImages, ...] = ()


class SeriesFinder:
    """Opens series of one project; keeps the last one, since marks on one come together."""

    def __init__(self, index: SeriesIndex, blobs: BlobStore, project: str) -> None:
        self._index = index
        self._blobs = blobs
        self._project = project
        self._last: FoundSeries | None = None

    def find(self, series_uid: str) -> FoundSeries:
        """A series by its UID as served.

        Raises
        ------
        FormatRefused : there is none in the project, or it is no volume and lies somewhere
        """
        if self._last is None or self._last.series_uid != series_uid:
            self._last = self._open(series_uid)
        return self._last

    def _open(self, series_uid: str) -> FoundSeries:
        study = self._index.study_of_series(self._project, series_uid)
        rows = [] if study is None else self._index.instances_of(self._project, study.study_uid, series_uid)
        images = [row for row in rows if row.kind is ObjectKind.IMAGE]
        if study is None or not images:
            raise FormatRefused(f"there are no images of series {series_uid} in project {self._project}")
        reading = SeriesImages(self._blobs, images)
        try:
            headers = reading.headers()
            opened, flat = open_volumes(headers, reading.pixels), flat_images(headers, reading.pixels)
        except GatewayError as error:
            raise FormatRefused(f"its series cannot be read: {error}") from error
        if not (opened.volumes or flat):
            raise FormatRefused(
                f"its series is no volume, on which alone marks are taken in: {'; '.join(opened.refused)}"
            )
        return FoundSeries(study, series_uid, opened.volumes, tuple(flat))
