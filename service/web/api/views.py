"""The API's views: parse by the operation's models, call one use case, encode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request
from pydantic import BaseModel

from dicom_nodes.errors import CallerNotAllowed
from service.archive.audit import AuditQuery
from service.core.access import CallerKind
from service.core.archived import QuarantineRow
from service.errors import BadRequest, InstanceNotFound, UnsupportedMediaType
from service.web.api import (
    account_shapes,
    audit_shapes,
    identity_shapes,
    pixel_shapes,
    problem_shapes,
    quarantine_shapes,
    shapes,
    status_shapes,
    study_shapes,
)
from service.web.api.deletion_views import DeletionViews
from service.web.api.delivery_views import DeliveryViews, standing_of
from service.web.api.misfits import refusing_misfits
from service.web.api.openapi import PREFIX, openapi_document, type_words
from service.web.api.operations import OPERATIONS, Operation
from service.web.api.pull_views import PullViews
from service.web.api.search_views import SearchAttributeViews
from service.web.api.version_views import VersionViews
from service.web.guard import audit_target, present_caller
from service.web.scope import chosen_project, visible_projects
from service.web.services import WebServices
from service.web.study_report import study_of
from service.web.viewer.configuration import study_path

_BODY_LIMIT_BYTES = 1 << 20


def api_blueprint(services: WebServices) -> Blueprint:
    """The routes under ``/api``."""
    api = Blueprint("api", __name__, url_prefix="/api")
    views = ApiViews(services)
    for operation in OPERATIONS:
        rule = PREFIX.removeprefix("/api") + operation.path
        view = _answering(operation, getattr(views, operation.name))
        api.add_url_rule(rule, operation.name, view, methods=[operation.method])

    @api.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(openapi_document(services.version))

    @api.get("/docs")
    def docs() -> str:
        document = openapi_document(services.version)
        return render_template("api_docs.html", document=document, type_words=type_words)

    return api


def _answering(operation: Operation, act: Callable[..., BaseModel | Response]) -> Callable[..., Response]:
    """The view of an operation: what it takes is checked against its models, what it gives is written by them."""

    def view(**places: str) -> Response:
        given: dict[str, Any] = dict(places)
        if operation.query is not None:
            given["query"] = _asked(operation.query)
        elif request.args:
            raise BadRequest("this address takes no parameters")
        if operation.body is not None:
            given["body"] = _brought(operation.body)
        answer = act(**given)
        if isinstance(answer, Response):
            return answer
        return Response(answer.model_dump_json(), status=operation.status, content_type="application/json")

    return view


def _asked(model: type[BaseModel]) -> BaseModel:
    """The parameters of the address.

    Raises
    ------
    BadRequest : one is unknown, stands twice, or has a value that does not fit
    """
    if any(len(values) > 1 for _, values in request.args.lists()):
        raise BadRequest("each parameter of this address may stand in it once")
    with refusing_misfits(model):
        return model.model_validate_strings(request.args.to_dict())


def _brought(model: type[BaseModel]) -> BaseModel:
    """The body, which is JSON (RFC 8259); a number is no text there, and a text no number.

    Raises
    ------
    BadRequest : a key is unknown, absent, or has a value that does not fit
    RequestEntityTooLarge : it is longer than any that means something
    UnsupportedMediaType : it says that it is something else
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("the body is to be application/json")
    request.max_content_length = _BODY_LIMIT_BYTES
    with refusing_misfits(model):
        return model.model_validate_json(request.get_data(cache=False), strict=True)


