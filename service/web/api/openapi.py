"""The OpenAPI 3.1 document, made from the operations and their models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.archive.accounts import ACCOUNT_NAME
from service.web.api.operations import OPERATIONS, Operation
from service.web.api.shapes import GREATEST_NUMBER, NO_NUL, Problem
from service.web.route_table import row_of

PREFIX = "/api/v1"
_EVERY_ERROR = (400, 401, 403)
_PLACE = re.compile(r"<(\w+)>")
_WORD = {"type": "string", "minLength": 1, "pattern": NO_NUL}
_UID = {"type": "string", "maxLength": 64, "pattern": r"^[0-9]+(\.[0-9]+)*$"}  # PS3.5 9.1
_NUMBER = {"type": "integer", "minimum": 0, "maximum": GREATEST_NUMBER}
_PLACES = {
    "project": ("A project that you may see", _WORD),
    "study_uid": ("Study Instance UID, as served", _UID),
    "quarantine_id": ("The object's id in quarantine", _WORD),
    "name": ("The user name", {"type": "string", "pattern": ACCOUNT_NAME}),
    "token_id": ("The token's id", _WORD),
    "result_id": ("The number of a result", _NUMBER),
    "delivery_id": ("The number of a delivery", _NUMBER),
    "pull_id": ("The number of a request for studies", _NUMBER),
    "deletion_id": ("The number of a deletion", _NUMBER),
    "version_id": ("The number of a version", _NUMBER),
    "sop_instance_uid": ("SOP Instance UID, as served", _UID),
    "note_uid": ("SOP Instance UID of a rejection note, as served", _UID),
}


@cache
def openapi_document(version: str) -> dict[str, Any]:
    """The whole document; made when it is first asked for, since it takes longer than all else of a start."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        path = PREFIX + _PLACE.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Annogate",
            "version": version,
            "description": "Everything but images and objects, which DICOMweb serves.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "A user's name and password"},
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token"},
            },
        },
        # The empty one: on loopback, with no user or token configured.
        "security": [{"basic": []}, {"bearer": []}, {}],
    }


def _schemas() -> dict[str, Any]:
    wanted: dict[type[BaseModel], str] = {Problem: "serialization"}
    for operation in OPERATIONS:
        if not isinstance(operation.answer, str):
            wanted[operation.answer] = "serialization"
        if operation.body is not None:
            wanted[operation.body] = "validation"
    pairs = list(wanted.items())
    _, definitions = models_json_schema(pairs, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return dict(sorted(definitions["$defs"].items()))


def _operation(operation: Operation) -> dict[str, Any]:
    row = row_of(f"api.{operation.name}", operation.method)
    document: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "x-roles": sorted(row.roles) if row else [],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": dict(_responses(operation)),
    }
    if operation.body is not None:
        document["requestBody"] = {"required": True, "content": {"application/json": _reference(operation.body)}}
    return document


def _path_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in _PLACE.findall(operation.path):
        words, schema = _PLACES[name]
        yield {"name": name, "in": "path", "required": True, "description": words, "schema": schema}


def _query_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    if operation.query is None:
        return
    asked = operation.query.model_json_schema()
    for name, schema in asked["properties"].items():
        words = schema.pop("description", "")
        schema.pop("title", None)
        yield {
            "name": name,
            "in": "query",
            "required": name in asked.get("required", ()),
            "description": words,
            "schema": schema,
        }


def _responses(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    content: dict[str, Any] = (
        {operation.answer: {"schema": {"type": "string", "format": "binary"}}}
        if isinstance(operation.answer, str)
        else {"application/json": _reference(operation.answer)}
    )
    yield str(operation.status), {"description": HTTPStatus(operation.status).phrase, "content": content}
    for status in (*_EVERY_ERROR, *operation.errors):
        problem = {"application/problem+json": _reference(Problem)}
        yield str(status), {"description": HTTPStatus(status).phrase, "content": problem}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}


def type_words(schema: dict[str, Any]) -> str:
    """A JSON schema's type in words, for the page that shows the document."""
    if "anyOf" in schema:
        return " or ".join(type_words(choice) for choice in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "enum" in schema:
        return " or ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_words(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "anything")
