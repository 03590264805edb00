"""The studies, series and instances that an address names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from service.core.archived import InstanceRow
from service.core.deletion import DeletedPlace
from service.core.ports import InstanceReader
from service.core.records import ObjectKind
from service.errors import BadRequest, InstanceGone, InstanceNotFound

_UID: Final = re.compile(r"[0-9.]{1,64}")


def check_uids(*uids: str) -> None:
    """Refuse what cannot be a UID; "" stands for one that the address does not name.

    Raises
    ------
    BadRequest : one is none
    """
    for uid in uids:
        if uid and not _UID.fullmatch(uid):
            raise BadRequest("The address holds something that is not a UID")


def parse_frames(text: str) -> list[int]:
    """A list of frame numbers, each from 1 (PS3.18 10.4.1.1.6).

    Raises
    ------
    BadRequest : it is none
    """
    numbers = text.split(",")
    if not all(re.fullmatch(r"[0-9]{1,9}", number.strip()) and int(number) > 0 for number in numbers):
        raise BadRequest("Frames are given as a list of numbers from 1, with commas between them")
    return [int(number) for number in numbers]


class Trash(Protocol):
    """What people deleted."""

    def holds_any(self, project: str, sop_instance_uids: Sequence[str]) -> bool:
        """Whether one of the instances at least is in the trash."""

    def covers(self, project: str, place: DeletedPlace) -> bool:
        """Whether what stood at a place was deleted."""


class NothingDeleted:
    """A trash that nobody has put anything into."""

    def holds_any(self, project: str, sop_instance_uids: Sequence[str]) -> bool:  # noqa: ARG002 (the port's signature)
        """No."""
        return False

    def covers(self, project: str, place: DeletedPlace) -> bool:  # noqa: ARG002 (the port's signature)
        """No."""
        return False


class Resources:
    """Finds what an address names, within the projects there are."""

    def __init__(self, index: InstanceReader, projects: Collection[str], trash: Trash) -> None:
        self._trash = trash
        self._index = index
        self._projects = projects

    def check_project(self, project: str) -> None:
        """Refuse a project that there is not.

        Raises
        ------
        InstanceNotFound : there is no such project
        """
        if project not in self._projects:
            raise InstanceNotFound("There is no such project")

    def instances(
        self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = ""
    ) -> list[InstanceRow]:
        """The instances of a study, a series, or the one that is named; at least one.

        One that is named is found although a newer version has taken its place: others still refer to it.

        Raises
        ------
        BadRequest : a UID is none
        InstanceGone : what was there was deleted
        InstanceNotFound : nothing is held under these UIDs
        """
        self.check_project(project)
        check_uids(study_uid, series_uid, sop_instance_uid)
        if sop_instance_uid:
            return [self.instance(project, study_uid, series_uid, sop_instance_uid)]
        found = self._index.instances_of(project, study_uid, series_uid or None)
        if not found:
            raise self.missing(project, study_uid, series_uid)
        return found

    def instance(self, project: str, study_uid: str, series_uid: str, sop_instance_uid: str) -> InstanceRow:
        """The instance under these UIDs.

        Raises
        ------
        BadRequest : a UID is none
        InstanceGone : what was there was deleted
        InstanceNotFound : nothing is held under these UIDs
        """
        self.check_project(project)
        check_uids(study_uid, series_uid, sop_instance_uid)
        row = self._index.find(project, sop_instance_uid)
        if row is None or (row.study_uid, row.series_uid) != (study_uid, series_uid):
            raise self.missing(project, study_uid, series_uid, sop_instance_uid)
        if not row.visible and (row.kind is ObjectKind.IMAGE or self._trash.holds_any(project, [sop_instance_uid])):
            # An older version of a result can be had by its UID; an image that is hidden was rejected or deleted.
            raise self.missing(project, study_uid, series_uid, sop_instance_uid)
        return row

    def missing(
        self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = ""
    ) -> InstanceNotFound:
        """What to raise where an address leads to nothing: it was deleted (410), or never was there (404)."""
        place = DeletedPlace(study_uid, series_uid, sop_instance_uid)
        if self._trash.covers(project, place):
            return InstanceGone(f"This {place.level} was deleted")
        return InstanceNotFound(f"There is no such {place.level}")
