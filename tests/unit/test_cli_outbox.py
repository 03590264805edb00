"""What the person on call sees and decides of results on their way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.archive.audit import AuditQuery
from service.bootstrap import Gateway
from service.cli.root import annogate
from service.core.deliveries import ANY_FORM
from service.errors import DecisionRefused, InstanceNotFound
from service.settings import load_settings

CONFIG = """
[projects.default]
deliver_to = ["pacs", "archive"]
allow_demonstrator = true
[projects.strict]
ae_titles = ["STRICT"]
deliver_to = ["pacs"]
[peers.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 1
[peers.archive]
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = 1
"""
STUDY = "1.2.3"


class OnCall:
    def __init__(self, folder: Path) -> None:
        self.options = ["--config", str(folder / "annogate.toml"), "--data-dir", str(folder / "data")]
        (folder / "annogate.toml").write_text(CONFIG)
        self.settings = load_settings(folder / "annogate.toml", overrides={"storage": {"data_dir": folder / "data"}})

    def gateway(self) -> Gateway:
        return Gateway(self.settings)

    def calls(self, *words: str) -> Result:
        return CliRunner().invoke(annogate, [*words, *self.options])

    def told(self, *words: str) -> Any:
        answer = self.calls(*words, "--json")
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)

    def actions(self) -> list[str]:
        with self.gateway() as gateway:
            return [row.action for row in gateway.audit.search(AuditQuery())]


@pytest.fixture
def on_call(tmp_path: Path) -> OnCall:
    on_call = OnCall(tmp_path)
    with on_call.gateway() as gateway:
        gateway.prepare()
        for project in ("default", "strict"):
            gateway.releases.open(
                project=project, study_uid=STUDY, annotator="nodules", objects={ANY_FORM: ["1.9"]}, run_id=None
            )
    return on_call


def test_result_waits_until_a_person_lets_it_go_to_every_peer(on_call: OnCall) -> None:
    (waiting,) = on_call.told("study", "results", STUDY)
    assert (waiting["state"], waiting["held"]) == ("waiting", "waits for a person's approval")
    (released,) = on_call.told("study", "release", STUDY)
    assert released["state"] == "released"
    assert [row["peer"] for row in on_call.told("outbox", "list")] == ["archive", "pacs"]
    assert on_call.actions() == ["result.release"]


def test_result_of_a_demonstrator_does_not_leave_whoever_wants_it(on_call: OnCall) -> None:
    answer = on_call.calls("study", "release", STUDY, "--project", "strict")
    assert isinstance(answer.exception, DecisionRefused)
    assert "allow_demonstrator is off" in str(answer.exception)
    assert on_call.told("outbox", "list", "--project", "strict") == []


def test_rejected_result_stays_with_its_reason(on_call: OnCall) -> None:
    (rejected,) = on_call.told("study", "reject", STUDY, "--reason", "a vessel, no nodule")
    assert (rejected["state"], rejected["reason"]) == ("rejected", "a vessel, no nodule")
    assert isinstance(on_call.calls("study", "release", STUDY).exception, InstanceNotFound)
    assert on_call.told("outbox", "list") == []


def test_delivery_is_shown_tried_again_and_discarded(on_call: OnCall) -> None:
    on_call.told("study", "release", STUDY)
    number = str(on_call.told("outbox", "list", "--peer", "pacs")[0]["id"])
    assert on_call.told("outbox", "show", number)["state"] == "waiting"
    assert [row["state"] for row in on_call.told("outbox", "retry", number)] == ["waiting"]
    assert isinstance(on_call.calls("outbox", "accept", number).exception, DecisionRefused)
    assert "discarded" in on_call.calls("outbox", "discard", "--yes", number).stdout
    assert isinstance(on_call.calls("outbox", "retry", number).exception, DecisionRefused)
    assert on_call.actions() == ["delivery.discard", "delivery.retry", "result.release"]


def test_what_waits_for_a_person_is_told_with_the_status(on_call: OnCall) -> None:
    on_call.told("study", "release", STUDY)
    with on_call.gateway() as gateway:
        gateway.outbox.hold(1, "another patient")
    words = "1 delivery to pacs held for a person: annogate outbox list --state held"
    assert words in on_call.told("status")["notices"]


def test_delivery_that_there_is_not_is_said_so(on_call: OnCall) -> None:
    assert isinstance(on_call.calls("outbox", "show", "77").exception, InstanceNotFound)


def test_outbox_is_listed_for_people(on_call: OnCall) -> None:
    on_call.told("study", "release", STUDY)
    listed = on_call.calls("outbox", "list").stdout
    assert "pacs" in listed
    assert "Objects" in on_call.calls("outbox", "show", "1").stdout
