"""The addresses where studies of peers are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.core.access import Role
from service.core.pulls import PullState, StudyPullState
from tests.web_gateway import WebGateway

PULLS = "/api/v1/projects/default/pulls"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    held = WebGateway(tmp_path)
    yield held
    held.close()


class Calls:
    """A client with the right of a role."""

    def __init__(self, gateway: WebGateway, role: Role) -> None:
        self._client = gateway.client()
        self._headers = gateway.add_token("somebody", role)

    def get(self, address: str) -> Any:
        return self._client.get(address, headers=self._headers)

    def post(self, address: str, json: object = None) -> Any:
        return self._client.post(address, json=json, headers=self._headers)


def test_request_is_taken_and_listed_without_what_it_asks_for(gateway: WebGateway) -> None:
    client = Calls(gateway, Role.LEAD)
    asked = client.post(PULLS, json={"peer": "pacs", "patient_id": "ID-77-PLANTED"})
    assert (asked.status_code, asked.json["state"]) == (202, "waiting")
    listed = client.get("/api/v1/pulls?project=default")
    assert [pull["id"] for pull in listed.json["pulls"]] == [asked.json["id"]]
    assert "ID-77-PLANTED" not in asked.text + listed.text


def test_priors_are_asked_for_by_a_study_that_is_here(gateway: WebGateway) -> None:
    asked = Calls(gateway, Role.LEAD).post(PULLS, json={"peer": "pacs", "priors_of": "1.2.3", "count": 2})
    assert (asked.status_code, asked.json["priors_of"]) == (202, "1.2.3")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"peer": "nobody", "accession": "A-1"}, 400),
        ({"peer": "pacs"}, 400),
        ({"peer": "pacs", "keys": {"Modality": "CT"}}, 400),
        ({"accession": "A-1"}, 400),
    ],
)
def test_request_that_names_nothing_is_refused(gateway: WebGateway, body: dict[str, object], status: int) -> None:
    assert Calls(gateway, Role.LEAD).post(PULLS, json=body).status_code == status


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.ADMIN, 202), (Role.LEAD, 202), (Role.INTEGRATOR, 202), (Role.READER, 403), (Role.AUDITOR, 403)],
)
def test_who_may_ask(gateway: WebGateway, role: Role, status: int) -> None:
    answer = Calls(gateway, role).post(PULLS, json={"peer": "pacs", "accession": "A-1"})
    assert answer.status_code == status


def test_request_is_cancelled_once(gateway: WebGateway) -> None:
    client = Calls(gateway, Role.LEAD)
    number = client.post(PULLS, json={"peer": "pacs", "accession": "A-1"}).json["id"]
    assert client.post(f"/api/v1/pulls/{number}/cancel").json["state"] == "cancelled"
    assert client.post(f"/api/v1/pulls/{number}/cancel").status_code == 409
    assert gateway.pull_table.lease("somebody", 60) is None


def test_request_shows_its_studies(gateway: WebGateway) -> None:
    client = Calls(gateway, Role.LEAD)
    number = client.post(PULLS, json={"peer": "pacs", "accession": "A-1"}).json["id"]
    pull = gateway.pull_table.of(number)
    assert pull is not None
    gateway.pull_table.add_studies(pull, [("digest", b"sealed", "1.2.3")])
    (study,) = gateway.pull_table.studies_of(number)
    gateway.pull_table.set_study(study.id, StudyPullState.INCOMPLETE, expected=4, held=3, reason="1 of 4 is not here")
    gateway.pull_table.finish(number, PullState.INCOMPLETE)
    (shown,) = client.get(f"/api/v1/pulls/{number}").json["studies"]
    assert (shown["study_uid"], shown["held"], shown["expected"]) == ("1.2.3", 3, 4)
    assert client.get("/api/v1/pulls/99").status_code == 404
