"""``annogate check`` says by what each project de-identifies."""

from __future__ import annotations

from service.bootstrap import Gateway
from service.cli.check import Finding, profiles_in_use
from service.settings import load_settings


def said(tmp_path, **projects: str) -> dict[str, Finding]:
    overrides = {
        "storage": {"data_dir": str(tmp_path), "disk_reserve_gib": 0},
        "projects": {name: {"ae_titles": [name.upper()], "deidentify": use} for name, use in projects.items()},
    }
    with Gateway(load_settings(environ={}, overrides=overrides)) as gateway:
        return {finding.what: finding for finding in profiles_in_use(gateway)}


def test_the_profile_and_the_edition_of_the_table_are_told(tmp_path):
    finding = said(tmp_path, default="strict")["projects.default.deidentify"]
    assert finding.level == "ok"
    assert finding.words.startswith("strict: Basic profile to the letter")
    assert "Table E.1-1, edition January 2025" in finding.words


def test_a_profile_that_is_none_is_an_error(tmp_path):
    finding = said(tmp_path, default="stricter")["projects.default.deidentify"]
    assert (finding.level, finding.words[:28]) == ("error", "there is no profile 'stricte")


def test_a_project_that_keeps_objects_as_they_come_says_so(tmp_path):
    finding = said(tmp_path, default="default", clinic="none")["projects.clinic.deidentify"]
    assert finding == Finding("ok", "projects.clinic.deidentify", "objects are kept as they come")
