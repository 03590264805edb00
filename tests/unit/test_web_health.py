"""Health and metrics, for the operator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.core.access import Role
from service.core.archived import RunState
from service.core.deletion import DeletedPlace
from service.core.workitem import WorkitemState
from tests.web_gateway import WebGateway, text
from tests.worklist_house import new_workitem


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[WebGateway]:
    gateway = WebGateway(tmp_path)
    yield gateway
    gateway.close()


def samples(gateway: WebGateway) -> dict[tuple[str, str, str], float]:
    """Value by metric, project and state."""
    page = text(gateway.client().get("/metrics"))
    return {
        (sample.name, sample.labels.get("project", ""), sample.labels.get("state", "")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_process_that_answers_lives(gateway: WebGateway) -> None:
    assert gateway.client().get("/health/live").get_json() == {"status": "live"}


def test_parts_that_are_well_are_named(gateway: WebGateway) -> None:
    answer = gateway.client().get("/health/ready")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ready", "parts": {"index": "ok"}})


def test_part_that_is_not_well_makes_it_unready(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("no such file: /srv/secret/place")

    gateway = WebGateway(tmp_path, pings={"index": lambda: None, "blobs": fail})
    answer = gateway.client().get("/health/ready")
    assert answer.status_code == 503
    assert answer.get_json()["parts"] == {"index": "ok", "blobs": "failing"}
    assert "secret" not in text(answer)
    gateway.close()


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_needs_no_login_and_no_name(gateway: WebGateway, path: str) -> None:
    gateway.add_user("ada", Role.ADMIN)
    answer = gateway.client().get(path, headers={"Host": "10.0.0.1"})
    assert answer.status_code == 200


def test_metrics_count_by_state(gateway: WebGateway) -> None:
    key = gateway.add_study("1.2.3", images=3)
    gateway.add_run(key, "nodules", RunState.REFUSED, reason="a slice is missing")
    found = samples(gateway)
    assert found["annogate_studies", "default", "receiving"] == 1
    assert found["annogate_instances", "default", "stored"] == 3
    assert found["annogate_runs", "default", "refused"] == 1


def test_metrics_count_the_trash_and_what_is_to_be_done(gateway: WebGateway) -> None:
    gateway.add_study("1.2.3", images=3)
    deletion = gateway.deletions.delete("default", DeletedPlace("1.2.3"), "lead", "not wanted")
    for number in (1, 2, 3):
        gateway.worklist.desk.create("default", f"2.25.{number}", new_workitem(), "lead")
    gateway.worklist.desk.change_state("default", "2.25.2", "1.9", WorkitemState.IN_PROGRESS)
    gateway.worklist.desk.request_cancel("default", "2.25.3", {}, "lead")
    found = samples(gateway)
    assert found["annogate_trash", "default", "trashed"] == 3
    workitems = {state: count for (name, _, state), count in found.items() if name == "annogate_workitems"}
    assert workitems == {"SCHEDULED": 1, "IN PROGRESS": 1}
    gateway.deletions.restore("default", deletion.id, "lead")
    assert ("annogate_trash", "default", "trashed") not in samples(gateway)


def test_metrics_show_no_identity(gateway: WebGateway) -> None:
    gateway.add_study("1.2.3")
    page = text(gateway.client().get("/metrics"))
    assert "1.2.3.1" not in page
    assert "ANON" not in page


def test_metrics_count_the_rows_of_the_audit_trail(gateway: WebGateway) -> None:
    gateway.client().get("/api/v1/status")
    gateway.accesses.flush()
    assert samples(gateway)["annogate_audit_rows_total", "", ""] == 1


def test_metrics_are_not_for_everybody(gateway: WebGateway) -> None:
    reader, program = gateway.add_user("ada", Role.READER), gateway.add_token("prometheus", Role.INTEGRATOR)
    client = gateway.client()
    statuses = [client.get("/metrics", headers=headers).status_code for headers in ({}, reader, program)]
    assert statuses == [401, 403, 200]


def test_metrics_tell_what_waits_for_which_peer(gateway: WebGateway) -> None:
    gateway.add_delivery(held="Patient ID")
    gateway.clock.now += 90
    gateway.add_delivery()
    gateway.clock.now += 30
    page = text(gateway.client().get("/metrics"))
    assert 'annogate_deliveries{peer="pacs",state="held"} 1.0' in page
    assert 'annogate_deliveries{peer="pacs",state="waiting"} 1.0' in page
    assert 'annogate_deliveries{peer="pacs",state="failed"} 0.0' in page
    assert 'annogate_outbox_oldest_waiting_seconds{peer="pacs"} 30.0' in page
    assert 'annogate_deliveries_sent_total{peer="pacs"} 0.0' in page
