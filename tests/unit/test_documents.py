"""What the documents list is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from service import __version__
from service.cli.root import COMMANDS, annogate
from service.errors import GatewayError


def test_newest_release_of_the_changelog_is_the_version(repository: Path) -> None:
    headings = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (repository / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__


def test_every_link_of_the_documents_leads_somewhere(repository: Path) -> None:
    missing = [
        f"{page.name}: {target}"
        for page in [repository / "README.md", *(repository / "docs").glob("*.md")]
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text())
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_takes_a_configuration(name: str) -> None:
    shown = CliRunner().invoke(annogate, [name, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_changelog_names_every_command(repository: Path) -> None:
    text = (repository / "CHANGELOG.md").read_text()
    assert [name for name in COMMANDS if f"`{name}`" not in text and f"`annogate {name}`" not in text] == []


def test_wrong_usage_ends_with_2() -> None:
    assert CliRunner().invoke(annogate, ["serve", "--no-such-option"]).exit_code == 2
    assert CliRunner().invoke(annogate, ["no-such-command"]).exit_code == 2


def test_documented_dimse_statuses_are_those_of_the_error_tree(repository: Path) -> None:
    import service.errors  # noqa: F401 (fills the tree)

    def tree(error: type[GatewayError]) -> set[int]:
        return {error.dimse_status}.union(*(tree(below) for below in error.__subclasses__()))

    page = (repository / "docs" / "operations.md").read_text()
    documented = {int(status, 16) for status in re.findall(r"^\| ([0-9A-F]{4}) \|", page, re.MULTILINE)} - {0}
    assert documented <= tree(GatewayError)
    assert documented == {0x0122, 0x0124, 0xA700, 0xA900, 0xC001}


def test_image_of_the_readme_is_there(repository: Path) -> None:
    assert (repository / "docs" / "images" / "ohif.png").stat().st_size > 10_000
