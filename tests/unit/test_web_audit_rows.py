"""Each access and decision over the web is one row of the audit trail, and none gives anybody away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.audit import AuditEvent, Outcome
from service.archive.audit_buffer import AuditBuffer
from service.core.access import Role
from service.errors import StorageExhausted
from tests.datasets import as_file, ct_slice
from tests.web_gateway import PASSWORD, WebGateway, basic

ORIGINAL_UID = "1.3.6.1.4.1.99999.4711"
SECRET = "Doe"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path)
    gateway.add_study("1.2.3")
    yield gateway
    gateway.close()


@pytest.fixture
def ada(gateway: WebGateway) -> dict[str, str]:
    return gateway.add_user("ada", Role.ADMIN)


@pytest.mark.parametrize(
    ("path", "action", "target"),
    [
        ("/dicom-web/studies/1.2.3/metadata", "study.read-metadata", "1.2.3"),
        ("/dicom-web/studies/1.2.3/series/1.2.3.1/metadata", "series.read-metadata", "1.2.3/1.2.3.1"),
        ("/dicom-web/studies/1.2.3/series", "dicomweb.search", "1.2.3"),
        ("/dicom-web/studies", "dicomweb.search", ""),
        ("/projects/default/dicom-web/studies", "dicomweb.search", ""),
        ("/studies/default/1.2.3", "study.show", "1.2.3"),
        ("/api/v1/projects/default/studies/1.2.3", "study.show", "1.2.3"),
    ],
)
def test_access_is_one_row(gateway: WebGateway, ada: dict, path: str, action: str, target: str) -> None:
    assert gateway.client().get(path, headers=ada).status_code == 200
    (row,) = gateway.trail()
    assert (row.actor, row.action, row.target, row.project, row.outcome, row.address) == (
        "ada",
        action,
        target,
        "default",
        Outcome.SUCCESS,
        "127.0.0.1",
    )


@pytest.mark.parametrize(
    "path",
    [
        f"/dicom-web/studies/{ORIGINAL_UID}",
        f"/dicom-web/studies/{ORIGINAL_UID}/metadata",
        f"/dicom-web/studies/{ORIGINAL_UID}/series",
        f"/dicom-web/studies/1.2.3/series/{ORIGINAL_UID}/instances",
        f"/dicom-web/studies/{ORIGINAL_UID}/instances",
        f"/dicom-web/studies?StudyInstanceUID={ORIGINAL_UID}",
        f"/dicom-web/studies?PatientName={SECRET}",
        f"/dicom-web/studies?{SECRET}=1",
        f"/studies/default/{ORIGINAL_UID}",
        f"/api/v1/projects/default/studies/{ORIGINAL_UID}",
        f"/api/v1/audit?object={ORIGINAL_UID}",
        f"/api/v1/quarantine/{SECRET}",
        f"/viewer/viewer/default?StudyInstanceUIDs={ORIGINAL_UID}",
        f"/projects/{SECRET}/dicom-web/studies",
        f"/{SECRET}",
    ],
)
def test_nothing_that_a_caller_brought_is_written_down(gateway: WebGateway, ada: dict, path: str) -> None:
    gateway.client().get(path, headers=ada)
    written = "".join(repr(row) for row in gateway.trail())
    assert ORIGINAL_UID not in written
    assert SECRET not in written


def test_original_uid_of_a_store_address_is_not_written_down(gateway: WebGateway, ada: dict) -> None:
    gateway.client().post(f"/dicom-web/studies/{ORIGINAL_UID}", headers=ada, data=b"")
    (row,) = gateway.trail()
    assert row.action == "dicomweb.store"
    assert ORIGINAL_UID not in repr(row)


def test_stored_object_is_named_as_it_is_served(gateway: WebGateway, ada: dict) -> None:
    body = as_file(ct_slice(study_uid=ORIGINAL_UID))
    answer = gateway.client().post("/dicom-web/studies", headers=ada | {"Content-Type": "application/dicom"}, data=body)
    assert answer.status_code == 200
    (row,) = gateway.trail()
    assert row.target.startswith("2.25.3")
    assert ORIGINAL_UID not in repr(row)


def test_names_of_search_keys_are_written_down(gateway: WebGateway, ada: dict) -> None:
    gateway.client().get("/dicom-web/studies?PatientName=Doe&00100020=x&limit=5", headers=ada)
    (row,) = gateway.trail()
    assert row.detail["keys"] == ["00100020", "PatientName", "limit"]


def test_refused_role_is_a_row(gateway: WebGateway) -> None:
    headers = gateway.add_user("uma", Role.AUDITOR)
    gateway.client().get("/dicom-web/studies/1.2.3", headers=headers)
    (row,) = gateway.trail()
    assert (row.actor, row.action, row.outcome, row.detail["action"], row.target) == (
        "uma",
        "access.denied",
        Outcome.SERIOUS_FAILURE,
        "study.read",
        "",
    )


def test_refused_role_is_on_disk_before_the_answer(gateway: WebGateway) -> None:
    headers = gateway.add_user("uma", Role.AUDITOR)
    gateway.client().get("/dicom-web/studies/1.2.3", headers=headers)
    assert gateway.audit.count() == 1


def test_wrong_password_is_a_row_under_the_name_tried(gateway: WebGateway, ada: dict) -> None:
    gateway.client().get("/", headers=basic("ada", "wrong"))
    failed = gateway.trail(action="login.failed")
    assert [(row.actor, row.address, row.detail["scheme"]) for row in failed] == [("ada", "127.0.0.1", "basic")]


@pytest.mark.parametrize("name", [PASSWORD, "nobody"])
def test_name_that_nobody_bears_is_not_written_down(gateway: WebGateway, ada: dict, name: str) -> None:
    gateway.client().get("/", headers=basic(name, "x"))
    assert name not in repr(gateway.trail())


def test_local_administrators_access_is_a_row(gateway: WebGateway) -> None:
    gateway.client().get("/")
    assert [(row.actor, row.action) for row in gateway.trail()] == [("local", "study.list")]


def test_token_is_named_in_its_rows(gateway: WebGateway) -> None:
    gateway.client().get("/dicom-web/studies", headers=gateway.add_token("ci", Role.INTEGRATOR))
    assert [row.actor for row in gateway.trail()] == ["ci"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/static/annogate.css", "/metrics"])
def test_what_shows_nothing_of_anybody_is_no_row(gateway: WebGateway, ada: dict, path: str) -> None:
    with gateway.client().get(path, headers=ada) as answer:
        assert answer.status_code == 200
    assert gateway.trail() == []


def test_missing_study_is_a_minor_failure(gateway: WebGateway, ada: dict) -> None:
    gateway.client().get("/dicom-web/studies/1.9/metadata", headers=ada)
    assert [(row.outcome, row.detail["status"]) for row in gateway.trail()] == [(Outcome.MINOR_FAILURE, 404)]


def test_new_account_is_a_row_that_names_it(gateway: WebGateway, ada: dict) -> None:
    body = {"name": "grace", "password": PASSWORD, "role": "reader", "projects": ["default"]}
    gateway.client().post("/api/v1/users", headers=ada, json=body)
    (row,) = gateway.trail()
    assert (row.action, row.target, row.detail["role"]) == ("user.add", "grace", "reader")
    assert PASSWORD not in repr(row)


class FullBuffer(AuditBuffer):
    """A queue that takes nothing more."""

    def record(self, event: AuditEvent) -> None:
        raise StorageExhausted("the audit trail takes no rows")


def test_what_cannot_be_written_down_is_not_answered(tmp_path: Path, gateway: WebGateway) -> None:
    (tmp_path / "full").mkdir()
    full = WebGateway(tmp_path / "full", accesses=FullBuffer(gateway.audit))
    full.add_study("1.2.3")
    answer = full.client().get("/dicom-web/studies/1.2.3/metadata")
    assert answer.status_code == 503
    assert b"1.2.3" not in answer.data
    full.close()
