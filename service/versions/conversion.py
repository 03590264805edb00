"""A version said in other kinds of objects, for those who do not read segmentations and reports. Nothing is stored."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.annotations import AnnotationSet
from service.core.archived import InstanceRow, StudyRow
from service.core.deliveries import FURTHER_KINDS, SentKind
from service.core.findings import Finding
from service.core.geometry import Place
from service.core.ports import BlobStore, InstanceReader
from service.core.records import ObjectKind
from service.core.series_images import SeriesImages
from service.core.versions import REPORT, VersionObject, VersionRow
from service.core.view import EVERYTHING, View
from service.core.volume_slices import VolumeSlices, open_volumes
from service.errors import BadRequest, InstanceNotFound, ObjectInvalid
from service.objects.annotation_groups import BulkAnnotations
from service.objects.bulk_annotations import write_bulk_annotations
from service.objects.bulk_findings import groups_of_findings
from service.objects.further_objects import write_further_objects
from service.objects.result_context import NOT_FOR_DIAGNOSIS, ResultContext
from service.objects.shown_picture import StoredFrame
from service.objects.source_frames_reader import frames_of_volume
from service.objects.source_images import SourceImages
from service.objects.validation import refuse_errors, validate
from service.versions.content import VersionContent, VersionReader
from service.versions.desk import VersionDesk

BULK_ANNOTATIONS: Final = "bulk-annotations"
CONVERTED_KINDS: Final = (*(str(kind) for kind in FURTHER_KINDS), BULK_ANNOTATIONS)
_TITLE: Final = "Annotations"
_SERIES_NUMBER: Final = 9000
"""Where the version's own series has none."""
_BULK_APART: Final = 110
"""Added to Series Number: bulk annotations stand behind the other kinds."""


