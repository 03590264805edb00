"""Where studies are fetched from: the port that a DIMSE peer and a DICOMweb peer fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
class FoundSeries:
    """What a peer says of a series of a study."""

    modality: str = ""
    body_part: str = ""


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

    def series_of(self, study_uid: str, stop: Stop) -> list[FoundSeries]:
        """The series of a study.

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


def matching(source: StudySource, request: PullRequest, stop: Stop) -> list[FoundStudy]:
    """The studies that are asked for, each once, the latest first.

    Raises
    ------
    GatewayError : the peer cannot be asked, or answers with a failure
    """
    by_uid = {study.study_uid: study for study in source.find(request, stop) if study.study_uid}
    by_uid.pop(request.without, None)
    studies = [study for study in by_uid.values() if not request.before or "" < study.date < request.before]
    studies = [study for study in studies if study.date >= request.since]
    studies.sort(key=lambda study: (study.date, study.time), reverse=True)
    alike: list[FoundStudy] = []
    for study in studies:
        if len(alike) == request.limit or stop():
            break
        if _is_alike(source, request, study, stop):
            alike.append(study)
    return alike


def _is_alike(source: StudySource, request: PullRequest, study: FoundStudy, stop: Stop) -> bool:
    """Whether one of its series is of the modality and body part; one that names no body part may be."""
    if not request.modalities and not request.body_parts:
        return True
    return any(
        (not request.modalities or series.modality in request.modalities)
        and (not request.body_parts or not series.body_part or series.body_part in request.body_parts)
        for series in source.series_of(study.study_uid, stop)
    )
