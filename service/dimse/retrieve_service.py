"""C-MOVE and C-GET as SCP over the archive (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from dicom_nodes.command_set import C_GET_RQ, C_MOVE_RQ, ERROR_COMMENT, OFFENDING_ELEMENT
from dicom_nodes.errors import GatewayError
from dicom_nodes.identifier import decode_identifier
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.query_model import CANCELLED, DESTINATION_UNKNOWN, PENDING, SUCCESS, Model, QueryOptions
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.service_port import Caller, Exchange, ServiceRequest
from dicom_nodes.storage_classes import storage_classes
from service.archive.archive_queries import ArchiveQueries
from service.core.archive_query import ArchiveQuery
from service.core.archived import InstanceRow
from service.dimse.destination import Destination, groups_of
from service.dimse.identifier_values import IdentifierRefused
from service.dimse.query_event import QueryEvent, QueryEventHandler, QueryEventKind
from service.dimse.query_parsing import Asking, parse_retrieval
from service.dimse.query_rights import QueryRights
from service.dimse.query_service import OperationNotRecognised, project_of
from service.dimse.served_objects import ServedObjects, by_form
from service.dimse.sub_operations import Tally, send

_PAGE: Final = 200
_SUPPORTED: Final = QueryOptions(relational=True)
_MODELS: Final = (Model.PATIENT_ROOT, Model.STUDY_ROOT)

PeerDirectory = Callable[[str], tuple[PeerAddress, RequestorSettings]]
"""Where a peer of the settings listens, and how it is called."""


class DestinationUnknown(GatewayError):
    """The Move Destination is no peer that the project may send to."""

    dimse_status = DESTINATION_UNKNOWN


@dataclass(slots=True)
class _Retrieval:
    """One C-MOVE or C-GET on its way."""

    request: ServiceRequest
    exchange: Exchange
    project: str
    query: ArchiveQuery
    numbers: array[int]
    tally: Tally
    destination: str = ""


class RetrieveService:
    """Sends objects of the archive; fills ``dicom_nodes.service_port.DimseService``.

    Parameters
    ----------
    peers : finds the address of a C-MOVE's destination by the name of the peer
    extra_storage_classes : of a site, which its callers may fetch by C-GET too
    """

    abstract_syntaxes = frozenset(uid for model in _MODELS for uid in (model.move, model.get))

    def __init__(
        self,
        queries: ArchiveQueries,
        objects: ServedObjects,
        rights: QueryRights,
        peers: PeerDirectory,
        on_event: QueryEventHandler,
        extra_storage_classes: tuple[str, ...] = (),
    ) -> None:
        self._queries = queries
        self._objects = objects
        self._rights = rights
        self._peers = peers
        self._on_event = on_event
        self.scu_of = storage_classes(extra_storage_classes)

    def admits(self, caller: Caller) -> bool:
        """Whether the caller may query the project that it called."""
        return self._rights.may_query(caller)

    def negotiate(self, abstract_syntax: str, proposed: bytes) -> bytes | None:  # noqa: ARG002 -- the same for all
        """Accept relational retrieval (PS3.4 C.5.2.1, C.5.3.1)."""
        return (QueryOptions.decode(proposed) & _SUPPORTED).encode(retrieve=True)

    def answer(self, request: ServiceRequest, exchange: Exchange) -> None:
        """Answer one C-MOVE or C-GET, object by object, until it is cancelled."""
        if request.command not in (C_MOVE_RQ, C_GET_RQ):
            raise OperationNotRecognised("only C-MOVE and C-GET are answered here")
        project = project_of(self._rights, request.caller)
        status, retrieval = 0x0110, None
        try:
            retrieval = self._begin(request, exchange, project)
            status = self._send_all(retrieval)
        except IdentifierRefused as refusal:
            status = refusal.dimse_status
            exchange.respond(status, {OFFENDING_ELEMENT: refusal.tag, ERROR_COMMENT: refusal.comment})
        except GatewayError as error:
            status = error.dimse_status
            raise
        finally:
            self._tell(request, project, status, retrieval)

    def _begin(self, request: ServiceRequest, exchange: Exchange, project: str) -> _Retrieval:
        identifier = decode_identifier(request.data_set or b"", request.context.transfer_syntax)
        access = self._rights.access(project)
        destination = ""
        if request.command == C_MOVE_RQ:
            destination = access.destinations.get(request.move_destination, "")
            if not destination:
                raise DestinationUnknown("no peer of this title that the project may send to")
        patient_root = request.context.abstract_syntax in (Model.PATIENT_ROOT.move, Model.PATIENT_ROOT.get)
        options = QueryOptions.decode(request.application_information)
        query = parse_retrieval(identifier, Asking(project, access.served, patient_root, options))
        numbers = self._queries.below(query)
        return _Retrieval(request, exchange, project, query, numbers, Tally(len(numbers)), destination)

    def _send_all(self, retrieval: _Retrieval) -> int:
        """The final status, once it has gone to the caller."""
        finished = self._move(retrieval) if retrieval.destination else self._get(retrieval)
        tally, syntax = retrieval.tally, retrieval.request.context.transfer_syntax
        status = tally.final_status if finished else CANCELLED
        failures = tally.failures(syntax) if status != SUCCESS else None
        retrieval.exchange.respond(status, tally.end(finished=finished), failures)
        return status

    def _move(self, retrieval: _Retrieval) -> bool:
        """Send all to a destination; False when the caller cancelled."""
        address, settings = self._peers(retrieval.destination)
        originator = (retrieval.request.caller.calling_ae_title, retrieval.request.message_id)
        for forms in groups_of(self._queries.forms(retrieval.numbers)):
            with Destination(address, settings, self._objects, forms, originator) as destination:
                for row in self._rows(retrieval):
                    if (row.sop_class_uid, row.transfer_syntax_uid) not in forms:
                        continue
                    if not self._goes_on(retrieval):
                        return False
                    retrieval.tally.count(row, destination.send(row))
        self._count_vanished(retrieval)
        return True

    def _get(self, retrieval: _Retrieval) -> bool:
        """Send all back on the caller's association; False when the caller cancelled."""
        contexts = by_form(context for context in retrieval.exchange.contexts if context.as_scu)
        for row in self._rows(retrieval):
            if not self._goes_on(retrieval):
                return False
            retrieval.tally.count(row, self._send_back(retrieval.exchange, row, contexts))
        self._count_vanished(retrieval)
        return True

    def _send_back(self, exchange: Exchange, row: InstanceRow, contexts: dict[tuple[str, str], int]) -> int | None:
        carriage = self._objects.carriage(row, contexts)
        try:
            return None if carriage is None else send(exchange, carriage, row)
        except PeerUnavailable:
            raise
        except GatewayError:
            return None

    def _goes_on(self, retrieval: _Retrieval) -> bool:
        """Tell the caller how far it is; False when it has cancelled."""
        if retrieval.exchange.cancelled:
            return False
        if retrieval.tally.done:
            retrieval.exchange.respond(PENDING, retrieval.tally.counts(remaining=True))
        return True

    def _rows(self, retrieval: _Retrieval) -> Iterator[InstanceRow]:
        for start in range(0, len(retrieval.numbers), _PAGE):
            yield from self._queries.instances(retrieval.numbers[start : start + _PAGE])

    @staticmethod
    def _count_vanished(retrieval: _Retrieval) -> None:
        """What went out of the archive meanwhile was not sent."""
        retrieval.tally.failed += max(0, retrieval.tally.total - retrieval.tally.done)

    def _tell(self, request: ServiceRequest, project: str, status: int, retrieval: _Retrieval | None) -> None:
        kind = QueryEventKind.MOVED if request.command == C_MOVE_RQ else QueryEventKind.FETCHED
        if retrieval is None:
            self._on_event(QueryEvent(kind, request.caller, project, status, ""))
            return
        tally = retrieval.tally
        self._on_event(
            QueryEvent(
                kind,
                request.caller,
                project,
                status,
                retrieval.query.level.name,
                objects=tally.completed + tally.warning,
                failed=tally.failed,
                studies=tuple(tally.studies),
                destination=retrieval.destination,
            )
        )
