"""What somebody asks a peer for, as it may stand in the index: sealed, and found again by a keyed digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from service.core.pulls import NewPull, PullRow, StudyPullRow
from service.deident.sealed_note import NoteSeal
from service.errors import BadRequest

# What a query may name: keys of the study level that every archive knows (PS3.4 Table C.6-5), and two that most do.
KEYS: Final = frozenset(
    {
        *("AccessionNumber", "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID"),
        *("StudyDate", "StudyTime", "StudyID", "ModalitiesInStudy", "StudyDescription", "ReferringPhysicianName"),
    }
)
_SELECTIVE: Final = frozenset({"AccessionNumber", "PatientID", "StudyInstanceUID", "StudyDate", "PatientName"})


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Which studies.

    Parameters
    ----------
    keys : by keyword, the values that a study's attributes have to match
    before : only studies of before this day (YYYYMMDD), the latest first; for priors
    without : a Study Instance UID that is not among them
    limit : the most studies
    since : only studies of this day (YYYYMMDD) or later
    modalities, body_parts : only studies with a series of one of these
    """

    keys: Mapping[str, str] = field(repr=False)
    before: str = ""
    without: str = field(default="", repr=False)
    limit: int = 1000
    since: str = ""
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.keys) - KEYS)
        if unknown:
            raise BadRequest(f"no key of a study: {', '.join(unknown)}; known are {', '.join(sorted(KEYS))}")
        if not any(value.strip("* ") for key, value in self.keys.items() if key in _SELECTIVE):
            raise BadRequest(f"a pull names at least one of {', '.join(sorted(_SELECTIVE))}")

    def identifier(self) -> Dataset:
        """As the identifier of a C-FIND at the study level."""
        identifier = Dataset()
        for keyword in ("StudyInstanceUID", "StudyDate", "StudyTime", "PatientID", "IssuerOfPatientID"):
            setattr(identifier, keyword, "")
        for keyword, value in self.keys.items():
            tag = tag_for_keyword(keyword)
            assert tag is not None  # noqa: S101 -- every one of KEYS is in the dictionary
            values = value.split("\\") if dictionary_VR(tag) == "UI" else value
            setattr(identifier, keyword, values)
        return identifier


class PullNotes:
    """Seals requests and the original UIDs of studies."""

    def __init__(self, seal: NoteSeal) -> None:
        self._seal = seal

    def new_pull(
        self,
        project: str,
        peer: str,
        request: PullRequest,
        requested_by: str,
        origin_study_uid: str = "",
        annotator: str = "",
    ) -> NewPull:
        """A request as a row."""
        value = {
            "keys": dict(sorted(request.keys.items())),
            "before": request.before,
            "without": request.without,
            "limit": request.limit,
            "since": request.since,
            "modalities": request.modalities,
            "body_parts": request.body_parts,
        }
        parts = [project, peer, request.before, request.without, str(request.limit)]
        parts += [text for pair in sorted(request.keys.items()) for text in pair]
        parts += [annotator, request.since, "\\".join(request.modalities), "\\".join(request.body_parts)]
        sealed = self._seal.seal(f"pull {project}", value)
        return NewPull(project, peer, sealed, self._seal.digest(*parts), requested_by, origin_study_uid, annotator)

    def request_of(self, pull: PullRow) -> PullRequest:
        """The request behind a row.

        Raises
        ------
        KeysMissing : it does not open with the key file
        """
        value = self._seal.open(f"pull {pull.project}", pull.sealed)
        return PullRequest(
            value["keys"],
            value["before"],
            value["without"],
            value["limit"],
            # Which requests of an earlier version do not have.
            since=value.get("since", ""),
            modalities=tuple(value.get("modalities", ())),
            body_parts=tuple(value.get("body_parts", ())),
        )

    def study(self, project: str, study_uid: str) -> tuple[str, bytes]:
        """Digest and sealed note of an original Study Instance UID."""
        return self._seal.digest(project, study_uid), self._seal.seal(f"pull study {project}", {"uid": study_uid})

    def study_uid(self, row: StudyPullRow) -> str:
        """The original Study Instance UID behind a row.

        Raises
        ------
        KeysMissing : it does not open with the key file
        """
        return str(self._seal.open(f"pull study {row.project}", row.sealed)["uid"])
