"""What the person on call deletes, lists and restores; and what a gateway's jobs remove in the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.archive.audit import AuditQuery
from service.bootstrap import Gateway
from service.cli.root import annogate
from service.core.deletion import DeletedPlace, DeletionState
from service.custody.study_lookup import LookupQuestion
from service.errors import DecisionRefused, InstanceNotFound
from service.settings import load_settings
from tests.archived import new_instance
from tests.datasets import ct_slice

CONFIG = """
[storage]
trash_days = 0
[projects.default]
deidentify = "none"
"""
STUDY, SERIES = "1.2.3", "1.2.3.1"


class OnCall:
    """Somebody at the command line of a gateway that holds one study of two images; its grace is no day."""

    def __init__(self, folder: Path) -> None:
        (folder / "annogate.toml").write_text(CONFIG)
        self.options = ["--config", str(folder / "annogate.toml"), "--data-dir", str(folder / "data")]
        self.settings = load_settings(folder / "annogate.toml", overrides={"storage": {"data_dir": folder / "data"}})
        with self.gateway() as gateway:
            gateway.prepare()
            for number in (1, 2):
                image = ct_slice(number, study_uid=STUDY, series_uid=SERIES)
                new = new_instance(image)
                gateway.blobs.put(new.blob.key, [b"\0" * new.blob.size])
                gateway.instances.add(new)

    def gateway(self) -> Gateway:
        return Gateway(self.settings)

    def calls(self, *words: str, answer: str = "") -> Result:
        return CliRunner().invoke(annogate, [*words, *self.options], input=answer)

    def told(self, *words: str) -> Any:
        answer = self.calls(*words, "--json")
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)

    def shown(self) -> int:
        with self.gateway() as gateway:
            return len(gateway.instances.instances_of("default", STUDY))


@pytest.fixture
def on_call(tmp_path: Path) -> OnCall:
    return OnCall(tmp_path)


def test_study_is_deleted_listed_and_restored(on_call: OnCall) -> None:
    made = on_call.told("study", "delete", STUDY, "--yes", "--reason", "asked for")
    assert (made["instances"], made["reason"], on_call.shown()) == (2, "asked for", 0)
    assert [row["id"] for row in on_call.told("study", "trash", "--state", "trashed")] == [made["id"]]
    assert "2 instances are shown again" in on_call.calls("study", "restore", STUDY).output
    assert on_call.shown() == 2
    with on_call.gateway() as gateway:
        actions = [row.action for row in gateway.audit.search(AuditQuery())]
    assert actions == ["deletion.restore", "deletion.delete"]


def test_deleted_study_is_not_found_by_what_the_hospital_calls_it(on_call: OnCall) -> None:
    with on_call.gateway() as gateway:
        assert len(gateway.look_up("default", LookupQuestion("ACC-99"), "ada")) == 1
        gateway.deletion_desk.delete("default", DeletedPlace(STUDY), "ada")
        assert gateway.look_up("default", LookupQuestion("ACC-99"), "ada") == []


def test_one_deletion_is_restored_by_its_number(on_call: OnCall) -> None:
    place = ("--series", SERIES, "--instance", f"{SERIES}.1")
    number = on_call.told("study", "delete", STUDY, *place, "--yes")["id"]
    assert on_call.shown() == 1
    assert isinstance(on_call.calls("study", "restore", "1.2.4", "--deletion", str(number)).exception, InstanceNotFound)
    assert on_call.calls("study", "restore", STUDY, "--deletion", str(number)).exit_code == 0
    again = on_call.calls("study", "restore", STUDY, "--deletion", str(number))
    assert isinstance(again.exception, DecisionRefused)
    assert on_call.shown() == 2


def test_nothing_is_deleted_without_a_yes(on_call: OnCall) -> None:
    assert on_call.calls("study", "delete", STUDY, answer="n\n").exit_code == 1
    assert on_call.shown() == 2
    assert on_call.calls("study", "delete", STUDY, answer="y\n").exit_code == 0
    assert on_call.shown() == 0
    assert "Nothing was deleted" in on_call.calls("study", "trash", "--state", "removed").output


@pytest.mark.parametrize(
    "words", [("delete", STUDY, "--instance", "1.2"), ("restore", STUDY, "--note", "1.2", "--deletion", "1")]
)
def test_options_that_do_not_fit_are_wrong_usage(on_call: OnCall, words: tuple[str, ...]) -> None:
    assert on_call.calls("study", *words).exit_code == 2


def test_jobs_remove_what_was_deleted_when_its_time_is_over(on_call: OnCall) -> None:
    on_call.told("study", "delete", STUDY, "--yes")
    with on_call.gateway() as gateway:
        assert gateway.final_removal.run() == 2
        (row,) = gateway.deletion_desk.page("default")
        assert (row.state, row.ended_by) == (DeletionState.REMOVED, "annogate")
        assert list(gateway.blobs.keys()) == []
        assert gateway.instances.study("default", STUDY) is None
        assert gateway.audit.search(AuditQuery())[0].action == "deletion.remove"


def test_removal_is_one_of_the_chores_of_the_jobs_role(on_call: OnCall) -> None:
    on_call.told("study", "delete", STUDY, "--yes")
    with on_call.gateway() as gateway:
        runner = gateway.outbox_runner()

        class OneRound:
            """Ends the runner when it has done its chores."""

            def wait(self, timeout: float | None) -> bool:
                runner.stop()
                return True

        runner.run(OneRound())
        assert gateway.deletion_desk.page("default")[0].state is DeletionState.REMOVED
