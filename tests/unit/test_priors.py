"""Which earlier studies are priors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from service.errors import SettingsInvalid
from service.fetching.desk import Priors
from service.fetching.request import PullRequest
from service.fetching.source import Fetched, FoundSeries, FoundStudy, ListedObject, Stop, matching
from service.settings import load_settings

PATIENT = {"PatientID": "ID-77-PLANTED"}


class Held:
    """A peer that has some studies; fills ``service.fetching.source.StudySource``."""

    def __init__(self, studies: Mapping[str, tuple[str, Sequence[FoundSeries]]]) -> None:
        self._studies = studies
        self.looked_into: list[str] = []

    def find(self, request: PullRequest, stop: Stop) -> Iterator[FoundStudy]:
        for uid, (date, _) in self._studies.items():
            yield FoundStudy(uid, date)

    def series_of(self, study_uid: str, stop: Stop) -> list[FoundSeries]:
        self.looked_into.append(study_uid)
        return list(self._studies[study_uid][1])

    def objects_of(self, study_uid: str, stop: Stop) -> list[ListedObject]:
        return []

    def fetch(self, study_uid: str, objects: Sequence[ListedObject], stop: Stop) -> Fetched:
        return Fetched(0)


CHEST, HEAD, UNSAID = FoundSeries("CT", "CHEST"), FoundSeries("CT", "HEAD"), FoundSeries("CT")
HELD = {
    "now": ("20240312", [CHEST]),
    "mr": ("20240101", [FoundSeries("MR", "CHEST")]),
    "chest": ("20230601", [FoundSeries("SR"), CHEST]),
    "head": ("20230501", [HEAD]),
    "unsaid": ("20230401", [UNSAID]),
    "old": ("20100101", [CHEST]),
    "undated": ("", [CHEST]),
}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["mr", "chest", "head", "unsaid", "old"]),
        ({"limit": 2}, ["mr", "chest"]),
        ({"since": "20230401"}, ["mr", "chest", "head", "unsaid"]),
        ({"modalities": ("CT",)}, ["chest", "head", "unsaid", "old"]),
        ({"modalities": ("CT",), "body_parts": ("CHEST",)}, ["chest", "unsaid", "old"]),
        ({"modalities": ("CT",), "body_parts": ("CHEST",), "limit": 1}, ["chest"]),
        ({"body_parts": ("HEAD", "NECK")}, ["chest", "head", "unsaid"]),
    ],
)
def test_priors_are_the_latest_that_are_alike(wanted: dict[str, Any], expected: list[str]) -> None:
    request = PullRequest(PATIENT, before="20240312", without="now", **wanted)
    found = matching(Held(HELD), request, lambda: False)
    assert [study.study_uid for study in found] == expected


def test_no_more_studies_are_looked_into_than_are_needed() -> None:
    peer = Held(HELD)
    matching(peer, PullRequest(PATIENT, before="20240312", modalities=("CT",), limit=1), lambda: False)
    assert peer.looked_into == ["mr", "chest"]


@pytest.mark.parametrize(
    ("days", "date", "expected"),
    [(None, "20240312", ""), (30, "20240312", "20240211"), (30, "", ""), (1_000_000, "20240312", "")],
)
def test_days_say_how_far_back(days: int | None, date: str, expected: str) -> None:
    assert Priors("pacs", 1, days).since(date) == expected


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ({"lungs": {"peer": "pacs"}}, "the project has no annotator lungs"),
        ({"nodules": {"peer": "away"}}, "projects.default.priors.nodules.peer: there is no peer 'away'"),
    ],
)
def test_priors_of_nobody_and_of_no_peer_are_refused(priors: dict[str, Any], words: str) -> None:
    peers = {"pacs": {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}}
    with pytest.raises(SettingsInvalid, match=words):
        load_settings(environ={}, overrides={"peers": peers, "projects": {"default": {"priors": priors}}})
