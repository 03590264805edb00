"""Which dates are moved, and by how much."""

from __future__ import annotations

from service.deident.date_shift import shifted_date, shifted_date_time


class DateRule:
    """Moves the dates of one patient.

    Parameters
    ----------
    days : how far back; 0 keeps dates, but only where they are dates
    real_from : a DA value; dates before it are in the project's time already and stay. Used for objects made inside
        the project, which mix dates copied from its images with dates of their own
    carried : DA values in the project's time that objects of the study carry: a copy of one of them stays as well
    """

    def __init__(self, days: int, real_from: str = "", carried: frozenset[str] = frozenset()) -> None:
        self.days = days
        self._real_from = real_from
        self._carried = carried

    def date(self, text: str) -> str | None:
        """Return what stands for a DA value; None where it is not a date."""
        return shifted_date(text, self._days_for(text.replace(".", "")))

    def date_time(self, text: str) -> str | None:
        """Return what stands for a DT value; None where it is not one."""
        return shifted_date_time(text, self._days_for(text[:8]))

    def _days_for(self, day: str) -> int:
        if day in self._carried:
            return 0
        # A date cut short is compared as far as it goes; it is moved when it may be a real one.
        return self.days if day >= self._real_from[: len(day)] else 0


def annotation_dates(days: int, study_date: str, carried: frozenset[str]) -> DateRule:
    """Return the rule for dates of an object made inside the project: real from the real study date on.

    Parameters
    ----------
    study_date : as it is served; empty where there is none
    """
    if not days:
        return DateRule(0)
    # One day earlier: the tool's clock may stand in another zone than the scanner's.
    real_from = shifted_date(study_date, -(days - 1)) if study_date else None
    return DateRule(days, real_from or "", carried)
