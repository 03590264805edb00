"""Why an object is held that nobody has to decide on: the rest of its series is not there yet."""

from __future__ import annotations

from service.errors import IdentityNotRemovable


class SeriesAwaited(IdentityNotRemovable):
    """An image that may show a face; one that is looked at alone cannot lose it.

    Parameters
    ----------
    series : a keyed digest of the series, under which its images find each other
    """

    dimse_status = 0xC007

    def __init__(self, series: str) -> None:
        super().__init__("Waits for the rest of its series: then its faces are removed")
        self.series = series
