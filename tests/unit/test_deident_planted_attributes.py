"""Whatever the standard allows an object to say about a patient does not come out, and what may stay stays."""

from __future__ import annotations

import io
import shutil
from functools import cache
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.offline import FileStatus, deidentify_files
from service.deident.profile import Profile, load_profile
from tests.planted_files import FORMS, identity_in_file, planted_file
from tests.planted_identity import IDENTIFIER
from tests.planted_objects import Leaf, ObjectPlanter, PlantedObject, value_at
from tests.planted_values import ISSUER, Tokens
from tests.standard_attributes import TABLE

KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
SOP_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "US": "1.2.840.10008.5.1.4.1.1.3.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "SC": "1.2.840.10008.5.1.4.1.1.7",
    "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
    "SR": "1.2.840.10008.5.1.4.1.1.88.34",
    "RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3",
    "RTPLAN": "1.2.840.10008.5.1.4.1.1.481.5",
    "GSPS": "1.2.840.10008.5.1.4.1.1.11.1",
    "KO": "1.2.840.10008.5.1.4.1.1.88.59",
    "PDF": "1.2.840.10008.5.1.4.1.1.104.1",
    "ECG": "1.2.840.10008.5.1.4.1.1.9.1.1",
}
WITHOUT_PIXELS = {"SR", "RTSTRUCT", "RTPLAN", "GSPS", "KO", "PDF", "ECG"}
PROFILES = sorted(path.stem for path in TABLE.parent.glob("*.toml"))
TO_THE_LETTER = {"strict"}
"""Profiles that keep neither references nor texts that the table does not name, and refuse documents."""
CASES = [
    (kind, profile, list(FORMS)[(number + turn) % len(FORMS)])
    for turn, profile in enumerate(PROFILES)
    for number, kind in enumerate(SOP_CLASSES)
    if not (profile in TO_THE_LETTER and kind == "PDF")
]
"""Every SOP class under every profile; the transfer syntaxes take turns."""
TURNS = [case for number, case in enumerate(CASES) if number % 3 == 0]
"""Every SOP class, every profile, every transfer syntax, but not each with each: what is searched for is the same."""


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@cache
def profile_named(name: str) -> Profile:
    return load_profile(TABLE.parent, name)


@cache
def cleaner_of(name: str) -> Deidentifier:
    return Deidentifier(profile_named(name), KEYS)


def fresh_tokens(cleaner: Deidentifier) -> Tokens:
    """Tokens whose dates do not become one another by this patient's shift."""
    shift = cleaner.shift_days(IDENTIFIER, ISSUER)
    return Tokens(step_days=next(step for step in range(2, 20) if not shift or shift % step))


def plant(kind: str, form: str, profile: str, tokens: Tokens, *, repeat_patient: bool = False) -> PlantedObject:
    planter = ObjectPlanter(
        SOP_CLASSES[kind],
        FORMS[form].encoder,
        profile_named(profile).options,
        tokens,
        to_the_letter=profile in TO_THE_LETTER,
        repeat_patient=repeat_patient,
    )
    return planter.make()


def cleaned(content: bytes, cleaner: Deidentifier, folder: Path) -> tuple[bytes, Dataset]:
    """What is written in the place of a file."""
    source = folder / "in.dcm"
    source.write_bytes(content)
    (result,) = deidentify_files([source], cleaner, folder / "out")
    assert (result.status, result.reason) == (FileStatus.WRITTEN, "")
    assert result.written is not None
    written = result.written.read_bytes()
    return written, dcmread(io.BytesIO(written))


def padded(leaf: Leaf) -> bytes:
    """The planted value, of an even length (PS3.5 6.2)."""
    return leaf.value if len(leaf.value) % 2 == 0 else leaf.value + (b"\0" if leaf.vr in ("UI", "OB", "UN") else b" ")


@pytest.mark.parametrize(("kind", "profile", "form"), CASES)
def test_no_token_survives_and_what_may_stay_does(tmp_path, kind, profile, form):
    cleaner = cleaner_of(profile)
    tokens = fresh_tokens(cleaner)
    planted = plant(kind, form, profile, tokens)
    content = planted_file(planted, FORMS[form], pixels=kind not in WITHOUT_PIXELS)
    assert len(tokens.left_in(content)) > 300 or FORMS[form].deflated
    written, after = cleaned(content, cleaner, tmp_path)
    assert identity_in_file(written, after, tokens) == []
    after = dcmread(io.BytesIO(written))  # anew: as it was encoded
    assert [leaf for leaf in planted.going() if value_at(after, leaf.path) == padded(leaf)] == []
    staying = list(planted.staying())
    changed = [leaf for leaf in staying if value_at(after, leaf.path) != padded(leaf)]
    assert len(staying) > 100
    assert len(changed) <= len(staying) / 1000, changed


