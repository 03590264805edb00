"""Objects that were acknowledged and have no row in the index yet: ingest is behind, or does not run."""

from __future__ import annotations

from collections.abc import Callable

from service.archive.intake import IntakeTable
from service.ingest.spool_reader import SpooledObject, SpoolReader


class SpoolBacklog:
    """Looks into the spool beside the workers; for one thread.

    Parameters
    ----------
    reader : of its own
    project_of : the project of a called AE title; None where there is none
    """

    def __init__(self, reader: SpoolReader, intake: IntakeTable, project_of: Callable[[str], str | None]) -> None:
        self._reader = reader
        self._intake = intake
        self._project_of = project_of
        self._without_row: dict[str, SpooledObject] = {}

    def oldest_at(self, project: str) -> float | None:
        """When the first of a project's objects without a row was received; None when there is none.

        Who wants to know what is on its way at all asks this first and the index's rows afterwards.

        Raises
        ------
        GatewayError : spool or index cannot be read
        """
        self._look()
        return min(
            (
                one.header.received_at
                for one in self._without_row.values()
                if self._project_of(one.header.called_ae_title) == project
            ),
            default=None,
        )

    def _look(self) -> None:
        for one in self._reader.committed():
            self._without_row[one.source_key] = one
        if not self._without_row:
            return
        registered = self._intake.find(list(self._without_row))
        # Rows before files: rows go after their segment, so one without row in a segment that is there has none yet.
        present = self._reader.segments()
        self._without_row = {
            key: one for key, one in self._without_row.items() if key not in registered and one.segment in present
        }
