"""Work items over the web: create, search, retrieve, update, change state, ask to cancel (PS3.18 11.4 to 11.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from flask import Response, request

from service.core import workitem as tags
from service.core.search import Attributes
from service.core.workitem import Workitem, WorkitemState, first
from service.core.workitem_query import WorkitemQuery, parse_query
from service.core.workitem_states import WorkitemRefused
from service.errors import BadRequest
from service.web.dicomweb.answers import answer_empty, answer_json, answer_multipart, answer_single, finish
from service.web.dicomweb.metadata_forms import DICOM_XML, MetadataForm, choose_metadata_form, xml_part
from service.web.dicomweb.resources import check_uids
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.ups_bodies import read_data_set
from service.web.dicomweb.ups_services import WorklistServices
from service.web.guard import present_caller
from service.web.problems import answer_gateway_error
from service.worklist.shown_workitem import ShownWorkitems

_MORE: Final = "There are additional results that can be requested"
_TRANSACTION_NAMES: Final = ("transaction-uid", "transactionUID", "transaction")
_WORKITEM_NAMES: Final = ("workitem", "UPSInstanceUID", "uid")


class WorkitemViews:
    """The work item resources."""

    def __init__(self, services: DicomWebServices, worklist: WorklistServices) -> None:
        self._services = services
        self._worklist = worklist
        self._shown = ShownWorkitems(services.index)

    def create(self, project: str) -> Response:
        """``POST /workitems``."""
        uid = _uid_in_query(_WORKITEM_NAMES)
        sent = self._sent()
        created, warnings = self._worklist.desk.create(project, uid, sent, present_caller().name)
        self._services.note(created.workitem_uid, project=project)
        response = _said(201, warnings)
        root = self._services.links.service_root(request, project)
        response.headers["Location"] = f"{root}/workitems/{created.workitem_uid}"
        return response

    def retrieve(self, project: str, workitem_uid: str) -> Response:
        """``GET /workitems/{workitem}``."""
        check_uids(workitem_uid)
        form = choose_metadata_form(request, single=True)
        held = self._worklist.desk.get(project, workitem_uid, self._worklist.view(project))
        self._services.note(held.workitem_uid, project=project)
        root = self._services.links.service_root(request, project)
        return self._answer([self._shown.show(held, root, with_instances=True)], form)

    def update(self, project: str, workitem_uid: str) -> Response:
        """``POST /workitems/{workitem}``."""
        check_uids(workitem_uid)
        sent = self._sent()
        transaction_uid = _agreed(_uid_in_query(_TRANSACTION_NAMES), _transaction_in(sent))
        view = self._worklist.view(project)
        warnings = self._worklist.desk.update(project, workitem_uid, transaction_uid, sent, view)
        self._services.note(workitem_uid, project=project)
        return _said(200, warnings)

    def change_state(self, project: str, workitem_uid: str) -> Response:
        """``PUT /workitems/{workitem}/state``."""
        check_uids(workitem_uid)
        sent = self._sent()
        if sent.keys() - {tags.TRANSACTION_UID, tags.STATE, tags.CHARACTER_SET}:
            raise BadRequest("A change of state has a Transaction UID and a Procedure Step State alone")
        try:
            wanted = WorkitemState(first(sent, tags.STATE))
        except ValueError:
            raise BadRequest("Procedure Step State is none of those that there are") from None
        view, stores_as = self._worklist.view(project), present_caller().stores_as
        warnings = self._worklist.desk.change_state(
            project, workitem_uid, _transaction_in(sent), wanted, view, stores_as
        )
        self._services.note(workitem_uid, project=project, state=str(wanted))
        return _said(200, warnings)

    def request_cancel(self, project: str, workitem_uid: str) -> Response:
        """``POST /workitems/{workitem}/cancelrequest``."""
        check_uids(workitem_uid)
        details = read_data_set(request, self._worklist.body_limit_bytes, optional=True)
        by, view = present_caller().name, self._worklist.view(project)
        warnings = self._worklist.desk.request_cancel(project, workitem_uid, details, by, view)
        self._services.note(workitem_uid, project=project)
        return _said(202, warnings)

    def search(self, project: str) -> Response:
        """``GET /workitems``."""
        form = choose_metadata_form(request)
        query = parse_query(request.args.items(multi=True), self._worklist.rules)
        most = self._worklist.page_limit
        limit = min(query.limit or most, most)
        page = self._worklist.desk.search(project, query, limit, self._worklist.view(project))
        warnings = [*query.warnings, *([_MORE] if page.is_cut else [])]
        if not page.found:
            return answer_empty(warnings=warnings)
        root = self._services.links.service_root(request, project)
        results = [self._result(found, query, root) for found in page.found]
        return self._answer(results, form, status=206 if page.is_cut else 200, warnings=warnings)

    def _sent(self) -> Attributes:
        return read_data_set(request, self._worklist.body_limit_bytes)

    def _result(self, found: Workitem, query: WorkitemQuery, root: str) -> Attributes:
        """What a result says: the attributes of return key types 1 and 2, and what was asked for."""
        known = self._shown.show(found, root, with_instances=False)
        result: dict[str, Any] = {}
        for tag, rule in self._worklist.rules.rules.items():
            always = rule.returned in ("1", "2")
            if always or (tag in known and (query.include_all or tag in query.included or "C" in rule.returned)):
                result[tag] = known.get(tag, {"vr": rule.vr})
        return dict(sorted(result.items()))

    def _answer(
        self,
        data_sets: Sequence[Mapping[str, Any]],
        form: MetadataForm,
        *,
        status: int = 200,
        warnings: Sequence[str] = (),
    ) -> Response:
        if not form.is_xml:
            return answer_json(request, data_sets, status=status, warnings=warnings)
        parts = [xml_part(data_set) for data_set in data_sets]
        if form.multipart:
            response = answer_multipart(parts, DICOM_XML, self._services.boundary())
        else:
            response = answer_single(DICOM_XML, b"".join(parts[0].body()))
        response.status_code = status
        return finish(response, warnings)


def answer_refusal(refusal: WorkitemRefused) -> Response:
    """A refusal by the state of a work item, with the standard's Warning beside the words."""
    return finish(answer_gateway_error(refusal), [refusal.warning])


def _said(status: int, warnings: Sequence[str]) -> Response:
    """An answer that says how it went and no more."""
    response = Response(status=status)
    del response.headers["Content-Type"]
    return finish(response, warnings)


def _uid_in_query(names: Sequence[str]) -> str:
    """A UID that is the whole query, as older editions have it, or the value of a parameter; "" for none."""
    bare = unquote(request.query_string.decode("ascii", "replace"))
    named = [request.args[name] for name in names if name in request.args]
    uid = named[0] if named else bare if "=" not in bare else ""
    check_uids(uid)
    return uid


def _transaction_in(sent: Attributes) -> str:
    uid = first(sent, tags.TRANSACTION_UID)
    check_uids(uid)
    return uid


def _agreed(one: str, other: str) -> str:
    if one and other and one != other:
        raise BadRequest("The Transaction UID of the address is not that of the body")
    return one or other
