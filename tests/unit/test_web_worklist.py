"""Work items as callers of UPS-RS see them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from service.core.access import Role
from service.core.native_dicom_model import from_xml, to_xml
from tests.web_gateway import WebGateway
from tests.worklist_house import element, given_up, new_workitem, performed, value

ROOT = "/dicom-web/workitems"
GLOBAL, FILTERED = "1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"
JSON = "application/dicom+json"
XML = "application/dicom+xml"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path_factory.mktemp("gateway"))
    yield gateway
    gateway.close()


def ask(gateway: WebGateway, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
    if body is not None:
        options |= {"data": json.dumps([body]), "content_type": JSON}
    with gateway.client().open(path, method=method, **options) as answer:
        answer.get_data()
        return answer


def new_uid() -> str:
    return f"2.25.77{next(_numbers)}"


@pytest.fixture
def uid(gateway: WebGateway) -> str:
    """Of a work item that was created."""
    uid = new_uid()
    assert ask(gateway, "POST", f"{ROOT}?{uid}", new_workitem()).status_code == 201
    return uid


def state(uid: str, transaction: str) -> dict[str, Any]:
    return {"00741000": element("CS", uid), "00081195": element("UI", transaction)}


def change(gateway: WebGateway, uid: str, wanted: str, transaction: str = "1.9") -> TestResponse:
    return ask(gateway, "PUT", f"{ROOT}/{uid}/state", state(wanted, transaction))


def warning(answer: TestResponse) -> str:
    return answer.headers.get("Warning", "")


def test_created_work_item_is_where_it_is_said_to_be(gateway: WebGateway) -> None:
    answer = ask(gateway, "POST", ROOT, new_workitem())
    assert (answer.status_code, warning(answer)) == (201, "")
    location = answer.headers["Location"]
    assert location.startswith("http://localhost/dicom-web/workitems/2.25.900")
    (held,) = ask(gateway, "GET", location.removeprefix("http://localhost")).get_json(force=True)
    assert value(held, "00080018") == location.rsplit("/", 1)[1]
    assert value(held, "00080016") == "1.2.840.10008.5.1.4.34.6.1"
    assert "00081195" not in held


def test_creation_with_changes_says_so(gateway: WebGateway) -> None:
    answer = ask(gateway, "POST", f"{ROOT}?workitem={new_uid()}", new_workitem(t00080060=element("CS", "CT")))
    assert warning(answer) == "299 annogate: The Workitem was created with modifications."


def test_uid_that_is_taken_is_a_conflict(gateway: WebGateway, uid: str) -> None:
    answer = ask(gateway, "POST", f"{ROOT}?{uid}", new_workitem())
    assert (answer.status_code, answer.content_type) == (409, "application/problem+json")


def test_life_of_a_work_item(gateway: WebGateway, uid: str) -> None:
    assert change(gateway, uid, "IN PROGRESS").status_code == 200
    assert ask(gateway, "POST", f"{ROOT}/{uid}?transaction-uid=1.9", performed()).status_code == 200
    answer = change(gateway, uid, "COMPLETED")
    assert (answer.status_code, answer.get_data()) == (200, b"")
    (held,) = ask(gateway, "GET", f"{ROOT}/{uid}").get_json(force=True)
    assert value(held, "00741000") == "COMPLETED"
    again = change(gateway, uid, "COMPLETED")
    assert (again.status_code, warning(again)) == (
        200,
        "299 annogate: The UPS is already in the requested state of COMPLETED.",
    )


def test_second_claim_loses(gateway: WebGateway, uid: str) -> None:
    assert change(gateway, uid, "IN PROGRESS", "1.1").status_code == 200
    answer = change(gateway, uid, "IN PROGRESS", "1.2")
    assert answer.status_code == 409
    assert warning(answer).endswith("inconsistent with the state of the UPS Instance.")


@pytest.mark.parametrize(
    ("transaction", "words"),
    [("", "The Transaction UID is missing."), ("1.8", "The Transaction UID is incorrect.")],
)
def test_without_the_lock_nothing_is_changed(gateway: WebGateway, uid: str, transaction: str, words: str) -> None:
    change(gateway, uid, "IN PROGRESS")
    for answer in (
        ask(gateway, "POST", f"{ROOT}/{uid}?{transaction}", given_up()),
        change(gateway, uid, "CANCELED", transaction),
    ):
        assert (answer.status_code, warning(answer)) == (400, f"299 annogate: {words}")


def test_update_after_the_end_is_refused(gateway: WebGateway, uid: str) -> None:
    ask(gateway, "POST", f"{ROOT}/{uid}/cancelrequest")
    answer = ask(gateway, "POST", f"{ROOT}/{uid}", {"00741200": element("CS", "LOW")})
    assert answer.status_code == 400
    assert "inconsistent with the current state of the Workitem" in warning(answer)


def test_cancellation_is_accepted_with_and_without_words(gateway: WebGateway, uid: str) -> None:
    answer = ask(gateway, "POST", f"{ROOT}/{uid}/cancelrequest", {"00741238": element("LT", "Not needed")})
    assert answer.status_code == 202
    again = ask(gateway, "POST", f"{ROOT}/{uid}/cancelrequest")
    assert (again.status_code, "CANCELED" in warning(again)) == (202, True)


def test_search_answers_with_return_keys_and_what_was_asked_for(gateway: WebGateway, uid: str) -> None:
    answer = ask(gateway, "GET", f"{ROOT}?SOPInstanceUID={uid}")
    assert (answer.status_code, answer.content_type) == (200, JSON)
    (found,) = answer.get_json(force=True)
    assert {"00741000", "00741204", "00404021", "00100010"} <= found.keys()
    assert not {"00081195", "00404010"} & found.keys()
    (found,) = ask(gateway, "GET", f"{ROOT}?SOPInstanceUID={uid}&includefield=00404010").get_json(force=True)
    assert value(found, "00404010") == "20250615150640+0000"


def test_search_tells_what_is_left(gateway: WebGateway, uid: str) -> None:
    ask(gateway, "POST", ROOT, new_workitem())
    answer = ask(gateway, "GET", f"{ROOT}?limit=1")
    assert (answer.status_code, len(answer.get_json(force=True))) == (206, 1)
    assert "additional results" in warning(answer)
    nothing = ask(gateway, "GET", f"{ROOT}?SOPInstanceUID=1.2.3&Modality=CT")
    assert (nothing.status_code, "Modality" in warning(nothing)) == (204, True)


def test_xml_goes_in_and_comes_out(gateway: WebGateway) -> None:
    uid = new_uid()
    body = to_xml(new_workitem())
    assert ask(gateway, "POST", f"{ROOT}?{uid}", data=body, content_type=XML).status_code == 201
    single = ask(gateway, "GET", f"{ROOT}/{uid}", headers={"Accept": XML})
    assert value(from_xml(single.get_data()), "00080018") == uid
    related = {"Accept": f'multipart/related; type="{XML}"'}
    found = ask(gateway, "GET", f"{ROOT}?SOPInstanceUID={uid}", headers=related)
    assert found.content_type.startswith(f'multipart/related; type="{XML}"')
    part = b"--x\r\nContent-Type: application/dicom+xml\r\n\r\n%b\r\n--x--\r\n" % to_xml(new_workitem())
    kind = f'multipart/related; type="{XML}"; boundary=x'
    assert ask(gateway, "POST", f"{ROOT}?{new_uid()}", data=part, content_type=kind).status_code == 201


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": b"{", "content_type": JSON}, 400),
        ({"data": b"[" * 100_000, "content_type": JSON}, 400),
        ({"data": b"<x/>", "content_type": XML}, 400),
        ({"data": b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', "content_type": XML}, 400),
        ({"data": b"[{}]", "content_type": "text/plain"}, 415),
        ({"data": b"[{}]", "content_type": ""}, 415),
        ({"data": b"[{}]", "content_type": JSON}, 400),
        ({"data": b"x" * (5 << 20), "content_type": JSON}, 413),
        ({"data": b"--x--", "content_type": f'multipart/related; type="{XML}"; boundary=x'}, 400),
        ({"data": b"", "content_type": f'multipart/related; type="{XML}"'}, 400),
    ],
)
def test_body_that_is_no_work_item_is_refused(gateway: WebGateway, options: dict[str, Any], status: int) -> None:
    answer = ask(gateway, "POST", ROOT, **options)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{ROOT}/not-a-uid", None, 400),
        ("GET", f"{ROOT}/2.25.1", None, 404),
        ("POST", f"{ROOT}/2.25.1", {}, 404),
        ("POST", f"{ROOT}?workitem=..%2F..", {}, 400),
        ("PUT", f"{ROOT}/2.25.1/state", {"00741000": {"vr": "CS", "Value": ["DONE"]}}, 400),
        ("PUT", f"{ROOT}/2.25.1/state", {"00741200": {"vr": "CS", "Value": ["LOW"]}}, 400),
        ("PUT", f"{ROOT}/2.25.1/state", state("IN PROGRESS", "1.9"), 404),
        ("POST", f"{ROOT}/2.25.1/cancelrequest", None, 404),
        ("POST", f"{ROOT}/2.25.1/subscribers/WATCHER", None, 404),
        ("POST", f"{ROOT}/{FILTERED}/subscribers/WATCHER", None, 400),
        ("POST", f"{ROOT}/{GLOBAL}/subscribers/WATCHER?deletionlock=perhaps", None, 400),
        ("POST", f"{ROOT}/{GLOBAL}/subscribers/{'A' * 17}", None, 400),
        ("DELETE", f"{ROOT}/{GLOBAL}/subscribers/NOBODY", None, 404),
        ("POST", f"{ROOT}/{GLOBAL}/subscribers/NOBODY/suspend", None, 404),
        ("GET", f"{ROOT}?limit=0", None, 400),
        ("GET", "/dicom-web/ws/subscribers/WATCHER", None, 426),
    ],
)
def test_what_cannot_be_done_is_told_in_words(
    gateway: WebGateway, method: str, path: str, body: Any, status: int
) -> None:
    answer = ask(gateway, method, path, body)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")


def test_subscription_names_the_channel(gateway: WebGateway, uid: str) -> None:
    answer = ask(gateway, "POST", f"{ROOT}/{uid}/subscribers/A%20TITLE?deletionlock=true")
    assert answer.status_code == 201
    assert answer.headers["Location"] == "ws://localhost/dicom-web/ws/subscribers/A%20TITLE"
    behind = ask(gateway, "POST", f"/projects/default{ROOT}/{uid}/subscribers/TITLE", base_url="https://localhost")
    assert behind.headers["Location"] == "wss://localhost/projects/default/dicom-web/ws/subscribers/TITLE"
    assert ask(gateway, "DELETE", f"{ROOT}/{uid}/subscribers/TITLE").status_code == 200


@pytest.mark.parametrize("query", ["filter=WorklistLabel=lists,ProcedureStepState=SCHEDULED", "WorklistLabel=lists"])
def test_filter_comes_in_either_form(gateway: WebGateway, query: str) -> None:
    title = f"F{next(_numbers)}"
    assert ask(gateway, "POST", f"{ROOT}/{FILTERED}/subscribers/{title}?{query}").status_code == 201
    ask(gateway, "POST", ROOT, new_workitem(t00741202=element("LO", "lists")))
    assert (1, "SCHEDULED") in gateway.worklist.told(title)
    assert ask(gateway, "POST", f"{ROOT}/{FILTERED}/subscribers/{title}/suspend").status_code == 200
    assert ask(gateway, "DELETE", f"{ROOT}/{FILTERED}/subscribers/{title}").status_code == 200


HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 404),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Origin": "http://elsewhere.test"}, 403),
        ({"Origin": "http://localhost:99999"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "http://localhost"}, 404),
    ],
)
def test_handshake_is_looked_at_before_a_channel_opens(
    gateway: WebGateway, changes: dict[str, str], status: int
) -> None:
    answer = ask(gateway, "GET", "/dicom-web/ws/subscribers/STRANGER", headers=HANDSHAKE | changes)
    assert answer.status_code == status


def test_other_projects_do_not_see_it(gateway: WebGateway, uid: str) -> None:
    assert ask(gateway, "GET", f"/projects/other{ROOT}/{uid}").status_code == 404
    assert ask(gateway, "GET", f"/projects/other{ROOT}?SOPInstanceUID={uid}").status_code == 204


def test_roles_and_projects_decide(tmp_path) -> None:
    gateway = WebGateway(tmp_path)
    try:
        reader = gateway.add_token("reader", Role.READER, ("default",))
        model = gateway.add_token("model", Role.INTEGRATOR, ("default",))
        assert ask(gateway, "POST", f"{ROOT}?2.25.5", new_workitem(), headers=reader).status_code == 403
        assert ask(gateway, "POST", f"{ROOT}?2.25.5", new_workitem(), headers=model).status_code == 201
        assert ask(gateway, "GET", f"{ROOT}/2.25.5", headers=reader).status_code == 200
        assert ask(gateway, "GET", f"/projects/other{ROOT}/2.25.5", headers=reader).status_code == 403
        assert ask(gateway, "POST", f"{ROOT}/2.25.5/subscribers/MODEL", headers=model).status_code == 201
        assert ask(gateway, "POST", f"{ROOT}/2.25.5/subscribers/MODEL", headers=reader).status_code == 403
        rows = [(row.actor, row.action, row.target) for row in gateway.trail(action="workitem.")]
        assert ("model", "workitem.create", "2.25.5") in rows
    finally:
        gateway.close()
