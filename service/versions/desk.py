"""Where people look at versions: list them, fetch what an older one held, see what a later one says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.archive.annotation_versions import AnnotationVersions
from service.core.archived import InstanceRow
from service.core.findings import Mask
from service.core.geometry import ImagePlace
from service.core.ports import BlobStore, InstanceReader
from service.core.source_frames import SourceFrame
from service.core.versions import VersionObject, VersionRow
from service.core.view import EVERYTHING, View
from service.errors import BadRequest, InstanceNotFound, NotComparable, ObjectInvalid
from service.objects.shown_picture import picture_of
from service.reading.comparison import Comparison, compare
from service.versions.content import VersionContent, VersionReader


@dataclass(frozen=True, slots=True, eq=False)
class ComparedVersions:
    """Two versions side by side.

    Parameters
    ----------
    has_spacing : whether distances of masks are in millimetres; their images say nothing of it otherwise
    """

    before: VersionRow
    after: VersionRow
    comparison: Comparison
    has_spacing: bool


class VersionDesk:
    """Versions of annotations, as somebody sees them.

    Parameters
    ----------
    seen_by : the index as somebody sees it
    """

    def __init__(
        self, versions: AnnotationVersions, seen_by: Callable[[View], InstanceReader], blobs: BlobStore
    ) -> None:
        self._versions = versions
        self._seen_by = seen_by
        self._blobs = blobs

    def of_study(self, project: str, study_uid: str, view: View = EVERYTHING) -> list[VersionRow]:
        """The versions of a study, by line, the newest first.

        Raises
        ------
        InstanceNotFound : there is no such study
        """
        if self._seen_by(view).study(project, study_uid) is None:
            raise InstanceNotFound("there is no such study")
        return self._versions.of_study(project, study_uid, view)

    def get(self, project: str, version_id: int, view: View = EVERYTHING) -> VersionRow:
        """One version.

        Raises
        ------
        InstanceNotFound : there is none, or nothing of it is seen
        """
        found = self._versions.get(project, version_id, view)
        if found is None:
            raise InstanceNotFound("there is no such version")
        return found

    def file_of(
        self, project: str, version_id: int, sop_instance_uid: str, view: View = EVERYTHING
    ) -> tuple[InstanceRow, bytes]:
        """An object of a version, shown or not, as the DICOM file under which it is kept.

        Raises
        ------
        InstanceNotFound : it is none of the version's
        """
        version = self.get(project, version_id, view)
        if sop_instance_uid not in [one.sop_instance_uid for one in version.objects]:
            raise InstanceNotFound("the version has no such object")
        row = self._reader(project, view).row(sop_instance_uid)
        with self._blobs.open(row.blob.key) as stream:
            return row, stream.read()

    def compare(
        self, project: str, version_id: int, earlier_id: int | None = None, view: View = EVERYTHING
    ) -> ComparedVersions:
        """What a version says otherwise than another; without one, than that which it was made from.

        Raises
        ------
        InstanceNotFound : there is no such version
        BadRequest : it was made from none, or both are of different studies
        NotComparable : they are about different images, or an object of theirs cannot be read
        """
        earlier, later, before, after = self._both(project, version_id, earlier_id, view)
        spacing = before.spacing_mm or after.spacing_mm
        sources = after.sources or before.sources
        compared = compare(
            before.annotations,
            after.annotations,
            spacing or (1.0, 1.0, 1.0),
            (lambda _: None) if sources is None else sources.spacing_mm,
        )
        return ComparedVersions(earlier, later, compared, has_spacing=spacing is not None)

    def picture(
        self,
        project: str,
        version_id: int,
        tracking_uid: str,
        number: int | None = None,
        earlier_id: int | None = None,
        view: View = EVERYTHING,
    ) -> bytes:
        """A PNG of both outlines of a finding on one slice; without a number, on that which differs most.

        Raises
        ------
        InstanceNotFound : there is no such version, or neither has a mask of the finding on the slice
        BadRequest, NotComparable : as for `compare`
        """
        from service.reading.contour_picture import contour_picture

        _, _, before, after = self._both(project, version_id, earlier_id, view)
        compared = compare(before.annotations, after.annotations, before.spacing_mm or (1.0, 1.0, 1.0))
        change = next((one for one in compared.findings if one.tracking_uid == tracking_uid), None)
        was = tracking_uid if change is None else change.tracking_uid_before or tracking_uid
        masks = [_mask_of(before, was), _mask_of(after, tracking_uid)]
        frames = before.frames or after.frames
        if frames is None or masks == [None, None]:
            raise InstanceNotFound("no mask of such a finding is in either version")
        slices = change.overlap.differing_slices if change is not None and change.overlap is not None else ()
        shown = number if number is not None else next(iter(slices), _first_slice(masks))
        if not 0 <= shown < len(frames.frames):
            raise InstanceNotFound(f"there is no slice {shown}: they are numbered from 0 to {len(frames.frames) - 1}")
        pixels = self._grey(self._reader(project, view), before, frames.frames[shown])
        try:
            return contour_picture(pixels, shown, masks[0], masks[1], (0.0, 255.0))
        except ValueError as error:
            raise InstanceNotFound("neither version has anything of the finding on this slice") from error

    def objects_at(self, version: VersionRow, view: View = EVERYTHING) -> list[VersionObject]:
        """What its line held when a version was the newest: its own objects, and what it left as it was."""
        line = self._versions.of_study(version.project, version.study_uid, view)
        found: dict[str, VersionObject] = {}
        for each in line:
            if each.line == version.line and each.number <= version.number:
                for one in each.objects:
                    found.setdefault(one.family, one)
        return sorted(found.values(), key=lambda one: one.family, reverse=True)

    def _both(
        self, project: str, version_id: int, earlier_id: int | None, view: View
    ) -> tuple[VersionRow, VersionRow, VersionContent, VersionContent]:
        later = self.get(project, version_id, view)
        if earlier_id is None and later.parent is None:
            raise BadRequest("the version was made from none: name the one to compare it with")
        earlier = self.get(project, later.parent or 0 if earlier_id is None else earlier_id, view)
        if earlier.study_uid != later.study_uid:
            raise BadRequest("the versions are of different studies")
        reader = self._reader(project, view)
        try:
            before = reader.read(self.objects_at(earlier, view))
            after = reader.read(self.objects_at(later, view), before.frames)
        except ObjectInvalid as error:
            raise NotComparable(f"the versions cannot be compared: {error}") from error
        return earlier, later, before, after

    def _grey(self, reader: VersionReader, content: VersionContent, frame: SourceFrame) -> npt.NDArray[np.float32]:
        """The image as a viewer would first show it, 0 to 255."""
        if content.sources is None:
            raise InstanceNotFound("the images are not held any more")
        place = ImagePlace(frame.sop_class_uid, frame.sop_instance_uid, frame.frame_numbers[:1])
        picture = picture_of(place, content.sources, reader.stored_frame)
        if picture is None:
            raise BadRequest("outlines on a slide that is stored in tiles are not drawn here")
        grey: npt.NDArray[np.float32] = picture.mean(axis=2, dtype=np.float32)
        return grey

    def _reader(self, project: str, view: View) -> VersionReader:
        return VersionReader(self._seen_by(view), self._blobs, project)


def _mask_of(content: VersionContent, tracking_uid: str) -> Mask | None:
    return next((one.mask for one in content.annotations.findings if one.tracking_uid == tracking_uid), None)


def _first_slice(masks: Sequence[Mask | None]) -> int:
    return min(mask.origin[0] for mask in masks if mask is not None)
