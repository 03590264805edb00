"""What commands make of the configuration that they are given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli.root import COMMANDS, annogate
from service.errors import SettingsInvalid
from service.runtime.roles import RoleContext, run_prepare
from service.settings import load_settings

DELIVERING = """
[projects.default]
deliver_to = ["pacs"]
approve = "automatic"
allow_demonstrator = true
[peers.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = 1
"""


def configured(folder: Path, text: str) -> Path:
    file = folder / "annogate.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DELIVERING, "results leave for pacs by themselves"),
        (DELIVERING.replace("automatic", "person"), "results leave for pacs when a person releases them"),
        ("", "results stay in the gateway"),
    ],
)
def test_check_says_where_results_go(tmp_path: Path, text: str, words: str) -> None:
    config = configured(tmp_path, text)
    command = ["check", "--json", "--config", config, "--data-dir", tmp_path / "data"]
    answer = subprocess.run([sys.executable, "-m", "service.cli", *command], capture_output=True, check=False)
    found = {finding["what"]: finding for finding in json.loads(answer.stdout)}
    assert (found["projects.default.deliver_to"]["level"], found["projects.default.deliver_to"]["words"]) == (
        "ok",
        words,
    )


def test_every_fault_of_a_project_is_told(tmp_path: Path) -> None:
    config = configured(tmp_path, '[projects.default]\ndeidentify = "nah"\nannotators = ["nothing"]\n')
    settings = load_settings(config, overrides={"storage": {"data_dir": tmp_path / "data"}})
    with pytest.raises(SettingsInvalid, match=r"(?s)no profile 'nah'.*there is no nothing\.toml"):
        run_prepare(RoleContext(settings, lambda: None))


@pytest.mark.parametrize("command", [["demo", "--once"], ["validate", __file__]])
def test_wrong_configuration_is_refused_even_where_little_of_it_is_used(tmp_path: Path, command: list[str]) -> None:
    config = configured(tmp_path, "[dicom]\nport = 70000\n")
    answer = CliRunner().invoke(annogate, [*command, "--config", str(config)])
    assert isinstance(answer.exception, SettingsInvalid)
    assert "dicom.port" in str(answer.exception)


GROUPS = (
    *("annotations", "audit", "export", "import", "index", "outbox", "quarantine", "study", "token", "user"),
    "vault",
)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in COMMANDS
        if name
        not in (
            "study",
            "quarantine",
            "outbox",
            "index",
            "user",
            "token",
            "audit",
            "vault",
            "import",
            "export",
            "annotations",
        )
    ],
)
def test_help_of_every_command_names_the_configuration(name: str) -> None:
    assert "--config" in CliRunner().invoke(annogate, [name, "--help"]).stdout


@pytest.mark.parametrize("kind", [["user", "add", "ada"], ["token", "add", "ci"]])
def test_account_for_a_project_that_there_is_not_is_refused(tmp_path: Path, kind: list[str]) -> None:
    command = [*kind, "--role", "reader", "--project", "defualt", "--data-dir", str(tmp_path / "data")]
    answer = CliRunner().invoke(annogate, command, input="a password of its own\n")
    assert isinstance(answer.exception, SettingsInvalid)
    assert "there is no project 'defualt' (there are: default)" in str(answer.exception)
