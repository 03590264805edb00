"""One request's conversation with a peer that answers every sub-operation with success, and may cancel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dicom_nodes.command_set import STATUS, CommandSet
from dicom_nodes.service_port import AcceptedContext, Buffer


@dataclass
class ScriptedExchange:
    """Fills ``dicom_nodes.service_port.Exchange``; ``cancel_after`` sub-operations the peer wants no more."""

    contexts: Sequence[AcceptedContext] = ()
    cancel_after: int | None = None
    sent: list[int] = field(default_factory=list)
    responses: list[tuple[int, Mapping[int, int | str], bytes | None]] = field(default_factory=list)
    is_quiet: bool = True

    @property
    def cancelled(self) -> bool:
        return self.cancel_after is not None and len(self.sent) >= self.cancel_after

    def respond(
        self, status: int, elements: Mapping[int, int | str] | None = None, data_set: bytes | None = None
    ) -> None:
        self.responses.append((status, elements or {}, data_set))

    def request(
        self, context_id: int, elements: Mapping[int, int | str], data_set: bytes | Iterable[Buffer] | None = None
    ) -> CommandSet:
        assert elements
        self.sent.append(context_id)
        if data_set is not None and not isinstance(data_set, bytes):
            assert sum(len(piece) for piece in data_set)
        return CommandSet({STATUS: b"\0\0"})
