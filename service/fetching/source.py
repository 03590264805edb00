"""Where studies are fetched from: the port that a DIMSE peer and a DICOMweb peer fill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.fetching.request import PullRequest

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study that a peer has, by its original UID."""

    study_uid: str = field(repr=False)
    date: str = field(default="", repr=False)
    time: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a study, by the peer's own account."""

    series_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What asking for some objects came to.

    Parameters
    ----------
    sent : how many the peer says that it sent
    words : why it did not send the others; "" without
    """

    sent: int
    words: str = ""


class StudySource(Protocol):
    """A peer that studies are fetched from."""

    def find(self, request: PullRequest, stop: Stop) -> Iterator[FoundStudy]:
        """The studies that match.

        Raises
        ------
        GatewayError : the peer cannot be asked, or answers with a failure
        """

    def objects_of(self, study_uid: str, stop: Stop) -> list[ListedObject]:
        """Every object of a study, by the peer's own account.

        Raises
        ------
        GatewayError : the peer cannot be asked, or answers with a failure
        """

    def fetch(self, study_uid: str, objects: Sequence[ListedObject], stop: Stop) -> Fetched:
        """Have some objects of one series sent to the node's spool.

        Raises
        ------
        GatewayError : the peer cannot be reached, or breaks off
        """


def matching(found: Iterable[FoundStudy], request: PullRequest) -> list[FoundStudy]:
    """Those of the studies that were asked for, each once, the latest first."""
    by_uid = {study.study_uid: study for study in found if study.study_uid}
    by_uid.pop(request.without, None)
    studies = [study for study in by_uid.values() if not request.before or "" < study.date < request.before]
    studies.sort(key=lambda study: (study.date, study.time), reverse=True)
    return studies[: request.limit]
