"""The coverage page says what the profiles do."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from service.deident.rules import Action
from tests.tool_module import tool_module


@pytest.fixture(scope="module")
def tool(repository: Path) -> ModuleType:
    return tool_module(repository, "make_deident_coverage")


@pytest.fixture(scope="module")
def made(tool: ModuleType, repository: Path) -> str:
    return str(tool.page(repository / "config" / "profiles"))


def test_page_is_what_the_profiles_make_of_it(made: str, repository: Path) -> None:
    held = (repository / "docs" / "deidentification-coverage.md").read_text(encoding="utf-8")
    changed = sorted(set(made.splitlines()) ^ set(held.splitlines()))
    assert changed == [], "run python tools/make_deident_coverage.py"
    assert made == held


def test_page_tells_of_every_profile_and_attribute(made: str, repository: Path) -> None:
    table = (repository / "config" / "profiles" / "ps3.15-e1.csv").read_text(encoding="utf-8")
    keywords = [line.split(",")[1] for line in table.splitlines() if line[:1] in "0123456789f" and "x" not in line[:8]]
    assert len(keywords) > 600
    assert [keyword for keyword in keywords if f"| {keyword} |" not in made] == []
    names = [path.stem for path in (repository / "config" / "profiles").glob("*.toml")]
    assert [name for name in names if f"| `{name}` |" not in made] == []


def test_no_profile_keeps_what_names_the_patient(made: str) -> None:
    (name,) = [line for line in made.splitlines() if "| PatientName |" in line]
    assert "kept" not in name
    assert name.count("pseudonym") == 5


def test_every_action_is_written_in_words(tool: ModuleType, made: str) -> None:
    assert all(tool.words(action) for action in Action)
    assert "Action." not in made
