"""Which annotation an imported one takes the place of; asked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.archived import InstanceRow, StudyRow
from service.core.ports import BlobStore
from service.core.records import ObjectKind
from service.core.versions import REPORT, SEGMENTATION, VersionOrigin, VersionRow
from service.errors import FormatRefused
from service.formats.series_finder import SeriesIndex

LATEST: Final = "latest"
_REFERRING: Final = (
    "ReferencedSeriesSequence",
    "CurrentRequestedProcedureEvidenceSequence",
    "PertinentOtherEvidenceSequence",
)


@dataclass(frozen=True, slots=True)
class Replaced:
    """What is replaced: headers of the objects of a version, by family."""

    version: int
    headers: dict[str, Dataset] = field(repr=False)

    @property
    def named(self) -> Dataset:
        """What the new objects name as their predecessor: the report, since that is a document."""
        return self.headers.get(REPORT) or self.headers[SEGMENTATION]


class Replacing:
    """Finds what is replaced in one project, for one import.

    Parameters
    ----------
    wanted : SOP Instance UID of a segmentation or report, as served, or ``latest``
    origin : whose annotations are imported: nobody's hide what somebody else said
    made_by : name of the program or model; with `LATEST` only what it made is replaced
    """

    def __init__(
        self,
        *,
        wanted: str,
        project: str,
        origin: VersionOrigin,
        made_by: str,
        index: SeriesIndex,
        versions: Callable[[str, str], Sequence[VersionRow]],
        blobs: BlobStore,
    ) -> None:
        self._wanted = wanted
        self._project = project
        self._origin = origin
        self._made_by = made_by
        self._index = index
        self._versions = versions
        self._blobs = blobs
        self._done: set[int] = set()

    def find(self, study: StudyRow, series_uid: str) -> Replaced:
        """The annotation of a series that is replaced.

        Raises
        ------
        FormatRefused : there is none, it is about another series, somebody else's, or was replaced in this import
        """
        found = self._latest(study, series_uid) if self._wanted == LATEST else self._named(study, series_uid)
        line = next(one.line for one in self._versions(self._project, study.study_uid) if one.id == found.version)
        if line in self._done:
            raise FormatRefused("another file of this import replaces the same annotation: import one file for it")
        self._done.add(line)
        return found

    def _named(self, study: StudyRow, series_uid: str) -> Replaced:
        uid = self._wanted
        row = self._index.find_all(self._project, [uid]).get(uid)
        if row is None or row.kind is ObjectKind.IMAGE:
            raise FormatRefused(
                f"no annotation {uid} is held in project {self._project}, so it cannot be replaced: "
                "annogate annotations list STUDY names those that are"
            )
        version = next((one for one in self._versions(self._project, study.study_uid) if _holds(one, uid)), None)
        found = None if version is None else self._read(version)
        if version is None or found is None or series_uid not in _series_of(found):
            raise FormatRefused(
                f"annotation {uid} is about another series, and cannot be replaced by marks on {series_uid}: "
                "name one of this series, or --replace latest"
            )
        if not self._origin.continues(version.origin):
            raise FormatRefused(
                f"annotation {uid} is somebody else's, which an import does not hide: name its reader with --reader, "
                "or leave out --replace"
            )
        return found

    def _latest(self, study: StudyRow, series_uid: str) -> Replaced:
        own = [
            one
            for one in self._versions(self._project, study.study_uid)
            if one.is_newest and self._origin.continues(one.origin)
        ]
        for version in sorted(own, key=lambda one: -one.id):
            found = self._read(version)
            if found is not None and series_uid in _series_of(found) and self._is_of_maker(found):
                return found
        raise FormatRefused(
            f"nothing of the same maker is held on series {series_uid} that could be replaced: leave out --replace"
        )

    def _is_of_maker(self, found: Replaced) -> bool:
        if self._origin.is_reader:
            return True
        return str(found.named.get("ManufacturerModelName", "")) == self._made_by[:64]

    def _read(self, version: VersionRow) -> Replaced | None:
        uids = [one.sop_instance_uid for one in version.objects if one.family in (SEGMENTATION, REPORT)]
        rows = self._index.find_all(self._project, uids)
        families = {one.sop_instance_uid: one.family for one in version.objects}
        headers = {families[uid]: self._header(row) for uid, row in rows.items()}
        return Replaced(version.id, headers) if headers else None

    def _header(self, row: InstanceRow) -> Dataset:
        with self._blobs.open(row.blob.key) as stream:
            return dcmread(stream, stop_before_pixels=True)


def _holds(version: VersionRow, uid: str) -> bool:
    return uid in [one.sop_instance_uid for one in version.objects if one.family in (SEGMENTATION, REPORT)]


def _series_of(found: Replaced) -> set[str]:
    """Series that objects refer to."""
    series: set[str] = set()
    for header in found.headers.values():
        for keyword in _REFERRING:
            for item in header.get(keyword) or ():
                inner = [item] if keyword == _REFERRING[0] else (item.get("ReferencedSeriesSequence") or ())
                series |= {str(one.get("SeriesInstanceUID", "")) for one in inner}
    return series