class ApiViews(DeliveryViews, PullViews, DeletionViews, SearchAttributeViews, VersionViews):
    """One method for each operation, by its name."""

    def _project(self, query: shapes.ProjectPage) -> str:
        return chosen_project(self._services, present_caller(), query.project)

    def status(self) -> status_shapes.Status:
        """What happens inside."""
        projects = visible_projects(self._services, present_caller())
        return status_shapes.Status.of(
            self._services.version,
            projects,
            self._services.overview.counts().within(projects),
            self._services.notices(),
        )

    def studies(self, query: study_shapes.StudyPage) -> study_shapes.StudyList:
        """Studies of a project."""
        project = self._project(query)
        found = self._services.instances.studies(project, state=query.state, limit=query.limit, offset=query.offset)
        lines = [study_shapes.StudyShape.of(summary, study_path(project, summary.study.study_uid)) for summary in found]
        return study_shapes.StudyList(studies=lines)

    def study(self, project: str, study_uid: str) -> study_shapes.StudyDetail:
        """One study."""
        report = study_of(self._services, project, study_uid)
        return study_shapes.StudyDetail.of(
            report, study_path(project, study_uid), standing_of(self._services, project, study_uid)
        )

    def problems(self, project: str, study_uid: str, sop_instance_uid: str) -> problem_shapes.ProblemList:
        """What is wrong with an object that the caller may see.

        Raises
        ------
        InstanceNotFound : there is none in this study
        """
        seen = self._services.instances.seen_by(self._services.view(project)).find(project, sop_instance_uid)
        if seen is None or seen.study_uid != study_uid:
            raise InstanceNotFound("there is no such instance in this study")
        audit_target(f"{study_uid}/{sop_instance_uid}", project=project)
        return problem_shapes.ProblemList.of(self._services.problems(project, sop_instance_uid))

    def crosswalk(self, project: str, query: identity_shapes.CrosswalkQuery) -> identity_shapes.CrosswalkPageShape:
        """A page of a project's original identifiers, for somebody who signed in.

        Raises
        ------
        CallerNotAllowed : the caller is whoever is on this machine; they have the command line
        """
        if present_caller().kind is CallerKind.LOCAL:
            raise CallerNotAllowed(
                "identity is told over HTTP only to users who sign in; use annogate export crosswalk"
            )
        found = self._services.crosswalk(project).rows(query.level, query.after)
        page = identity_shapes.CrosswalkPageShape.of(found, query.limit)
        audit_target("", project=project, level=query.level.value, rows=len(page.rows))
        return page

    def conflicts(self, query: shapes.ProjectPage) -> quarantine_shapes.ConflictList:
        """Conflicts of a project."""
        found = self._services.conflicts.list(self._project(query), limit=query.limit, offset=query.offset)
        return quarantine_shapes.ConflictList(conflicts=[quarantine_shapes.ConflictShape.of(row) for row in found])

    def quarantine(self, query: quarantine_shapes.QuarantinePage) -> quarantine_shapes.QuarantineList:
        """What could not be processed."""
        project = self._project(query)
        found = self._services.quarantine.list(project, state=query.state, limit=query.limit, offset=query.offset)
        return quarantine_shapes.QuarantineList(entries=[quarantine_shapes.QuarantineShape.of(row) for row in found])

    def quarantine_entry(self, quarantine_id: str) -> quarantine_shapes.QuarantineShape:
        """One of these."""
        return quarantine_shapes.QuarantineShape.of(self._held(quarantine_id))

    def pixels(self, quarantine_id: str) -> pixel_shapes.PixelCaseShape:
        """Where to look in the pixels of one."""
        self._held(quarantine_id)
        case = self._services.desk.pixel_case(quarantine_id)
        if case is None:
            raise InstanceNotFound("the pixels of this object are not what it is held for")
        return pixel_shapes.PixelCaseShape.of(case, quarantine_id)

    def release_seen(self, quarantine_id: str, body: pixel_shapes.SeenRelease) -> quarantine_shapes.Release:
        """Let one in that a person has seen."""
        self._held(quarantine_id)
        by, regions = present_caller().name, [region.region() for region in body.regions]
        return quarantine_shapes.Release.of(self._services.desk.release_seen(quarantine_id, by, regions))

    def release(self, quarantine_id: str) -> quarantine_shapes.Release:
        """Process one again."""
        self._held(quarantine_id)
        return quarantine_shapes.Release.of(self._services.desk.release(quarantine_id, present_caller().name))

    def release_cut(self, quarantine_id: str) -> quarantine_shapes.Release:
        """Process one without what stands behind its last frame."""
        self._held(quarantine_id)
        return quarantine_shapes.Release.of(self._services.desk.release_cut(quarantine_id, present_caller().name))

    def discard(self, quarantine_id: str) -> quarantine_shapes.QuarantineShape:
        """Destroy one."""
        self._held(quarantine_id)
        return quarantine_shapes.QuarantineShape.of(self._services.desk.discard(quarantine_id, present_caller().name))

    def _held(self, quarantine_id: str) -> QuarantineRow:
        row = self._services.desk.show(quarantine_id)
        if not present_caller().may_reach(row.project):
            raise InstanceNotFound("there is nothing of this id in quarantine")
        audit_target(row.id, project=row.project)
        return row

    def audit(self, query: audit_shapes.AuditSearch) -> audit_shapes.AuditList:
        """Search the trail; whose grant is limited sees the rows of one project at a time."""
        caller = present_caller()
        project = query.project
        if not caller.reaches_every_project:
            project = chosen_project(self._services, caller, project)
        found = self._services.audit.search(
            AuditQuery(
                actor=query.actor,
                action=query.action,
                project=project,
                target=query.object,
                since=query.since.timestamp() if query.since else None,
                until=query.until.timestamp() if query.until else None,
                failures_only=query.failures_only,
                before_id=query.before,
                limit=query.limit,
            )
        )
        return audit_shapes.AuditList(rows=[audit_shapes.AuditShape.of(row) for row in found])

    def audit_verdict(self) -> audit_shapes.AuditVerdictShape:
        """Check the chain; reads that are still queued are written first."""
        self._services.accesses.flush()
        return audit_shapes.AuditVerdictShape.of(self._services.audit.verify())

    def users(self) -> account_shapes.UserList:
        """All users."""
        return account_shapes.UserList(
            users=[account_shapes.UserShape.of(user) for user in self._services.accounts.users()]
        )

    def add_user(self, body: account_shapes.NewUser) -> account_shapes.UserShape:
        """Add one."""
        self._refuse_unknown_projects(body.projects)
        password_hash = self._services.passwords.hash(body.password)
        user = self._services.accounts.add_user(body.name, password_hash, body.role, body.projects)
        audit_target(user.name, role=user.role.value)
        return account_shapes.UserShape.of(user)

    def change_user(self, name: str, body: account_shapes.UserChange) -> account_shapes.UserShape:
        """Change one."""
        accounts = self._services.accounts
        user = accounts.user(name)
        if user is None:
            raise InstanceNotFound("there is no such user")
        if name == present_caller().name and (body.disabled or body.role):
            raise CallerNotAllowed("nobody locks themselves out or changes their own role; let another admin do it")
        self._refuse_unknown_projects(body.projects or [])
        if body.password is not None:
            accounts.set_password_hash(name, self._services.passwords.hash(body.password))
        if body.role is not None or body.projects is not None:
            accounts.set_grant(name, body.role or user.role, body.projects or user.projects)
        if body.disabled is not None:
            accounts.set_disabled(name, body.disabled)
        audit_target(name, changed=sorted(body.model_fields_set))
        changed = accounts.user(name)
        return account_shapes.UserShape.of(changed or user)

    def tokens(self) -> account_shapes.TokenList:
        """All tokens."""
        return account_shapes.TokenList(
            tokens=[account_shapes.TokenShape.of(token) for token in self._services.accounts.tokens()]
        )

    def add_token(self, body: account_shapes.NewTokenRequest) -> account_shapes.NewTokenShape:
        """Make one."""
        self._refuse_unknown_projects(body.projects)
        expires_at = body.expires_at.timestamp() if body.expires_at else None
        made = self._services.accounts.add_token(body.name, body.role, body.projects, expires_at)
        audit_target(made.token.id, role=made.token.role.value)
        return account_shapes.NewTokenShape.of(made)

    def revoke_token(self, token_id: str) -> account_shapes.TokenShape:
        """End one."""
        token = self._services.accounts.revoke_token(token_id)
        audit_target(token.id)
        return account_shapes.TokenShape.of(token)

    def _refuse_unknown_projects(self, names: list[str]) -> None:
        unknown = [name for name in names if name != "*" and name not in self._services.projects]
        if unknown:
            raise BadRequest(f"{len(unknown)} of the projects named are not configured")
