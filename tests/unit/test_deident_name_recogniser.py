"""A program that finds names: asked over pipes, ended when it fails, and never waited for twice."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner
from pydicom import dcmread

from service.cli.root import annogate
from service.deident.own_values import OwnValues
from service.deident.text_cleaning.cleaned_text import TextKind
from service.deident.text_cleaning.external_recogniser import FAILURES_IN_A_ROW, ExternalNameRecogniser, recogniser_of
from service.deident.text_cleaning.name_recogniser import NamesNotRecognised
from service.deident.text_cleaning.text_cleaner import TextCleaner
from service.errors import SettingsInvalid
from tests.datasets import as_file, ct_slice

FINDS_LEBER = """
import json, re, sys
for line in sys.stdin:
    text = json.loads(line)["text"]
    print(json.dumps({"names": [list(m.span()) for m in re.finditer("Leber", text)]}), flush=True)
"""
COUNTS_ITSELF = """
import json, os, sys
for line in sys.stdin:
    print(json.dumps({"names": [[0, os.getpid() % 7 + 1]]}), flush=True)
"""
NOBODY = OwnValues((), ())


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_what_the_program_finds_goes(repository):
    with ExternalNameRecogniser(python(FINDS_LEBER), timeout_s=30) as recogniser:
        cleaner = TextCleaner.load(repository / "config" / "text", recogniser)
        cleaned = cleaner.clean("CT Leber nativ", NOBODY, TextKind.DESCRIPTOR)
    assert cleaned.text == "CT nativ"
    assert cleaned.taken == (("recognised name", 1),)


@pytest.mark.parametrize(
    "text",
    ["Leber", "vor \N{GRINNING FACE} Leber", "x\nLeber", "Leber" * 20_000],
    ids=["alone", "beyond the basic plane", "second line", "longer than a pipe"],
)
def test_names_stand_where_the_program_says(text):
    with ExternalNameRecogniser(python(FINDS_LEBER), timeout_s=30) as recogniser:
        for _ in range(2):
            names = recogniser.names_in(text)
            assert len(names) == text.count("Leber")
            assert {text[start:end] for start, end in names} == {"Leber"}


def test_the_program_is_started_once():
    with ExternalNameRecogniser(python(COUNTS_ITSELF), timeout_s=30) as recogniser:
        assert len({tuple(recogniser.names_in("long enough")) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    "script",
    [
        "",
        "input(); print('no json', flush=True); input()",
        "input(); print('{}', flush=True); input()",
        "input(); print('{\"names\": [[0, 99]]}', flush=True); input()",
        "input(); print('{\"names\": [[1, 1]]}', flush=True); input()",
        "input(); print('{\"names\": [[0.5, 1]]}', flush=True); input()",
        "input(); print('[' * 200_000, flush=True); input()",
        "import sys; input(); sys.stdout.write('x' * 5_000_000); input()",
    ],
)
def test_what_is_no_answer_takes_the_whole_text(repository, script):
    with ExternalNameRecogniser(python(script), timeout_s=30) as recogniser:
        cleaner = TextCleaner.load(repository / "config" / "text", recogniser)
        cleaned = cleaner.clean("CT Thorax", NOBODY, TextKind.DESCRIPTOR)
    assert cleaned.text is None
    assert "recogniser" in cleaned.reason


def test_a_program_that_is_late_is_ended():
    with (
        ExternalNameRecogniser(python("import time; time.sleep(600)"), timeout_s=0.2) as recogniser,
        pytest.raises(NamesNotRecognised, match="TimeoutError"),
    ):
        recogniser.names_in("text")


def test_a_program_that_is_not_there_is_an_answer_in_words(tmp_path):
    recogniser = ExternalNameRecogniser([str(tmp_path / "nothing")], timeout_s=1)
    with pytest.raises(NamesNotRecognised, match="FileNotFoundError"):
        recogniser.names_in("text")


def test_a_program_that_keeps_failing_is_left_alone_for_a_while(tmp_path):
    now = [0.0]
    recogniser = ExternalNameRecogniser([str(tmp_path / "nothing")], 1, pause_s=60, clock=lambda: now[0])
    for _ in range(FAILURES_IN_A_ROW):
        with pytest.raises(NamesNotRecognised, match="FileNotFoundError"):
            recogniser.names_in("text")
    with pytest.raises(NamesNotRecognised, match="left alone"):
        recogniser.names_in("text")
    now[0] = 61.0
    with pytest.raises(NamesNotRecognised, match="FileNotFoundError"):
        recogniser.names_in("text")


def test_a_text_is_asked_again_after_a_failure(repository, tmp_path):
    marker = tmp_path / "second"
    script = f"""
import pathlib, sys
marker = pathlib.Path({str(marker)!r})
input()
if not marker.exists():
    marker.touch()
    sys.exit(1)
print('{{"names": []}}', flush=True)
input()
"""
    with ExternalNameRecogniser(python(script), timeout_s=30) as recogniser:
        cleaner = TextCleaner.load(repository / "config" / "text", recogniser)
        texts = [cleaner.clean("CT Thorax", NOBODY, TextKind.DESCRIPTOR).text for _ in range(2)]
    assert texts == [None, "CT Thorax"]


def test_the_program_sees_no_secret_of_ours(monkeypatch):
    monkeypatch.setenv("ANNOGATE__DATABASE", "secret")
    script = """
import json, os
input()
print(json.dumps({"names": [[0, 1]] if any(key.startswith("ANNOGATE") for key in os.environ) else []}), flush=True)
input()
"""
    with ExternalNameRecogniser(python(script), timeout_s=30) as recogniser:
        assert recogniser.names_in("text") == []


def test_without_a_program_there_is_no_recogniser():
    assert recogniser_of((), 1) is None


def test_a_program_that_the_machine_lacks_is_refused_at_start(tmp_path):
    with pytest.raises(SettingsInvalid, match=r"text\.name_recogniser: there is no program"):
        recogniser_of((str(tmp_path / "nothing"),), 1)


def test_the_command_asks_the_program_that_the_settings_name(tmp_path):
    program = tmp_path / "finds-leber"
    program.write_text(f"#!{sys.executable}\n{FINDS_LEBER}")
    program.chmod(0o700)
    config = tmp_path / "annogate.toml"
    config.write_text(f'[text]\nname_recogniser = ["{program}"]\nname_recogniser_timeout_s = 30.0\n')
    image = ct_slice()
    image.StudyDescription = "CT Leber nativ"
    (tmp_path / "in.dcm").write_bytes(as_file(image))
    command = ["deid", str(tmp_path / "in.dcm"), "--out", str(tmp_path / "out"), "--config", str(config)]
    assert CliRunner().invoke(annogate, command, catch_exceptions=False).exit_code == 0
    (written,) = (tmp_path / "out").iterdir()
    assert dcmread(written).StudyDescription == "CT nativ"
