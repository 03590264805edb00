"""The operations of the API: one list, from which the routes and the OpenAPI document are made."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from service.web.api import models


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one address.

    Parameters
    ----------
    name : the endpoint within the blueprint ``api``, and the operation's id
    path : below ``/api/v1``, with Flask's place holders
    query, body : what may stand in the query string and in the request
    answer : what a success holds; ``status`` is its HTTP status
    errors : statuses besides those of every operation (400, 401, 403)
    """

    name: str
    method: str
    path: str
    summary: str
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    errors: tuple[int, ...] = ()


OPERATIONS = (
    Operation("status", "GET", "/status", "What happens inside, in counts.", models.Status),
    Operation("studies", "GET", "/studies", "Studies of a project.", models.StudyList, query=models.StudyPage),
    Operation(
        "study",
        "GET",
        "/projects/<project>/studies/<study_uid>",
        "A study with its series, runs and findings.",
        models.StudyDetail,
        errors=(404,),
    ),
    Operation(
        "conflicts",
        "GET",
        "/conflicts",
        "Instances that came again under the same UID with other content.",
        models.ConflictList,
        query=models.ProjectPage,
    ),
    Operation(
        "quarantine",
        "GET",
        "/quarantine",
        "What could not be processed, with the reasons.",
        models.QuarantineList,
        query=models.QuarantinePage,
    ),
    Operation(
        "quarantine_entry",
        "GET",
        "/quarantine/<quarantine_id>",
        "One object that could not be processed.",
        models.QuarantineShape,
        errors=(404,),
    ),
    Operation(
        "release",
        "POST",
        "/quarantine/<quarantine_id>/release",
        "Process an object again.",
        models.Release,
        errors=(404,),
    ),
    Operation(
        "discard",
        "POST",
        "/quarantine/<quarantine_id>/discard",
        "Destroy an object for good; its row stays.",
        models.QuarantineShape,
        errors=(404,),
    ),
    Operation("audit", "GET", "/audit", "Search the audit trail.", models.AuditList, query=models.AuditSearch),
    Operation(
        "audit_verdict", "GET", "/audit/verdict", "Check the chain of the audit trail.", models.AuditVerdictShape
    ),
    Operation("users", "GET", "/users", "All users.", models.UserList),
    Operation(
        "add_user",
        "POST",
        "/users",
        "Add a user.",
        models.UserShape,
        body=models.NewUser,
        status=201,
        errors=(409, 415),
    ),
    Operation(
        "change_user",
        "PATCH",
        "/users/<name>",
        "Change a user's password, role, projects, or lock them out.",
        models.UserShape,
        body=models.UserChange,
        errors=(404, 415),
    ),
    Operation("tokens", "GET", "/tokens", "All tokens, without their secrets.", models.TokenList),
    Operation(
        "add_token",
        "POST",
        "/tokens",
        "Make a token; its secret is in this answer and nowhere else.",
        models.NewTokenShape,
        body=models.NewTokenRequest,
        status=201,
        errors=(415,),
    ),
    Operation("revoke_token", "DELETE", "/tokens/<token_id>", "End a token at once.", models.TokenShape, errors=(404,)),
)
