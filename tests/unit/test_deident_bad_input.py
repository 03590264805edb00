"""Bad input is cleaned, or refused with a reason in words; memory and time stay bounded."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from service.core.pydicom_reading import read_leniently
from service.core.records import OutcomeKind
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.offline import FileStatus, deidentify_files
from service.deident.profile import load_profile
from tests.bad_objects import CLEANED, REFUSED, SECRET, bomb, deflated, file_lead, write_huge
from tests.ingest_house import IngestHouse
from tests.patience import PATIENCE_S
from tests.planted_files import own_values_in
from tests.standard_attributes import TABLE

EXPLICIT, DEFLATED = str(ExplicitVRLittleEndian), str(DeflatedExplicitVRLittleEndian)
IDENTITY = re.compile(r"(?i)Tk00001q|Zyxwvutsrq|Quonkelbert|XQ-?778899")


@pytest.fixture(autouse=True)
def _lenient_reading():
    read_leniently()  # for each test: pytest sets the filters for warnings anew


@pytest.fixture(scope="module")
def cleaner():
    return Deidentifier(load_profile(TABLE.parent, "default"), KeyFile.ephemeral().project_keys("p"))


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def left_in(content: bytes) -> list[str]:
    return own_values_in(content) + ([SECRET.decode()] if SECRET.lower() in content.lower() else [])


def as_file(folder: Path, content: bytes, transfer_syntax_uid: str = EXPLICIT) -> Path:
    path = folder / "in.dcm"
    path.write_bytes(file_lead(transfer_syntax_uid.encode()) + content)
    return path


@pytest.mark.parametrize("name", CLEANED)
def test_a_bad_file_is_cleaned(cleaner, tmp_path, name):
    (result,) = deidentify_files([as_file(tmp_path, CLEANED[name]())], cleaner, tmp_path / "out")
    assert (result.status, result.reason) == (FileStatus.WRITTEN, "")
    assert left_in(result.written.read_bytes()) == []


@pytest.mark.parametrize("name", CLEANED)
def test_a_bad_object_is_archived_clean(house, name):
    outcome = house.pipeline.process(house.incoming(CLEANED[name](), "research"))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.ARCHIVED, "")
    kept = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())
    assert left_in(kept) == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_worse_file_is_refused_in_words(cleaner, tmp_path, name):
    make, reason = REFUSED[name]
    (result,) = deidentify_files([as_file(tmp_path, make())], cleaner, tmp_path / "out")
    assert result.status is FileStatus.REFUSED
    assert re.search(reason, result.reason), result.reason
    assert not IDENTITY.search(result.reason)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_worse_object_is_in_quarantine_in_words(house, name):
    make, reason = REFUSED[name]
    outcome = house.pipeline.process(house.incoming(make(), "research"))
    assert outcome.kind is OutcomeKind.QUARANTINED
    assert re.search(reason, outcome.reason), outcome.reason
    assert not IDENTITY.search(outcome.reason)
    assert house.index.count() == 0
    assert left_in(b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())) == []


@pytest.mark.parametrize("name", CLEANED)
def test_a_bad_deflated_file_is_cleaned(cleaner, tmp_path, name):
    path = as_file(tmp_path, deflated(CLEANED[name]()), DEFLATED)
    (result,) = deidentify_files([path], cleaner, tmp_path / "out")
    assert (result.status, result.reason) == (FileStatus.WRITTEN, "")


def apart(how: str, path: Path, folder: Path, limit_mib: int, transfer_syntax_uid: str = EXPLICIT) -> dict[str, object]:
    """What a process of its own says, whose memory is limited; it must end by itself, and in time."""
    command = [sys.executable, "-m", "tests.bad_input_process", how, str(path), str(folder), str(limit_mib)]
    run = subprocess.run(
        [*command, transfer_syntax_uid],
        capture_output=True,
        timeout=PATIENCE_S,
        text=True,
        cwd=TABLE.parents[2],
        check=False,
    )
    assert run.returncode == 0, run.stderr[-500:]
    assert not IDENTITY.search(run.stdout + run.stderr)
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("how", ["file", "object"])
def test_a_deflated_bomb_is_refused(tmp_path, how):
    content = bomb(3 << 30)
    assert len(content) < 4 << 20
    path = tmp_path / "in"
    path.write_bytes((file_lead(DEFLATED.encode()) if how == "file" else b"") + content)
    said = apart(how, path, tmp_path, 1500, DEFLATED)
    assert said["status"] in ("refused", "quarantined")
    assert re.search("(?i)larger|more than", str(said["reason"])), said


@pytest.mark.parametrize(
    ("how", "tag", "vr", "size"),
    [
        ("file", 0x0040A160, "UT", 200 << 20),
        ("object", 0x0040A160, "UT", 200 << 20),  # quarantine seals every byte: this much shows what more would
        ("file", 0x00420011, "OB", 1 << 30),
        ("file", 0x7FDF1001, "UN", 1 << 30),
    ],
    ids=["200 MB of text", "200 MB of text, received", "1 GB of bytes", "1 GB of private bytes"],
)
def test_a_huge_element_takes_little_memory(tmp_path, how, tag, vr, size):
    path = tmp_path / "in"
    write_huge(path, file_lead(EXPLICIT.encode()) if how == "file" else b"", tag, vr, size)
    said = apart(how, path, tmp_path, 1500)
    assert said["status"] in ("refused", "quarantined", "written", "archived")
    if said["status"] in ("refused", "quarantined"):
        assert re.search("[a-z]{3,} [a-z]{2,}", str(said["reason"])), said
    assert int(str(said["peak_mib"])) < 600, said
