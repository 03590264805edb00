"""A storage SCP that answers what the test says, and remembers what it was sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from pynetdicom.transport import ThreadedAssociationServer

UNCOMPRESSED = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


class ScriptedStorageScp:
    """Use as a context manager; ``port`` stays the same when it is started again.

    Parameters
    ----------
    classes : SOP classes that it takes
    answer : by SOP Class and Instance UID, the status of the answer
    """

    def __init__(
        self,
        classes: Sequence[str],
        answer: Callable[[str, str], int] = lambda sop_class, instance: 0,
        *,
        port: int = 0,
        transfer_syntaxes: Sequence[str] = UNCOMPRESSED,
    ) -> None:
        self._ae = AE("SCRIPTED")
        self._ae.supported_contexts = [build_context(uid, list(transfer_syntaxes)) for uid in classes]
        self._ae.maximum_associations = 100
        self._answer = answer
        self._server: ThreadedAssociationServer | None = None
        self.port = port
        self.received: list[str] = []
        self.open_at_once = 0
        self._open = 0

    def __enter__(self) -> ScriptedStorageScp:
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ESTABLISHED, self._opened),
            (evt.EVT_CONN_CLOSE, self._closed),
        ]
        self._server = self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        self.port = self._server.socket.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()

    def _store(self, event: Any) -> int:
        request = event.request
        status = self._answer(request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
        self.received.append(str(request.AffectedSOPInstanceUID))
        return status

    def _opened(self, _event: Any) -> None:
        self._open += 1
        self.open_at_once = max(self.open_at_once, self._open)

    def _closed(self, _event: Any) -> None:
        self._open -= 1
