"""The pages and addresses where results are released, and where the outbox is watched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.access import Role
from service.core.deliveries import DeliveryState, ReleaseState
from service.core.rejection import RejectionNote
from tests.web_gateway import WebGateway, text


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path)
    gateway.add_study("1.2.3")
    yield gateway
    gateway.close()


def sign_of(page: str) -> str:
    found = re.search(r'name="sign" value="([^"]+)"', page)
    assert found
    return found[1]


def test_lead_releases_a_result_in_the_dashboard(gateway: WebGateway) -> None:
    number = gateway.add_release()
    client = gateway.client()
    page = text(client.get("/results"))
    assert "waits for a person" in page
    answer = client.post(f"/results/{number}/release", data={"sign": sign_of(page)})
    assert answer.status_code == 303
    assert gateway.releases.show(number).state is ReleaseState.RELEASED
    assert [(one.action, one.by) for one in gateway.decisions] == [("release", "local")]
    assert "Released" in text(client.get(answer.headers["Location"]))


def test_rejection_needs_a_reason(gateway: WebGateway) -> None:
    number = gateway.add_release()
    client = gateway.client()
    sign = sign_of(text(client.get("/results")))
    client.post(f"/results/{number}/reject", data={"sign": sign, "reason": " "})
    assert gateway.releases.show(number).state is ReleaseState.WAITING
    client.post(f"/results/{number}/reject", data={"sign": sign, "reason": "a vessel"})
    assert gateway.releases.show(number).reason == "a vessel"
    assert "a vessel" in text(client.get("/results?state=rejected"))


def test_reason_with_nul_is_refused(gateway: WebGateway) -> None:
    """PostgreSQL could not keep it."""
    number = gateway.add_release()
    client = gateway.client()
    form = {"sign": sign_of(text(client.get("/results"))), "reason": "a\0vessel"}
    assert client.post(f"/results/{number}/reject", data=form).status_code == 400
    assert gateway.releases.show(number).state is ReleaseState.WAITING


def test_lead_recalls_a_released_result_with_a_reason(gateway: WebGateway) -> None:
    gateway.add_delivery()
    (release,) = gateway.releases.page("default")
    client, where = gateway.client(), f"/results/{release.id}/recall"
    form = {"sign": sign_of(text(client.get("/results?state=released"))), "code": "113038"}
    refused = client.post(where, data=form | {"reason": " "})
    assert "Nothing was changed" in text(client.get(refused.headers["Location"]))
    answer = client.post(where, data=form | {"reason": "wrong side"})
    row = gateway.releases.show(release.id)
    assert (row.state, row.recall_code, row.reason) == (ReleaseState.RECALLED, "113038", "wrong side")
    page = text(client.get(answer.headers["Location"]))
    for words in ("Recalled: it is hidden here", ">recalled<", "Incorrect Modality Worklist Entry", "wrong side"):
        assert words in page
    assert where not in page
    assert ">recalled<" in text(client.get("/studies/default/1.2.3"))
    assert [row.target for row in gateway.trail(action="result.list") if row.target] == ["1.2.3"] * 2


def test_rejection_note_is_listed_with_what_was_done(gateway: WebGateway) -> None:
    client = gateway.client()
    assert "No rejection note came" in text(client.get("/rejections"))
    rejected = [row.sop_instance_uid for row in gateway.index.instances_of("default", "1.2.3")][:2]
    gateway.rejection_table.obey("default", RejectionNote("1.2.3", "2.25.77", "113001", tuple(rejected)))
    told = ["Rejected for Quality Reasons", "2.25.77", 'class="number">2<', "looked at next"]
    assert [words for words in told if words not in text(client.get("/rejections"))] == []
    gateway.rejections.obey()
    assert "results on them recalled" in text(client.get("/rejections"))
    assert "hides 2 objects of this study" in text(client.get("/studies/default/1.2.3"))
    form, where = {"sign": sign_of(text(client.get("/rejections")))}, "/rejections/default/1.2.3/2.25.77/restore"
    answer = client.post(where, data=form)
    assert "is shown again" in text(client.get(answer.headers["Location"]))
    page = text(client.get("/rejections"))
    assert "Shown again by local" in page
    assert where not in page
    assert "hides" not in text(client.get("/studies/default/1.2.3"))
    assert "Nothing was changed" in text(client.get(client.post(where, data=form).headers["Location"]))


@pytest.mark.parametrize("address", ["/results/1/release", "/deliveries/1/accept"])
def test_form_that_was_not_given_to_the_caller_changes_nothing(gateway: WebGateway, address: str) -> None:
    gateway.add_delivery(held="another patient")
    assert gateway.client().post(address, data={"sign": "0.x"}).status_code == 403
    assert gateway.outbox.show(1).delivery.state is DeliveryState.HELD


def test_held_delivery_is_sent_by_a_person(gateway: WebGateway) -> None:
    number = gateway.add_delivery(held="the peer knows the study under another PatientID than it came with")
    client = gateway.client()
    page = text(client.get("/deliveries?state=held"))
    assert "another PatientID" in page
    client.post(f"/deliveries/{number}/accept", data={"sign": sign_of(page)})
    assert gateway.outbox.show(number).delivery.state is DeliveryState.WAITING
    assert gateway.decisions[-1].action == "accept"


def test_decision_that_somebody_took_before_is_told(gateway: WebGateway) -> None:
    number = gateway.add_delivery()
    client = gateway.client()
    sign = sign_of(text(client.get("/deliveries")))
    client.post(f"/deliveries/{number}/discard", data={"sign": sign})
    answer = client.post(f"/deliveries/{number}/discard", data={"sign": sign})
    assert "Nothing was changed" in text(client.get(answer.headers["Location"]))


@pytest.mark.parametrize("role", [Role.READER, Role.INTEGRATOR, Role.AUDITOR])
@pytest.mark.parametrize("address", ["/api/v1/results/1/release", "/api/v1/deliveries/1/accept"])
def test_nobody_without_the_right_decides(gateway: WebGateway, role: Role, address: str) -> None:
    gateway.add_delivery(held="another patient")
    headers = gateway.add_token("somebody", role)
    assert gateway.client().post(address, headers=headers).status_code == 403


@pytest.mark.parametrize("address", ["/api/v1/results/1", "/api/v1/deliveries/1", "/api/v1/deliveries/x"])
def test_what_lies_in_another_project_is_not_there(gateway: WebGateway, address: str) -> None:
    gateway.add_delivery(project="other")
    headers = gateway.add_token("lead", Role.LEAD, ("default",))
    assert gateway.client().get(address, headers=headers).status_code == 404


def test_api_says_why_a_decision_is_refused(gateway: WebGateway) -> None:
    number = gateway.add_release(annotator="nodules")
    answer = gateway.client().post(f"/api/v1/results/{number}/release")
    assert answer.status_code == 409
    assert "allow_demonstrator is off" in answer.get_json()["detail"]


def test_study_shows_how_far_its_results_came(tmp_path: Path) -> None:
    gateway = WebGateway(tmp_path)
    gateway.add_study("1.2.3")
    gateway.add_result("1.2.3")
    (row,) = [row for row in gateway.index.instances_of("default", "1.2.3") if row.annotator]
    told = {row.sop_instance_uid: "sent to pacs"}
    gateway.close()
    again = WebGateway(tmp_path, standing=lambda project, study_uid: told)
    assert "sent to pacs" in text(again.client().get("/studies/default/1.2.3"))
    assert again.client().get("/api/v1/projects/default/studies/1.2.3").get_json()["results"][0]["held"] == (
        "sent to pacs"
    )
    again.close()
