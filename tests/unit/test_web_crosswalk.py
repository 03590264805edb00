"""The crosswalk over HTTP: identity for those who sign in and may, each page a row of the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.audit import AuditQuery
from service.core.access import Role
from service.custody.crosswalk import CrosswalkLevel, CrosswalkRow
from tests.web_gateway import WebGateway

ROWS = [
    *(CrosswalkRow("ANON-A", "P-1", "HOSP"), CrosswalkRow("ANON-B", "P-2"), CrosswalkRow("ANON-B", "P-3")),
    CrosswalkRow("ANON-C", "P-4"),
]
ADDRESS = "/api/v1/projects/default/crosswalk"


class Told:
    """The identifiers of four."""

    def rows(self, level: CrosswalkLevel, after: str = "") -> Iterator[CrosswalkRow]:
        return iter([row for row in ROWS if row.new > after and level is CrosswalkLevel.PATIENT])


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path, crosswalk=lambda _: Told())
    yield gateway
    gateway.close()


def test_lead_who_signs_in_is_told(gateway: WebGateway) -> None:
    answer = gateway.client().get(ADDRESS, headers=gateway.add_user("lena", Role.LEAD))
    assert answer.get_json()["rows"][0] == {"id_old": "P-1", "id_new": "ANON-A", "issuer_old": "HOSP"}
    assert len(answer.get_json()["rows"]) == len(ROWS)
    assert answer.get_json()["next"] is None
    assert "no-store" in answer.headers["Cache-Control"]


def test_pages_keep_the_identifiers_of_a_patient_together(gateway: WebGateway) -> None:
    headers = gateway.add_user("lena", Role.LEAD)
    told, after, pages = [], "", 0
    while after is not None:
        page = gateway.client().get(f"{ADDRESS}?limit=2&after={after}", headers=headers).get_json()
        told += [row["id_old"] for row in page["rows"]]
        after, pages = page["next"], pages + 1
    assert told == [row.old for row in ROWS]
    assert pages == 2


def test_whoever_is_on_this_machine_is_sent_to_the_command_line(gateway: WebGateway) -> None:
    answer = gateway.client().get(ADDRESS)
    assert answer.status_code == 403
    assert "annogate export crosswalk" in answer.get_json()["detail"]


@pytest.mark.parametrize("role", [Role.READER, Role.INTEGRATOR, Role.AUDITOR])
def test_other_roles_are_not_told(gateway: WebGateway, role: Role) -> None:
    answer = gateway.client().get(ADDRESS, headers=gateway.add_token("somebody", role))
    assert answer.status_code == 403
    assert "P-1" not in answer.get_data(as_text=True)


def test_each_page_is_a_row_of_the_audit_trail_without_identity(gateway: WebGateway) -> None:
    gateway.client().get(f"{ADDRESS}?level=patient", headers=gateway.add_user("lena", Role.LEAD))
    (row,) = gateway.audit.search(AuditQuery(action="crosswalk.export"))
    assert (row.actor, row.project, row.detail["rows"]) == ("lena", "default", len(ROWS))
    assert "P-1" not in str(row)


def test_notices_stand_on_the_status_page_and_in_the_api(gateway: WebGateway) -> None:
    assert "somebody should do something" in gateway.client().get("/status").get_data(as_text=True)
    assert gateway.client().get("/api/v1/status").get_json()["notices"] == ["somebody should do something"]
