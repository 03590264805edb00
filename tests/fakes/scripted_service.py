"""A service of a node that does what a test tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dicom_nodes.service_port import Caller, Exchange, ServiceRequest


@dataclass
class ScriptedService:
    """Answers by ``script`` and remembers the requests; fills ``dicom_nodes.service_port.DimseService``."""

    abstract_syntaxes: frozenset[str]
    script: Callable[[ServiceRequest, Exchange], None]
    scu_of: frozenset[str] = frozenset()
    admitted: frozenset[str] | None = None
    information: bytes | None = None
    requests: list[ServiceRequest] = field(default_factory=list)

    def admits(self, caller: Caller) -> bool:
        return self.admitted is None or caller.calling_ae_title in self.admitted

    def negotiate(self, abstract_syntax: str, proposed: bytes) -> bytes | None:
        assert abstract_syntax in self.abstract_syntaxes
        assert proposed
        return self.information

    def answer(self, request: ServiceRequest, exchange: Exchange) -> None:
        self.requests.append(request)
        self.script(request, exchange)
