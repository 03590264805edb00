"""The gateway shows what its groups hold, and a part that is replaced there reaches whoever is handed it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pytest

from service.archive.database import Database
from service.archive.projects import ProjectTable
from service.bootstrap import Gateway
from service.bootstrap.shown_part import ShownPart
from service.bootstrap.web_edge import UNPACKED_VIEWER
from service.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
SHOWN = sorted(name for name, part in vars(Gateway).items() if isinstance(part, ShownPart))


def gateway(tmp_path: Path) -> Gateway:
    overrides = {"storage": {"data_dir": str(tmp_path / "data"), "disk_reserve_gib": 0}}
    return Gateway(load_settings(environ={}, overrides=overrides))


@pytest.mark.parametrize("name", SHOWN)
def test_shown_part_is_made_by_its_group(tmp_path: Path, name: str) -> None:
    with gateway(tmp_path) as made:
        group = type(getattr(made, vars(Gateway)[name].group))
    assert isinstance(vars(group).get(name), cached_property)


def test_part_is_made_once(tmp_path: Path) -> None:
    with gateway(tmp_path) as made:
        made.prepare()
        assert made.project_table is made.project_table


def test_replaced_part_reaches_whoever_is_handed_it(tmp_path: Path) -> None:
    with gateway(tmp_path) as made, Database.open(tmp_path / "other.sqlite") as other:
        made.database = other
        made.project_table.register("elsewhere", b"fingerprint")
        assert ProjectTable(other, made.clock).names() == ["elsewhere"]
        assert not made.directory.index.exists()


def test_unpacked_viewer_lies_beside_the_code() -> None:
    assert ROOT / "viewer" / "dist" == UNPACKED_VIEWER
