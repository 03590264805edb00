"""Goes on with attributes that somebody made searchable, or took back, and whose command ended half-way."""

from __future__ import annotations

import threading

import structlog

from dicom_nodes.errors import GatewayError
from service.archive.search_attribute_table import SearchAttributeTable
from service.core.fault_place import fault_place
from service.core.search_attributes import FillState, SearchAttribute

_log = structlog.get_logger("annogate.jobs")


class AttributeRounds:
    """Looks now and then; what did not come further from one look to the next has nobody who works on it.

    Two processes that take it up at once take turns (`service.archive.search_attribute_table`).

    Parameters
    ----------
    look_s : between looks
    """

    def __init__(self, table: SearchAttributeTable, look_s: float) -> None:
        self._table = table
        self._look_s = look_s
        self._seen: list[SearchAttribute] = []
        self._stop = threading.Event()

    def run(self) -> None:
        """Work until `stop`."""
        while not self._stop.is_set():
            try:
                self.look()
            except GatewayError as error:
                _log.warning("search_attributes.trouble", reason=str(error))
            except Exception as error:  # noqa: BLE001  # rows say how far it came; the next look goes on from there
                _log.error("search_attributes.trouble", reason=fault_place(error))
            self._stop.wait(self._look_s)

    def stop(self) -> None:
        """End; the portion at hand is ended first."""
        self._stop.set()

    def look(self) -> None:
        """Bring to its end what stood still since the look before."""
        before, self._seen = self._seen, self._table.all()
        for attribute in self._seen:
            if attribute not in before:
                continue
            if attribute.state is FillState.FILLING:
                self._table.fill(attribute.key, is_stopped=self._stop.is_set)
            elif attribute.state is FillState.REMOVING:
                self._table.forget(attribute.key, self._stop.is_set)
