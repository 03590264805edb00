"""Before every view: who calls, whether they may, for which project; after it: a row of the audit trail."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from flask import Flask, Response, g, request
from pydicom.datadict import tag_for_keyword

from dicom_nodes.errors import CallerNotAllowed, GatewayError
from service.archive.audit import AuditEvent, Outcome
from service.core.access import Caller
from service.errors import InstanceNotFound, NotAuthenticated, TooManyAttempts
from service.web.auth import UNKNOWN_ACTOR, Authenticator
from service.web.problems import answer_gateway_error
from service.web.route_table import Record, Row, row_of

_CHALLENGES = ('Basic realm="Annogate", charset="UTF-8"', 'Bearer realm="Annogate"')
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
# Query parameters of PS3.18 8.3 and of our own pages.
_PARAMETERS = {
    *("accept", "annotation", "charset", "fuzzymatching", "iccprofile", "includefield", "limit", "offset", "quality"),
    *("frame", "viewport", "window", "project", "state", "page", "actor", "action", "object", "since", "until"),
    *("deletionlock", "filter", "workitem", "transaction-uid"),
    *("before", "study"),
    # Those of WADO-URI (PS3.18 9.1).
    *("requestType", "studyUID", "seriesUID", "objectUID", "contentType", "frameNumber", "rows", "columns", "region"),
    *("windowCenter", "windowWidth", "imageQuality", "transferSyntax", "anonymize", "presentationUID"),
    "presentationSeriesUID",
}
_UIDS = ("study_uid", "series_uid", "sop_instance_uid")


@dataclass(frozen=True)
class Guard:
    """The one gate of the web edge.

    Parameters
    ----------
    record_access : queues an event; raises ``StorageExhausted`` when the trail takes none
    record_decision : has an event on disk when it returns
    holds : whether a study is held, by project and UID as served: a UID is only written down if it is one of ours
    """

    authenticator: Authenticator
    projects: Collection[str]
    default_project: str
    project_blueprints: frozenset[str]
    record_access: Callable[[AuditEvent], None]
    record_decision: Callable[[AuditEvent], None]
    holds: Callable[[str, str], bool]

    def register(self, app: Flask) -> None:
        """Stand before and behind every route of an application."""
        app.before_request(self.admit)
        app.after_request(self.write_down)

    def admit(self) -> None:
        """Let the request through, or raise what it is refused with."""
        if request.endpoint is None:
            return  # no such route, or not with this method: Flask says so
        row = row_of(request.endpoint, request.method)
        if row is not None and row.public:
            return
        try:
            caller = self.authenticator.caller(request)
        except TooManyAttempts as refused:
            g.retry_after_s = refused.retry_after_s
            raise
        g.caller = caller
        if row is None or caller.role not in row.roles:
            raise CallerNotAllowed(f"the role {caller.role} may not do this")
        if row.every_project and not caller.reaches_every_project:
            raise CallerNotAllowed("this needs a grant for every project")
        self._admit_to_project(caller)

    def _admit_to_project(self, caller: Caller) -> None:
        project = self._project()
        if project is None:
            return
        if not caller.may_reach(project):
            raise CallerNotAllowed("this project is not among those granted")
        if project not in self.projects:
            raise InstanceNotFound("there is no such project")

    def _project(self) -> str | None:
        """The project that the address names; none where it names no project."""
        named = (request.view_args or {}).get("project")
        if named is not None:
            return str(named)
        return self.default_project if request.blueprint in self.project_blueprints else None

    def write_down(self, response: Response) -> Response:
        """Record what was answered, and add the challenge to a 401."""
        if response.status_code == NotAuthenticated.http_status:
            for challenge in _CHALLENGES:
                response.headers.add("WWW-Authenticate", challenge)
        if response.status_code == TooManyAttempts.http_status and "retry_after_s" in g:
            response.headers["Retry-After"] = str(g.retry_after_s)
        if request.endpoint is None:
            return response
        try:
            self._record(row_of(request.endpoint, request.method), response)
        except GatewayError as error:
            # What cannot be written down is not answered.
            response.close()
            return answer_gateway_error(error)
        return response

    def _record(self, row: Row | None, response: Response) -> None:
        if response.status_code == NotAuthenticated.http_status:
            # A browser's first request brings nothing; credentials that are wrong were recorded where they were tried.
            self.record_access(self._refusal(row, response))
        elif response.status_code == CallerNotAllowed.http_status:
            self.record_decision(self._refusal(row, response))
        elif row is not None and row.record is Record.ACCESS:
            self.record_access(self._event(row, response))
        elif row is not None and row.record is Record.DECISION:
            self.record_decision(self._event(row, response))

    def _refusal(self, row: Row | None, response: Response) -> AuditEvent:
        action = row.action if row else "no-such-row"
        return AuditEvent(
            _actor(),
            "access.denied",
            Outcome.SERIOUS_FAILURE,
            project=self._known_project(),
            address=request.remote_addr or "",
            detail={"action": action, "status": response.status_code},
        )

    def _event(self, row: Row, response: Response) -> AuditEvent:
        return AuditEvent(
            _actor(),
            row.action,
            _outcome(response.status_code),
            project=self._known_project(),
            target=self._target(row, response),
            address=request.remote_addr or "",
            detail=_detail(response),
        )

    def _known_project(self) -> str:
        project = self._project() or g.get("audit_project")
        return project if project is not None and project in self.projects else ""

    def _target(self, row: Row, response: Response) -> str:
        """UIDs of the address, if they are ours: one that is not held here may be an original one."""
        audited = g.get("audit_target")
        if audited is not None:
            return str(audited)
        arguments = request.view_args or {}
        uids = [str(arguments[name]) for name in _UIDS if name in arguments]
        if not uids or response.status_code >= 400:
            return ""
        if row.proves_uids:
            return "/".join(uids)
        return uids[0] if self.holds(self._known_project(), uids[0]) else ""


def present_caller() -> Caller:
    """Who makes the request that is being answered."""
    caller = g.get("caller")
    if not isinstance(caller, Caller):
        raise NotAuthenticated("nobody was recognised")
    return caller


def audit_target(target: str, *, project: str = "", **detail: str | int | list[str]) -> None:
    """Say what the request that is being answered is about, where its address does not.

    ``target`` and ``detail`` hold UIDs as served and words of our own, nothing that a caller brought.
    """
    g.audit_target, g.audit_project, g.audit_detail = target, project, detail


def _actor() -> str:
    caller = g.get("caller")
    return caller.name if isinstance(caller, Caller) else UNKNOWN_ACTOR


def _outcome(status: int) -> Outcome:
    if status < 400:
        return Outcome.SUCCESS
    return Outcome.MINOR_FAILURE if status < 500 else Outcome.SERIOUS_FAILURE


def _detail(response: Response) -> dict[str, str | int | list[str]]:
    detail: dict[str, str | int | list[str]] = {"status": response.status_code}
    if response.status_code == TooManyAttempts.http_status:
        detail["refused"] = "too many failed logins"
    if request.args:
        detail["keys"] = sorted({_key(name) for name in request.args})
    detail |= g.get("audit_detail", {})
    return detail


def _key(name: str) -> str:
    """The name of a query key if it is one that is known; anything else could be a value that slipped."""
    path = name.split(".")
    known = all(_TAG.fullmatch(part) or tag_for_keyword(part) is not None for part in path)
    return name if known or name in _PARAMETERS else "other"
