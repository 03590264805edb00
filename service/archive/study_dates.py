"""The dates that a study's objects carry as they are served, read from their cached metadata."""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock

from service.archive.instances import InstanceIndex
from service.archive.metadata_cache import text_of
from service.core.archived import SeriesRow, StudyRow

REMEMBERED_SERIES = 512
DUMMY_DATE = "19000101"
VERSIONS = frozenset({"00080106", "00080107", "0040DB06", "0040DB07"})
"""Versions of context groups and templates: public constants, never in a patient's time."""
_DATED = re.compile(r'"([0-9A-F]{8})":\s*\{"vr":\s*"D[AT]",\s*"Value":\s*\[([^\]]*)\]')
_DAY = re.compile(r'"(\d{8})')


class StudyDates:
    """Tells which dates stand in a study; remembers those of the series last asked for.

    Parameters
    ----------
    index : holds the metadata
    """

    def __init__(self, index: InstanceIndex) -> None:
        self._index = index
        self._known: OrderedDict[tuple[str, str, str, float], frozenset[str]] = OrderedDict()
        self._lock = Lock()

    def of(self, study: StudyRow) -> frozenset[str]:
        """Every day in a DA or DT element of any instance of the study, at any depth, hidden versions included."""
        series = self._index.series_of(study.project, study.study_uid)
        return frozenset().union(*(self._of_series(one) for one in series))

    def _of_series(self, series: SeriesRow) -> frozenset[str]:
        """One series at a time, so that a large study is never in memory as a whole."""
        key = (series.project, series.study_uid, series.series_uid, series.changed_at)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        days: set[str] = set()
        held = self._index.metadata_of(series.project, series.study_uid, series.series_uid, visible_only=False)
        for metadata in held:
            days |= days_in(text_of(metadata, ""))
        with self._lock:
            self._known[key] = frozenset(days)
            while len(self._known) > REMEMBERED_SERIES:
                self._known.popitem(last=False)
        return frozenset(days)


def days_in(text: str) -> set[str]:
    """Return the days (DA) in the DICOM JSON of an instance; dummies and versions of the standard are none."""
    found = {day for tag, values in _DATED.findall(text) if tag not in VERSIONS for day in _DAY.findall(values)}
    return found - {DUMMY_DATE}
