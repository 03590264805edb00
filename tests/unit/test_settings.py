"""The configuration is read once, completely, and refused in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import SettingsInvalid
from service.settings import Section, Settings, load_settings


def load(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "annogate.toml"
    file.write_text(text)
    return load_settings(file, environ=environ)


def settings_of(section: Section, place: str = "") -> Iterator[str]:
    """Each setting of a section and of those in it, by its place; those by name of project, caller or peer left out."""
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from settings_of(value, f"{place}{key}.")
        elif not isinstance(value, dict):
            yield f"{place}{key}"


def test_without_a_file_the_defaults_of_the_contract_hold() -> None:
    settings = load_settings(environ={})
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert (settings.dicom.host, settings.dicom.port, settings.dicom.ae_title) == ("127.0.0.1", 11112, "ANNOGATE")
    assert list(settings.projects) == ["default"]
    assert settings.projects["default"].ae_titles == ("ANNOGATE",)


def test_example_shows_every_setting_with_its_default(repository: Path) -> None:
    text = (repository / "config" / "annogate.toml").read_text()
    assert load_settings(repository / "config" / "annogate.toml", environ={}) == load_settings(environ={})
    for place in settings_of(Settings()):
        section, _, key = place.rpartition(".")
        of_section = re.search(rf"^\[{re.escape(section)}\]([^\n]*\n)*?(?=^\[|\Z)", text, re.MULTILINE)
        assert of_section, f"[{section}] is not in the example"
        assert re.search(rf"^(# )?{key} = ", of_section[0], re.MULTILINE), f"{place} is not in the example"


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, "[dicom]\nport = 104\n", ANNOGATE__DICOM__PORT="11113")
    assert settings.dicom.port == 11113


def test_environment_reaches_into_a_project(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[projects.trial]\nae_titles = ['TRIAL']\n",
        ANNOGATE__PROJECTS__TRIAL__STUDY_QUIET_S="5",
        ANNOGATE__PROJECTS__TRIAL__ANNOTATORS='["lungs", "nodules"]',
    )
    assert settings.projects["trial"].study_quiet_s == 5
    assert settings.projects["trial"].annotators == ("lungs", "nodules")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[dicom]\nport = 70000\n", "dicom.port: 70000 is not a TCP port (1–65535)"),
        ("[dicom]\nprot = 104\n", "dicom.prot: there is no such setting"),
        ("[dicom]\nae_title = 'MUCH_TOO_LONG_A_TITLE'\n", "dicom.ae_title: 'MUCH_TOO_LONG_A_TITLE' is not an AE title"),
        ("[projects.default]\ndeliver_to = ['pacs']\n", "projects.default.deliver_to: there is no peer 'pacs'"),
        ("[projects.a]\nae_titles=['X']\n[projects.b]\nae_titles=['X']\n", "projects.b.ae_titles: X is taken"),
        ("[projects.default]\napprove = 'nobody'\n", "projects.default.approve: Input should be 'person' or"),
        ("[callers.ct]\nae_title='CT'\naddresses=['here']\n", "'here' is not an IP address or network"),
        (
            "[storage]\nindex_url='mysql://db/annogate'\n",
            "storage.index_url: the index is SQLite's, in data_dir, or at",
        ),
        ("[dicom\n", "annogate.toml: "),
    ],
)
def test_wrong_setting_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsInvalid, match=re.escape(words)):
        load(tmp_path, text)


PEER = "[peers.pacs]\nae_title = 'PACS'\nhost = 'pacs'\nport = 104\n"


def test_peer_gets_segmentation_and_report_unless_told_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, PEER).peers["pacs"].objects == ("seg", "sr")
    assert load(tmp_path, PEER).peers["pacs"].further_kinds == ()
    more = load(tmp_path, f"{PEER}objects = ['seg', 'rtstruct']\ninstead = ['summary', 'gsps']\n")
    assert more.peers["pacs"].further_kinds == ("gsps", "rtstruct", "summary")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("objects = []", "peers.pacs: objects: nothing is left that the peer could get"),
        ("objects = ['sgps']", "peers.pacs.objects.0: Input should be 'seg', 'sr', 'gsps', 'key-object', 'rtstruct'"),
        ("instead = ['sr']", "peers.pacs: instead: sr cannot stand for what the peer does not take"),
        ("objects = ['gsps']\ninstead = ['gsps']", "instead: gsps cannot stand for"),
        (
            "protocol = 'dicomweb'\ndicomweb_url = 'https://pacs/dicom-web'\ninstead = ['gsps']",
            "over STOW-RS nothing is negotiated; say in objects what the peer gets",
        ),
    ],
)
def test_objects_that_make_no_sense_are_refused_in_words(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(SettingsInvalid, match=re.escape(words)):
        load(tmp_path, f"{PEER}{lines}\n")


def test_missing_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="No such file"):
        load_settings(tmp_path / "nowhere.toml", environ={})


def test_known_callers_make_unknown_ones_unwelcome(tmp_path: Path) -> None:
    assert not load_settings(environ={}).rejects_unknown_callers
    assert load(tmp_path, "[callers.ct]\nae_title = 'CT'\n").rejects_unknown_callers
