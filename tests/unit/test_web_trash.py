"""Deletion over the API, on the pages and in what DICOMweb answers of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.audit import AuditQuery
from service.core.access import Role
from tests.web_gateway import WebGateway, text

STUDY, SERIES, INSTANCE = "1.2.3", "1.2.3.1", "1.2.3.1.1"
DELETIONS = "/api/v1/projects/default/deletions"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path)
    gateway.add_study(STUDY)
    yield gateway
    gateway.close()


def sign_of(page: str) -> str:
    found = re.search(r'name="sign" value="([^"]+)"', page)
    assert found
    return found[1]


def retrieved(gateway: WebGateway, *uids: str) -> int:
    """The status of the metadata of a study, series or instance."""
    path = "".join(f"/{level}/{uid}" for level, uid in zip(("studies", "series", "instances"), uids, strict=False))
    with gateway.client().get(f"/dicom-web{path}/metadata") as answer:
        return answer.status_code


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ({"study_uid": STUDY}, [410, 410, 410]),
        ({"study_uid": STUDY, "series_uid": SERIES}, [410, 410, 410]),
        ({"study_uid": STUDY, "series_uid": SERIES, "sop_instance_uid": INSTANCE}, [200, 200, 410]),
    ],
)
def test_what_is_deleted_is_gone_and_comes_back(gateway: WebGateway, body: dict[str, str], gone: list[int]) -> None:
    client = gateway.client()
    made = client.post(DELETIONS, json=body | {"reason": "wrong patient"})
    assert made.status_code == 201
    places = [(STUDY,), (STUDY, SERIES), (STUDY, SERIES, INSTANCE)]
    assert [retrieved(gateway, *place) for place in places] == gone
    assert made.json is not None
    assert client.post(f"{DELETIONS}/{made.json['id']}/restore").json["state"] == "restored"
    assert [retrieved(gateway, *place) for place in places] == [200, 200, 200]


def test_older_version_of_a_result_is_not_had_by_its_uid_once_it_is_deleted(gateway: WebGateway) -> None:
    gateway.add_result(STUDY)
    (made,) = [row for row in gateway.index.instances_of("default", STUDY) if row.annotator]
    gateway.index.hide("default", [made.sop_instance_uid])
    place = (STUDY, made.series_uid, made.sop_instance_uid)
    assert retrieved(gateway, *place) == 200
    gateway.client().post(DELETIONS, json={"study_uid": STUDY})
    assert retrieved(gateway, *place) == 410


def test_what_was_never_there_is_not_found_rather_than_gone(gateway: WebGateway) -> None:
    gateway.client().post(DELETIONS, json={"study_uid": STUDY})
    assert retrieved(gateway, "1.2.4") == 404


def test_deletion_is_in_the_audit_trail_before_it_is_answered(gateway: WebGateway) -> None:
    client = gateway.client()
    number = client.post(DELETIONS, json={"study_uid": STUDY, "reason": "asked for"}).json["id"]
    client.post(f"{DELETIONS}/{number}/restore")
    rows = gateway.audit.search(AuditQuery())
    told = [(row.action, row.target, row.detail["instances"]) for row in rows if row.action.startswith("deletion.")]
    assert told == [("deletion.restore", STUDY, 3), ("deletion.delete", STUDY, 3)]
    assert not any("asked for" in str(row.detail) for row in rows)


@pytest.mark.parametrize("role", [Role.READER, Role.INTEGRATOR, Role.AUDITOR])
def test_who_has_not_the_right_deletes_nothing(gateway: WebGateway, role: Role) -> None:
    headers = gateway.add_token("somebody", role)
    assert gateway.client().post(DELETIONS, json={"study_uid": STUDY}, headers=headers).status_code == 403
    assert gateway.trash.page("default") == []


def test_deletions_are_listed(gateway: WebGateway) -> None:
    client = gateway.client()
    client.post(DELETIONS, json={"study_uid": STUDY})
    (listed,) = client.get("/api/v1/deletions?state=trashed").json["deletions"]
    assert (listed["level"], listed["instances"], listed["deleted_by"]) == ("study", 3, "local")
    assert client.get("/api/v1/deletions?study=9.9").json["deletions"] == []
    assert client.get(f"{DELETIONS}/{listed['id']}").json == listed
    assert client.get(f"/api/v1/projects/other/deletions/{listed['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"study_uid": "9.9"}, 404), ({"study_uid": "x" * 65}, 400), ({"study_uid": STUDY, "all": 1}, 400)],
)
def test_deletion_that_cannot_be_done_says_so(gateway: WebGateway, body: dict[str, str], status: int) -> None:
    assert gateway.client().post(DELETIONS, json=body).status_code == status


def test_study_in_the_trash_has_no_page_and_is_not_listed(gateway: WebGateway) -> None:
    client = gateway.client()
    client.post(DELETIONS, json={"study_uid": STUDY})
    assert client.get(f"/studies/default/{STUDY}").status_code == 410
    assert client.get(f"/api/v1/projects/default/studies/{STUDY}").status_code == 410
    assert client.get("/api/v1/studies").json["studies"] == []


def test_lead_deletes_on_the_page_and_restores(gateway: WebGateway) -> None:
    client = gateway.client()
    page = text(client.get(f"/studies/default/{STUDY}"))
    form, where = {"sign": sign_of(page), "series": SERIES, "reason": "blurred"}, f"/studies/default/{STUDY}/delete"
    assert "tick the box" in text(client.get(client.post(where, data=form).headers["Location"]))
    done = text(client.get(client.post(where, data=form | {"sure": "yes"}).headers["Location"]))
    for words in ("Deleted:", "Series<", SERIES, "blurred", "by local", ">trashed<"):
        assert words in done
    (row,) = gateway.trash.page("default")
    back = client.post(f"/trash/default/{row.id}/restore", data={"sign": sign_of(done)})
    assert "Restored" in text(client.get(back.headers["Location"]))
    assert "Nothing was changed" in text(
        client.get(client.post(f"/trash/default/{row.id}/restore", data={"sign": sign_of(done)}).headers["Location"])
    )
    assert ">restored<" in text(client.get("/trash?state=restored"))


def test_reader_sees_no_form_that_deletes(gateway: WebGateway) -> None:
    headers = gateway.add_token("reader", Role.READER)
    assert "/delete" not in text(gateway.client().get(f"/studies/default/{STUDY}", headers=headers))


def test_form_that_was_not_given_to_the_caller_deletes_nothing(gateway: WebGateway) -> None:
    answer = gateway.client().post(f"/studies/default/{STUDY}/delete", data={"sign": "0.x", "sure": "yes"})
    assert answer.status_code == 403
    assert gateway.trash.page("default") == []
