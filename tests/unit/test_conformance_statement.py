"""The conformance statement says what the program's tables say."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from dicom_nodes.storage_classes import standard_storage_classes
from dicom_nodes.transfer_syntaxes import transfer_syntaxes
from service.core.search import SEARCH_KEYS
from tests.tool_module import tool_module


@pytest.fixture(scope="module")
def tool(repository: Path) -> ModuleType:
    return tool_module(repository, "make_conformance_statement")


@pytest.fixture(scope="module")
def made(tool: ModuleType) -> str:
    return str(tool.page())


def test_statement_is_what_the_tables_make_of_it(made: str, repository: Path) -> None:
    held = (repository / "docs" / "conformance-statement.md").read_text(encoding="utf-8")
    changed = sorted(set(made.splitlines()) ^ set(held.splitlines()))
    assert changed == [], "run python tools/make_conformance_statement.py"
    assert made == held


def test_statement_has_the_sections_of_ps3_2(made: str) -> None:
    assert re.findall(r"^## (\d+) ", made, re.MULTILINE) == [str(number) for number in range(1, 11)]


def test_statement_names_every_class_syntax_and_key(made: str) -> None:
    named = {*standard_storage_classes(), *transfer_syntaxes(), *(key.keyword for key in SEARCH_KEYS)}
    assert sorted(name for name in named if name not in made) == []


def test_statement_says_what_success_means_where_identity_is_removed(made: str) -> None:
    assert "success without a Warning Reason means" in " ".join(made.split())


def test_every_class_that_is_made_here_is_one_that_is_taken(tool: ModuleType) -> None:
    assert set(tool.CREATED) <= set(standard_storage_classes())


def test_every_row_of_a_table_has_its_columns(made: str) -> None:
    for block in re.findall(r"(?:^\|.*\|\n)+", made, re.MULTILINE):
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block.splitlines()[0]
