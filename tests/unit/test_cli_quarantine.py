"""What the command line tells of an object in quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.bootstrap import Gateway
from service.cli.root import annogate
from service.core.records import Incoming
from service.deident.pixels.pixel_outcome import Region
from service.ingest.pixel_case import PixelCase, PixelsFound
from service.settings import load_settings
from tests.datasets import ct_slice, encode

CASE = PixelCase(16, 16, 3, (Region(1, 2, 3, 4), Region(5, 6, 7, 8, frame=2)))


@pytest.fixture
def held(tmp_path: Path) -> str:
    settings = load_settings(environ={}, overrides={"storage": {"data_dir": str(tmp_path)}})
    incoming = Incoming(
        "default", "", "", "1.2.840.10008.1.2.1", encode(ct_slice()), "dimse", "SCANNER", "127.0.0.1", 1.7e9
    )
    with Gateway(settings) as gateway:
        gateway.prepare()
        return gateway.quarantine.hold(incoming, PixelsFound("Text is left after blackening", CASE))


@pytest.fixture
def show(tmp_path: Path, held: str) -> Callable[..., str]:
    def show(*options: str) -> str:
        shown = CliRunner().invoke(annogate, ["quarantine", "show", held, "--data-dir", str(tmp_path), *options])
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    return show


def test_show_says_where_something_was_found(show: Callable[..., str]) -> None:
    lines = show().splitlines()
    assert lines[-3:] == ["x\ty\twidth\theight\tframe\tfound as", "1\t2\t3\t4\tall\ttext", "5\t6\t7\t8\t2\ttext"]


def test_show_says_it_to_scripts(show: Callable[..., str]) -> None:
    told = json.loads(show("--json"))
    assert (told["reason"], told["frames"]) == ("Text is left after blackening", 3)
    assert told["regions"][1] == {"x": 5, "y": 6, "width": 7, "height": 8, "frame": 2, "origin": "text"}


def test_show_tells_nothing_of_the_patient(show: Callable[..., str]) -> None:
    assert "Doe" not in show() + show("--json")
