"""Moments as a project tells them: where a patient's dates are moved, so are those of the work on their studies.

When the gateway worked on a study is hardly later than when the study was made. Beside a date that was moved, the real
one would give the shift away, and with it every date of the patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from service.core.archived import StudyRow

ShiftDays = Callable[[str, str], int]
"""By how many days a project moves back the dates of a patient, named as served."""

_DAY: Final = re.compile(r"[0-9]{8}", re.ASCII)


def not_moved(project: str, patient_id: str) -> int:
    """Of projects that keep their dates."""
    del project, patient_id
    return 0


class ProjectTime:
    """Tells moments of work on studies.

    Parameters
    ----------
    study_of : the study held under a UID in a project
    """

    def __init__(self, study_of: Callable[[str, str], StudyRow | None], shift_days: ShiftDays = not_moved) -> None:
        self._study_of = study_of
        self._shift_days = shift_days

    def moment(self, project: str, study_uid: str, at: float) -> str:
        """A time of ours, in seconds since the epoch, as DT (PS3.5 6.2) with its offset from UTC.

        Parameters
        ----------
        study_uid : which it is about, "" for none
        """
        told = datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%S+0000")
        return self.moved(told, self._study_of(project, study_uid) if study_uid else None)

    def moved(self, told: str, study: StudyRow | None) -> str:
        """A DT that somebody told of work on a study; one that names no day says too little to be moved."""
        days = 0 if study is None else self._shift_days(study.project, study.patient_id)
        if not days or not _DAY.match(told):
            return told
        try:
            day = date(int(told[:4]), int(told[4:6]), int(told[6:8])) - timedelta(days=days)
        except (ValueError, OverflowError):
            return told
        return f"{day.isoformat().replace('-', '')}{told[8:]}"