@dataclass(frozen=True, slots=True, eq=False)
class ConvertedVersion:
    """What a version was written as.

    Parameters
    ----------
    objects : by kind, of ``CONVERTED_KINDS``; kinds that have nothing to say are missing
    left_out : in words, what could not be said in which kind
    """

    objects: dict[str, Sequence[Dataset]] = field(default_factory=dict, repr=False)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What every kind is written from.

    Parameters
    ----------
    created_at, series_number : of the version's own objects
    seed : what UIDs are made of: asked again, they are the same
    version : of the gateway
    stored : gives pixels where the sources are no volume
    """

    annotations: AnnotationSet
    title: str
    sources: SourceImages
    created_at: datetime
    series_number: int
    seed: tuple[str, ...]
    version: str
    stored: StoredFrame | None

    def context(self, kind: str, apart: int = 0) -> ResultContext:
        """Each kind has UIDs of its own, whichever others are asked for beside it."""
        number = self.series_number + apart
        return ResultContext(self.created_at, number, _uids((*self.seed, kind)), self.version)


class VersionConversion:
    """Writes versions as other kinds of objects.

    Parameters
    ----------
    seen_by : the index as somebody sees it
    moved_now : now, moved like the dates of a study's patient
    version : of the gateway
    """

    def __init__(
        self,
        *,
        desk: VersionDesk,
        seen_by: Callable[[View], InstanceReader],
        blobs: BlobStore,
        moved_now: Callable[[StudyRow], datetime],
        version: str,
    ) -> None:
        self._desk = desk
        self._seen_by = seen_by
        self._blobs = blobs
        self._moved_now = moved_now
        self._version = version

    def convert(self, project: str, version_id: int, kinds: Iterable[str], view: View = EVERYTHING) -> ConvertedVersion:
        """What a line held when a version was the newest, in other kinds; the same version gives the same UIDs.

        Parameters
        ----------
        kinds : of ``CONVERTED_KINDS``

        Raises
        ------
        BadRequest : there is no such kind
        InstanceNotFound : there is no such version, or its images are not held any more
        ObjectInvalid : an object of it cannot be read, or it is about several series
        """
        wanted = list(dict.fromkeys(kinds))
        for kind in wanted:
            if kind not in CONVERTED_KINDS:
                raise BadRequest(f"a version is not written as {kind}: choose of {', '.join(CONVERTED_KINDS)}")
        row = self._desk.get(project, version_id, view)
        reader = VersionReader(self._seen_by(view), self._blobs, project)
        objects = self._desk.objects_at(row, view)
        if not objects:
            raise InstanceNotFound("there is nothing left of the version")
        content, sources = self._on_images(reader, row, objects, view, with_voxels=str(SentKind.SUMMARY) in wanted)
        main = next((one for one in objects if one.family == REPORT), objects[0])
        header = reader.header(main.sop_instance_uid)
        said = _Said(
            annotations=content.annotations,
            title=_title(header),
            sources=sources,
            created_at=self._created_at(row, header, view),
            series_number=int(header.get("SeriesNumber") or _SERIES_NUMBER),
            seed=(self._version, *(one.sop_instance_uid for one in objects), *(uid for _, uid in sources.instances)),
            version=self._version,
            stored=None if sources.volume is not None else reader.stored_frame,
        )
        found = ConvertedVersion()
        for kind in FURTHER_KINDS:
            if str(kind) in wanted:
                _write(kind, said, found)
        if BULK_ANNOTATIONS in wanted:
            _write_bulk(said, found)
        return found

    def _on_images(
        self, reader: VersionReader, row: VersionRow, objects: Sequence[VersionObject], view: View, *, with_voxels: bool
    ) -> tuple[VersionContent, SourceImages]:
        """What it says, masks in the grid of the volume where its images are one."""
        content = reader.read(objects)
        if content.sources is None:
            raise InstanceNotFound("the images that the version is about are not held any more")
        on_images = replace(content.sources, frames=content.frames)
        if content.frames is None or content.frames.frames[0].spacing_mm is None or not content.sources.planes:
            return content, on_images
        for slices in self._volumes(row, content.sources.series_uid, view):
            volume = slices.without_voxels()
            # A series may hold several volumes; the masks fit the grid of one.
            with suppress(ObjectInvalid):
                placed = reader.read(objects, frames_of_volume(volume))
                return placed, SourceImages.of_volume(slices.whole() if with_voxels else volume)
        return content, on_images

    def _volumes(self, row: VersionRow, series_uid: str, view: View) -> Sequence[VolumeSlices]:
        images = _images(self._seen_by(view).instances_of(row.project, row.study_uid, series_uid))
        series = SeriesImages(self._blobs, images)
        try:
            return open_volumes(series.headers(), series.pixels).volumes
        except GatewayError:
            return ()

    def _created_at(self, row: VersionRow, header: Dataset, view: View) -> datetime:
        """When the version was made, as its own object says it."""
        said = f"{header.get('ContentDate', '')}{str(header.get('ContentTime', ''))[:6]}"
        with suppress(ValueError):
            return datetime.strptime(said, "%Y%m%d%H%M%S")  # DA and TM name no zone
        study = self._seen_by(view).study(row.project, row.study_uid)
        if study is None:
            raise InstanceNotFound("the study is not held any more")
        return self._moved_now(study)


def _write(kind: SentKind, said: _Said, found: ConvertedVersion) -> None:
    context = said.context(str(kind))
    written = write_further_objects([kind], said.annotations, said.title, said.sources, context, stored=said.stored)
    found.objects.update({str(each): objects for each, objects in written.objects.items()})
    found.left_out.extend(written.left_out)
    if not written.objects and not written.left_out:
        found.left_out.append(f"{kind}: nothing is marked on an image")


def _write_bulk(said: _Said, found: ConvertedVersion) -> None:
    """One object for each image, or frame of one, that something is drawn on."""
    context = said.context(BULK_ANNOTATIONS, _BULK_APART)
    try:
        objects = [_bulk(said, place, findings, context) for place, findings in _by_place(said.annotations.findings)]
    except ObjectInvalid as error:
        found.left_out.append(f"{BULK_ANNOTATIONS}: {error}")
        return
    if objects:
        found.objects[BULK_ANNOTATIONS] = objects
    else:
        found.left_out.append(f"{BULK_ANNOTATIONS}: nothing is drawn on an image")


def _bulk(said: _Said, place: Place, findings: Sequence[Finding], context: ResultContext) -> Dataset:
    images = said.sources.headers
    on_image = getattr(place, "sop_instance_uid", "")
    header = next((one for one in images if str(one.SOPInstanceUID) == on_image), images[0])
    bulk = BulkAnnotations(said.annotations.author, place, groups_of_findings(findings))
    written = write_bulk_annotations(bulk, said.title, header, context)
    refuse_errors(validate(written, sources=images))
    return written


def _by_place(findings: Iterable[Finding]) -> Iterator[tuple[Place, list[Finding]]]:
    """Findings by what they are drawn on; one that is drawn on several images, a part on each."""
    found: dict[Place, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.mask is not None:
            raise ObjectInvalid(f"{finding.label}: a mask is no bulk annotation; fetch the segmentation")
        measured = [one.shape for one in finding.measurements if one.shape is not None]
        places = dict.fromkeys(shape.place for shape in (*finding.shapes, *measured))
        for place in places:
            taken = [one for one in finding.measurements if one.shape is None or one.shape.place == place]
            shapes = tuple(shape for shape in finding.shapes if shape.place == place)
            found[place].append(replace(finding, shapes=shapes, measurements=tuple(taken)))
    yield from found.items()


def _images(rows: Iterable[InstanceRow]) -> list[InstanceRow]:
    return [row for row in rows if row.kind is ObjectKind.IMAGE]


def _title(header: Dataset) -> str:
    """What the version's own series is called, without the warning that is put to it again."""
    said = str(header.get("SeriesDescription") or _TITLE)
    return said.removesuffix(NOT_FOR_DIAGNOSIS).strip(" -,·") or _TITLE


def _uids(words: Sequence[str]) -> Callable[[], str]:
    """One UID after the other, the same ones for the same words (PS3.5 B.2)."""
    numbers = count(1)

    def next_uid() -> str:
        digest = hashlib.sha256("\0".join(("annogate", "as", *words, str(next(numbers)))).encode()).digest()
        return f"2.25.{int.from_bytes(digest[:16], 'big')}"

    return next_uid
