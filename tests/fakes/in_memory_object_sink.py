"""An object sink in memory; passes the same contract tests as the spool."""

from __future__ import annotations

import threading

from dicom_nodes.errors import GatewayError
from dicom_nodes.object_sink import ObjectHeader


class InMemoryObjectSink:
    """Keeps committed objects in ``stored``; raises the error that a test plants at the step that it plants it for."""

    def __init__(self) -> None:
        self.stored: list[tuple[ObjectHeader, bytes]] = []
        self.errors: dict[str, Exception] = {}
        self.abandoned = threading.Event()

    def begin(self, header: ObjectHeader) -> InMemoryObjectWriter:
        self.fail_at("begin")
        return InMemoryObjectWriter(self, header)

    def fail_at(self, step: str) -> None:
        if step in self.errors:
            raise self.errors[step]


class InMemoryObjectWriter:
    def __init__(self, sink: InMemoryObjectSink, header: ObjectHeader) -> None:
        self._sink = sink
        self._header = header
        self._data = bytearray()
        self._open = True

    def write(self, data: bytes | memoryview) -> None:
        self._require_open()
        self._sink.fail_at("write")
        self._data += data

    def finish(self) -> None:
        self._require_open()
        self._sink.fail_at("finish")

    def commit(self) -> None:
        self._require_open()
        self._sink.fail_at("commit")
        self._open = False
        self._sink.stored.append((self._header, bytes(self._data)))

    def abandon(self) -> None:
        self._open = False
        self._sink.abandoned.set()

    def _require_open(self) -> None:
        if not self._open:
            raise GatewayError("the object has ended")
