"""The API does what its OpenAPI document says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from service.core.access import Role
from service.core.archived import RunState
from service.core.records import ObjectKind
from service.core.rejection import RejectionNote
from service.fetching.request import PullRequest
from service.ingest.pixel_case import PixelCase, Region
from service.web.api.operations import OPERATIONS, Operation
from tests.datasets import STUDY_UID
from tests.marked_studies import finding, images, saved
from tests.web_gateway import NODULE, PASSWORD, WebGateway, basic, text

USER = {"name": "grace", "password": PASSWORD, "role": "reader", "projects": ["default"]}
TOKEN = {"name": "ci", "role": "integrator", "projects": ["*"]}
PLACES = {
    "project": "default",
    "study_uid": "1.2.3",
    "quarantine_id": "a1",
    "name": "bob",
    "token_id": "nothing",
    "result_id": "1",
    "delivery_id": "1",
    "pull_id": "1",
    "note_uid": "2.25.77",
    "deletion_id": "1",
    "version_id": "1",
    "sop_instance_uid": "1.2.3.1.1",
}
BODIES: dict[str, dict[str, Any]] = {
    "add_user": USER,
    "change_user": {"disabled": True},
    "add_token": TOKEN,
    "restore_annotation": {"reason": "the first was right"},
    "reject_result": {"reason": "a vessel"},
    "recall_result": {"reason": "wrong side"},
    "lookup": {"accession": "ACC-99"},
    "delete": {"study_uid": "1.2.3", "reason": "wrong patient"},
    "request_pull": {"peer": "pacs", "accession": "ACC-99"},
    "release_seen": {"seen": True, "regions": [{"x": 1, "y": 2, "width": 3, "height": 4}]},
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    """Open to the local administrator."""
    gateway = WebGateway(tmp_path)
    key = gateway.add_study("1.2.3")
    gateway.add_run(key, "nodules", RunState.DONE, summary="1 nodule", findings=[NODULE])
    gateway.add_run(key, "bones", RunState.REFUSED, reason="a slice is missing")
    gateway.conflicts.add("default", "2.25.17", "kept-first", "CT1")
    gateway.desk.cases["a1"] = PixelCase(rows=8, columns=8, frames=1, regions=(Region(1, 2, 3, 4),))
    gateway.add_release()
    gateway.rejection_table.obey("default", RejectionNote("1.2.3", "2.25.77", "113037", ("2.25.78",)))
    gateway.add_delivery(held="another patient")
    gateway.pulls.request("default", "pacs", PullRequest({"AccessionNumber": "A-1"}), "somebody")
    yield gateway
    gateway.close()


@pytest.fixture
def document(gateway: WebGateway) -> dict[str, Any]:
    return dict(gateway.client().get("/api/openapi.json").get_json())


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any, place: str = "$") -> list[str]:
    """Where a value is not what a schema of the document says; the few words of JSON Schema that the document uses."""
    if "$ref" in schema:
        return fits(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]], value, place)
    if "anyOf" in schema:
        return [] if any(not fits(document, one, value, place) for one in schema["anyOf"]) else [f"{place}: none fits"]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{place}: not in the list"]
    kinds = {
        "string": str,
        "integer": int,
        "boolean": bool,
        "null": type(None),
        "array": list,
        "object": dict,
        "number": (int, float),
    }
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return [f"{place}: no {schema['type']}"]
    wrong = []
    if isinstance(value, list):
        for number, item in enumerate(value):
            wrong += fits(document, schema.get("items", {}), item, f"{place}[{number}]")
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        wrong += [f"{place}.{name}: absent" for name in schema.get("required", ()) if name not in value]
        if schema.get("additionalProperties") is not True:
            wrong += [f"{place}.{name}: unknown" for name in value if name not in known]
        for name in set(value) & set(known):
            wrong += fits(document, known[name], value[name], f"{place}.{name}")
    return wrong


def test_every_route_of_the_api_is_in_the_document(gateway: WebGateway, document: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in gateway.app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1")
        for method in (rule.methods or set()) - {"HEAD"}
    }
    documented = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert documented == routes


def test_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"


def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", repr(document)))
    assert names <= set(document["components"]["schemas"])


def test_every_member_and_parameter_is_described(document: dict[str, Any]) -> None:
    bare = [
        f"{name}.{key}"
        for name, schema in document["components"]["schemas"].items()
        for key, member in schema.get("properties", {}).items()
        if not member.get("description")
    ]
    bare += [
        f"{path} {parameter['name']}"
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for parameter in operation["parameters"]
        if not parameter.get("description")
    ]
    assert bare == []


def two_versions(gateway: WebGateway, *, compared: bool) -> dict[str, str]:
    """Places of the later of two versions of a study, where it is compared with the first, else of the first."""
    gateway.store(ObjectKind.IMAGE, "", *images())
    first = saved(finding(1))
    gateway.store(ObjectKind.ANNOTATION, "a" * 32, *first)
    gateway.store(ObjectKind.ANNOTATION, "a" * 32, *saved(finding(1, at=6), after=first[1]))
    later, earlier = gateway.version_desk.of_study("default", STUDY_UID)
    return {"version_id": str(later.id if compared else earlier.id), "sop_instance_uid": str(first[1].SOPInstanceUID)}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_answer_is_what_the_document_says(gateway: WebGateway, document: dict[str, Any], operation: Operation) -> None:
    if operation.name == "change_user":
        headers = gateway.add_user("ada", Role.ADMIN)
        gateway.add_user("bob", Role.READER)
    elif operation.name in ("revoke_token", "crosswalk"):
        headers = gateway.add_token("admin", Role.ADMIN)
    else:
        headers = {}
    places = dict(PLACES)
    if "<version_id>" in operation.path:
        places |= two_versions(gateway, compared="comparison" in operation.path)
    if "<deletion_id>" in operation.path:
        gateway.client().post("/api/v1/projects/default/deletions", json=BODIES["delete"])
    if operation.name == "revoke_token":
        places["token_id"] = gateway.accounts.tokens()[0].id
    path = "/api/v1" + re.sub(r"<(\w+)>", lambda place: places[place[1]], operation.path)
    path += "?finding=2.25.6001" if operation.name == "annotation_picture" else ""
    answer = gateway.client().open(path, method=operation.method, json=BODIES.get(operation.name), headers=headers)
    assert answer.status_code == operation.status, text(answer)
    template = "/api/v1" + operation.path.replace("<", "{").replace(">", "}")
    described = document["paths"][template][operation.method.lower()]
    content = described["responses"][str(operation.status)]["content"]
    if isinstance(operation.answer, str):
        assert (list(content), answer.content_type) == ([operation.answer], operation.answer)
        return
    schema = content["application/json"]["schema"]
    assert fits(document, schema, answer.get_json()) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/studies?limit=0", 400),
        ("/api/v1/studies?limit=x", 400),
        ("/api/v1/studies?nothing=1", 400),
        ("/api/v1/studies?state=done", 400),
        ("/api/v1/status?limit=1", 400),
        ("/api/v1/audit?since=yesterday", 400),
        ("/api/v1/projects/default/studies/1.9", 404),
        ("/api/v1/projects/nothing/studies/1.9", 404),
        ("/api/v1/quarantine/nothing", 404),
        ("/api/v1/studies?project=nothing", 403),
        ("/api/v1/nothing", 404),
    ],
)
def test_what_is_wrong_is_a_problem_document(
    gateway: WebGateway, document: dict[str, Any], path: str, status: int
) -> None:
    answer = gateway.client().get(path)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert fits(document, document["components"]["schemas"]["Problem"], answer.get_json()) == []


def test_unknown_key_is_refused_with_the_known_ones(gateway: WebGateway) -> None:
    detail = gateway.client().get("/api/v1/studies?PatientName=Doe").get_json()["detail"]
    assert "limit, offset, project, state" in detail
    assert "Doe" not in detail


def test_studies_are_listed_with_counts(gateway: WebGateway) -> None:
    (study,) = gateway.client().get("/api/v1/studies").get_json()["studies"]
    assert (study["study_uid"], study["images"], study["modalities"]) == ("1.2.3", 3, ["CT"])


def test_limit_and_offset_cut_the_list(gateway: WebGateway) -> None:
    gateway.clock.now += 10
    gateway.add_study("1.2.4")
    client = gateway.client()
    uids = [
        client.get(f"/api/v1/studies?limit=1&offset={offset}").get_json()["studies"][0]["study_uid"]
        for offset in (0, 1)
    ]
    assert uids == ["1.2.4", "1.2.3"]


def test_study_tells_runs_findings_and_reasons(gateway: WebGateway) -> None:
    runs = gateway.client().get("/api/v1/projects/default/studies/1.2.3").get_json()["runs"]
    assert {run["annotator"]: (run["state"], run["reason"], run["findings"]) for run in runs} == {
        "nodules": ("done", "", [NODULE]),
        "bones": ("refused", "a slice is missing", []),
    }


def test_status_counts_the_projects_in_sight_alone(gateway: WebGateway) -> None:
    gateway.add_study("1.2.4", project="other")
    headers = gateway.add_user("ada", Role.READER, ("other",))
    status = gateway.client().get("/api/v1/status", headers=headers).get_json()
    assert status["projects"] == ["other"]
    assert {tally["project"] for tally in status["studies"]} == {"other"}


def test_release_says_what_became_of_the_object(gateway: WebGateway) -> None:
    answer = gateway.client().post("/api/v1/quarantine/a1/release").get_json()
    assert answer == {"outcome": "archived", "study_uid": "1.2", "sop_instance_uid": "1.2.3", "reason": ""}


def test_discarded_object_is_answered_as_such(gateway: WebGateway) -> None:
    entry = gateway.client().post("/api/v1/quarantine/a1/discard").get_json()
    assert (entry["state"], entry["decided_by"]) == ("discarded", "local")


def test_new_user_comes_in(gateway: WebGateway) -> None:
    client = gateway.client()
    client.post("/api/v1/users", json=USER)
    assert client.get("/api/v1/status", headers=basic("grace", PASSWORD)).status_code == 200


def test_new_token_comes_in(gateway: WebGateway) -> None:
    client = gateway.client()
    secret = client.post("/api/v1/tokens", json=TOKEN).get_json()["secret"]
    assert client.get("/api/v1/status", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_secrets_are_in_no_list(gateway: WebGateway) -> None:
    client = gateway.client()
    secret = client.post("/api/v1/tokens", json=TOKEN | {"role": "admin"}).get_json()["secret"]
    headers = {"Authorization": f"Bearer {secret}"}
    client.post("/api/v1/users", json=USER, headers=headers)
    listed = text(client.get("/api/v1/tokens", headers=headers)) + text(client.get("/api/v1/users", headers=headers))
    assert secret not in listed
    assert "argon2" not in listed


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (USER | {"password": "short"}, "password"),
        (USER | {"role": "king"}, "role"),
        (USER | {"projects": []}, "projects"),
        (USER | {"projects": ["nothing"]}, "not configured"),
        (USER | {"name": "two words"}, "name"),
        (USER | {"extra": 1}, "no such key"),
        ({"name": "grace"}, "password"),
        ([], "body"),
        ("x", "body"),
    ],
)
def test_user_that_is_none_is_refused_with_the_reason(gateway: WebGateway, body: Any, words: str) -> None:
    answer = gateway.client().post("/api/v1/users", json=body)
    assert answer.status_code == 400
    assert words in answer.get_json()["detail"]


def test_passwords_are_not_quoted_in_a_refusal(gateway: WebGateway) -> None:
    answer = gateway.client().post("/api/v1/users", json=USER | {"password": "hunter2"})
    assert "hunter2" not in text(answer)


def test_second_user_of_a_name_is_a_conflict(gateway: WebGateway) -> None:
    headers = gateway.add_user("grace", Role.ADMIN)
    assert gateway.client().post("/api/v1/users", json=USER, headers=headers).status_code == 409


def test_body_that_is_no_json_is_refused(gateway: WebGateway) -> None:
    client = gateway.client()
    assert client.post("/api/v1/users", data="{", content_type="application/json").status_code == 400
    assert client.post("/api/v1/users", data={"name": "x"}).status_code == 415


def test_changed_password_replaces_the_old_one(gateway: WebGateway) -> None:
    ada = gateway.add_user("ada", Role.ADMIN)
    old = gateway.add_user("grace", Role.READER)
    client = gateway.client()
    assert client.get("/api/v1/status", headers=old).status_code == 200
    change = client.patch("/api/v1/users/grace", json={"password": "another long one"}, headers=ada)
    assert change.status_code == 200
    assert client.get("/api/v1/status", headers=old).status_code == 401
    assert client.get("/api/v1/status", headers=basic("grace", "another long one")).status_code == 200


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "reader"}])
def test_nobody_locks_themselves_out(gateway: WebGateway, change: dict[str, Any]) -> None:
    headers = gateway.add_user("ada", Role.ADMIN)
    assert gateway.client().patch("/api/v1/users/ada", json=change, headers=headers).status_code == 403


def test_revoked_token_is_out(gateway: WebGateway) -> None:
    ada = gateway.add_user("ada", Role.ADMIN)
    made = gateway.accounts.add_token("ci", Role.READER, ["*"])
    client = gateway.client()
    client.delete(f"/api/v1/tokens/{made.token.id}", headers=ada)
    assert client.get("/api/v1/status", headers={"Authorization": f"Bearer {made.secret}"}).status_code == 401


def test_audit_trail_is_searched_and_paged(gateway: WebGateway) -> None:
    headers = gateway.add_user("uma", Role.AUDITOR)
    client = gateway.client()
    for _ in range(3):
        client.get("/api/v1/status", headers=headers)
    gateway.accesses.flush()
    first = client.get("/api/v1/audit?action=status.&limit=2", headers=headers).get_json()["rows"]
    rest = client.get(f"/api/v1/audit?action=status.&before={first[-1]['id']}", headers=headers).get_json()["rows"]
    assert (len(first), len(rest)) == (2, 1)


def test_auditor_of_one_project_sees_its_rows_alone(gateway: WebGateway) -> None:
    client = gateway.client()
    for project in ("default", "other"):
        client.get(f"/projects/{project}/dicom-web/studies")
    client.get("/api/v1/users")
    gateway.accesses.flush()
    headers = gateway.add_user("uma", Role.AUDITOR, ("other",))
    rows = client.get("/api/v1/audit", headers=headers).get_json()["rows"]
    assert {row["project"] for row in rows} == {"other"}
    assert client.get("/api/v1/audit?project=default", headers=headers).status_code == 403


def test_verdict_covers_reads_that_were_still_queued(gateway: WebGateway) -> None:
    client = gateway.client()
    for _ in range(5):
        client.get("/api/v1/status")
    assert client.get("/api/v1/audit/verdict").get_json()["rows"] == 5


def test_times_are_written_in_utc(gateway: WebGateway) -> None:
    (study,) = gateway.client().get("/api/v1/studies").get_json()["studies"]
    assert study["last_image_at"] == "2025-06-15T15:06:40Z"


def test_models_and_document_agree_on_the_query(document: dict[str, Any]) -> None:
    parameters = document["paths"]["/api/v1/quarantine"]["get"]["parameters"]
    states = next(parameter["schema"] for parameter in parameters if parameter["name"] == "state")
    assert TypeAdapter(list[str]).validate_python(states["enum"]) == ["held", "released", "discarded", "expired"]


@pytest.mark.parametrize("value", [{"studies": 1}, {"studies": [{}]}, {}, {"studies": [], "more": 1}, []])
def test_check_against_the_document_bites(document: dict[str, Any], value: Any) -> None:
    assert fits(document, document["components"]["schemas"]["StudyList"], value) != []


def test_results_say_what_keeps_them_here(gateway: WebGateway) -> None:
    gateway.add_result("1.2.3")
    (result,) = gateway.client().get("/api/v1/projects/default/studies/1.2.3").json["results"]
    assert result["held"] == "nodules is held in default"
