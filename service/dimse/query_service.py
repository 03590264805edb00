"""C-FIND as SCP over the archive: Patient Root and Study Root, hierarchical and relational (PS3.4 C.4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dicom_nodes.command_set import C_FIND_RQ, ERROR_COMMENT, OFFENDING_ELEMENT
from dicom_nodes.errors import CallerNotAllowed, GatewayError
from dicom_nodes.identifier import decode_identifier
from dicom_nodes.query_model import (
    CANCELLED,
    PENDING,
    PENDING_WITH_UNSUPPORTED_KEYS,
    SUCCESS,
    Model,
    QueryOptions,
)
from dicom_nodes.service_port import Caller, Exchange, ServiceRequest
from service.archive.archive_queries import ArchiveQueries
from service.archive.query_answers import QueryAnswers
from service.core.archive_query import QueryLevel
from service.dimse.identifier_values import IdentifierRefused
from service.dimse.query_answer import AnswerWriter
from service.dimse.query_event import QueryEvent, QueryEventHandler, QueryEventKind
from service.dimse.query_parsing import Asking, ParsedQuery, parse_query
from service.dimse.query_rights import QueryRights

SUPPORTED: Final = QueryOptions(relational=True, date_time=True, fuzzy=True)
_PAGE: Final = 200
_UNRECOGNISED: Final = 0x0211


class OperationNotRecognised(GatewayError):
    """The message is none of this service."""

    dimse_status = _UNRECOGNISED


class QueryService:
    """Answers C-FIND from the index; fills ``dicom_nodes.service_port.DimseService``."""

    abstract_syntaxes = frozenset({Model.PATIENT_ROOT.find, Model.STUDY_ROOT.find})
    scu_of: frozenset[str] = frozenset()

    def __init__(
        self, queries: ArchiveQueries, answers: QueryAnswers, rights: QueryRights, on_event: QueryEventHandler
    ) -> None:
        self._queries = queries
        self._answers = answers
        self._rights = rights
        self._on_event = on_event

    def admits(self, caller: Caller) -> bool:
        """Whether the caller may query the project that it called."""
        return self._rights.may_query(caller)

    def negotiate(self, abstract_syntax: str, proposed: bytes) -> bytes | None:  # noqa: ARG002 -- the same for both models
        """Accept relational queries, combined date and time, and names compared without accents."""
        return (QueryOptions.decode(proposed) & SUPPORTED).encode()[: max(1, len(proposed))]

    def answer(self, request: ServiceRequest, exchange: Exchange) -> None:
        """Answer one C-FIND, match by match, until it is cancelled."""
        if request.command != C_FIND_RQ:
            raise OperationNotRecognised("only C-FIND is answered here")
        project = project_of(self._rights, request.caller)
        level = ""
        found, status = 0, 0x0110
        try:
            parsed, writer = self._read(request, project)
            level = parsed.query.level.name
            found, status = self._send(parsed, writer, exchange)
        except IdentifierRefused as refusal:
            status = refusal.dimse_status
            exchange.respond(status, {OFFENDING_ELEMENT: refusal.tag, ERROR_COMMENT: refusal.comment})
        except GatewayError as error:
            status = error.dimse_status
            raise
        finally:
            kind = QueryEventKind.QUERIED
            self._on_event(QueryEvent(kind, request.caller, project, status, level, objects=found))

    def _read(self, request: ServiceRequest, project: str) -> tuple[ParsedQuery, AnswerWriter]:
        identifier = decode_identifier(request.data_set or b"", request.context.transfer_syntax)
        asking = Asking(
            project,
            self._rights.access(project).served,
            patient_root=request.context.abstract_syntax == Model.PATIENT_ROOT.find,
            options=QueryOptions.decode(request.application_information),
        )
        parsed = parse_query(identifier, asking)
        writer = AnswerWriter(
            parsed.query.level,
            parsed.wanted,
            request.caller.called_ae_title,
            identifier.get("SpecificCharacterSet") or "",
            request.context.transfer_syntax,
        )
        return parsed, writer

    def _send(self, parsed: ParsedQuery, writer: AnswerWriter, exchange: Exchange) -> tuple[int, int]:
        """How many matches went, and the status that ended them."""
        numbers = self._queries.matching(parsed.query)
        pending = PENDING if parsed.complete else PENDING_WITH_UNSUPPORTED_KEYS
        sent = 0
        for start in range(0, len(numbers), _PAGE):
            for attributes in self._page(parsed, numbers[start : start + _PAGE], writer.tags):
                if exchange.cancelled:
                    exchange.respond(CANCELLED)
                    return sent, CANCELLED
                exchange.respond(pending, data_set=writer.write(attributes))
                sent += 1
        exchange.respond(SUCCESS)
        return sent, SUCCESS

    def _page(
        self, parsed: ParsedQuery, numbers: Sequence[int], tags: frozenset[str]
    ) -> list[dict[str, dict[str, object]]]:
        level: QueryLevel = parsed.query.level
        return self._answers.of(level, numbers, tags, parsed.query.served)


def project_of(rights: QueryRights, caller: Caller) -> str:
    """The project that a caller may query, asked again at each request.

    Raises
    ------
    CallerNotAllowed : it may query none
    """
    project = rights.project_of(caller)
    if project is None or not rights.may_query(caller):
        raise CallerNotAllowed("not authorised to query")
    return project