@pytest.mark.parametrize(("kind", "profile", "form"), TURNS)
def test_no_element_that_stays_repeats_the_patient(tmp_path, kind, profile, form):
    cleaner = cleaner_of(profile)
    tokens = fresh_tokens(cleaner)
    planted = plant(kind, form, profile, tokens, repeat_patient=True)
    content = planted_file(planted, FORMS[form], pixels=kind not in WITHOUT_PIXELS)
    written, after = cleaned(content, cleaner, tmp_path)
    assert identity_in_file(written, after, tokens) == []


def test_each_class_profile_and_form_takes_its_turn():
    assert [set(column) for column in zip(*TURNS, strict=True)] == [set(SOP_CLASSES), set(PROFILES), set(FORMS)]


def test_documents_are_refused_to_the_letter(tmp_path):
    cleaner = cleaner_of("strict")
    planted = plant("PDF", "explicit", "strict", fresh_tokens(cleaner))
    source = tmp_path / "in.dcm"
    source.write_bytes(planted_file(planted, FORMS["explicit"], pixels=False))
    (result,) = deidentify_files([source], cleaner, tmp_path / "out")
    assert result.status is FileStatus.REFUSED
    assert "document" in result.reason


def with_a_hole(folder: Path, keyword: str) -> Path:
    """The profiles and tables again, in which Table E.1-1 says nothing about one attribute."""
    copy = Path(shutil.copytree(TABLE.parent, folder / "profiles"))
    lines = (copy / TABLE.name).read_text(encoding="utf-8").splitlines(keepends=True)
    left = [line for line in lines if line.split(",")[1:2] != [keyword]]
    assert len(left) == len(lines) - 1
    (copy / TABLE.name).write_text("".join(left), encoding="utf-8")
    return copy


def survivors(profile: Profile, folder: Path) -> list[str]:
    """Where tokens survive that the standard's table wants gone under no option at all."""
    cleaner = Deidentifier(profile, KEYS)
    tokens = fresh_tokens(cleaner)
    planted = plant("CT", "explicit", "basic", tokens)
    written, after = cleaned(planted_file(planted, FORMS["explicit"], pixels=True), cleaner, folder)
    return identity_in_file(written, after, tokens)


@pytest.mark.parametrize(
    "keyword", ["StationName", "InstitutionAddress", "ProtocolName", "ImageComments", "PatientComments"]
)
def test_a_profile_with_a_hole_is_found_out(tmp_path, keyword):
    left = survivors(load_profile(with_a_hole(tmp_path, keyword), "basic"), tmp_path)
    assert left
    assert all(f" {keyword} " in place for place in left)


def test_a_profile_that_keeps_more_than_it_says_is_found_out(tmp_path):
    copy = Path(shutil.copytree(TABLE.parent, tmp_path / "profiles"))
    text = (copy / "basic.toml").read_text(encoding="utf-8")
    option = "retain_institution_identity = false"
    assert text.count(option) == 1
    (copy / "basic.toml").write_text(text.replace(option, option.replace("false", "true")), encoding="utf-8")
    left = survivors(load_profile(copy, "basic"), tmp_path)
    assert any("InstitutionName" in place for place in left)


def test_the_untouched_profile_has_no_hole(tmp_path):
    assert survivors(profile_named("basic"), tmp_path) == []


def test_every_form_of_a_token_is_found_again():
    tokens = Tokens()
    vrs = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "OB", "PN", "SH", "TM", "UC", "UI", "UN", "UR", "UT")
    content = b"\0".join(tokens.value(vr, f"at {vr}") or b"" for vr in vrs)
    assert {place.split()[1] for place in tokens.left_in(content)} == {*vrs, "group"}
    assert tokens.left_in(content.decode("utf-8").encode("utf-16-le"))
    assert tokens.left_in(b"nothing planted") == []
