"""``annogate index add``, ``list`` and ``remove``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.bootstrap import Gateway
from service.cli.root import annogate
from service.errors import BadRequest
from service.settings import load_settings
from tests.archived import new_instance


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    folder: Path = tmp_path_factory.mktemp("data")
    settings = load_settings(environ={}, overrides={"storage": {"data_dir": str(folder)}})
    with Gateway(settings) as gateway:
        gateway.prepare()
        gateway.instances.add(new_instance())

    def run(*words: str) -> Result:
        return CliRunner().invoke(annogate, ["index", *words, "--data-dir", str(folder)])

    return run


def test_attribute_is_added_listed_and_removed(run: Callable[..., Result]) -> None:
    added = run("add", "KVP", "--level", "study")
    assert (added.exit_code, added.stdout) == (0, "KVP can be searched at the level of the study and below\n")
    (told,) = json.loads(run("list", "--json").stdout)
    assert (told["attribute"], told["level"], told["held_at"], told["state"]) == ("KVP", "study", "instance", "ready")
    assert run("list").stdout.splitlines()[1].startswith("KVP\tstudy\tinstance\tready\t")
    assert run("remove", "00180060").stdout == "KVP is searched no more\n"
    assert run("list").stdout == "Made searchable: None.\n"


@pytest.mark.parametrize("words", [("add", "Nonsense"), ("add", "PatientID"), ("remove", "KVP")])
def test_what_cannot_be_done_is_said_in_words(run: Callable[..., Result], words: tuple[str, str]) -> None:
    assert isinstance(run(*words).exception, BadRequest)
