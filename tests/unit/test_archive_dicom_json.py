from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from service.archive.dicom_json import BASE, JsonWriter, pixel_vr

LONG_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def element_bytes(tag: int, vr: str, value: bytes) -> bytes:
    """One element in explicit VR little endian, as it stands."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HI", 0, len(value)) if vr in LONG_VRS else struct.pack("<H", len(value))) + value


def read(*elements: tuple[int, str, bytes], implicit: bool = False) -> Dataset:
    """A data set whose elements pydicom has not decoded yet."""
    if implicit:
        body = b"".join(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, _, value in elements)
    else:
        body = b"".join(element_bytes(*element) for element in elements)
    syntax = (ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian).encode()
    syntax += b"\0" * (len(syntax) % 2)
    meta = element_bytes(0x00020010, "UI", syntax)
    group = element_bytes(0x00020000, "UL", struct.pack("<I", len(meta)))
    return dcmread(BytesIO(b"\0" * 128 + b"DICM" + group + meta + body))


def written(data_set: Dataset, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(JsonWriter(**options).data_set(data_set).replace(BASE, "http://host"))
    return answer


def value_of(vr: str, value: bytes, tag: int = 0x00091001) -> Any:
    element = written(read((tag, vr, value)))[f"{tag:08X}"]
    assert element["vr"] == vr
    return element.get("Value")


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("AE", b" STORESCP ", ["STORESCP"]),
        ("AS", b"045Y", ["045Y"]),
        ("CS", b"ORIGINAL\\PRIMARY\\AXIAL ", ["ORIGINAL", "PRIMARY", "AXIAL"]),
        ("CS", b"ORIGINAL\\\\AXIAL", ["ORIGINAL", None, "AXIAL"]),
        ("DA", b"20240317", ["20240317"]),
        ("LO", b'say "no\\maybe" ', ['say "no', 'maybe"']),
        ("ST", b"one\\two\r\nthree ", ["one\\two\r\nthree"]),
        ("UT", b" kept \0", [" kept"]),
        ("UR", b"https://example.org/a\\b ", ["https://example.org/a\\b"]),
        ("UI", b"1.2.3\\1.2.4\0", ["1.2.3", "1.2.4"]),
        ("US", struct.pack("<3H", 1, 2, 65535), [1, 2, 65535]),
        ("SS", struct.pack("<h", -2), [-2]),
        ("UL", struct.pack("<L", 2**32 - 1), [2**32 - 1]),
        ("SL", struct.pack("<l", -(2**31)), [-(2**31)]),
        ("UV", struct.pack("<2Q", 2**53, 2**53 + 1), [2**53, "9007199254740993"]),
        ("SV", struct.pack("<q", -(2**63)), ["-9223372036854775808"]),
        ("FL", struct.pack("<f", 0.5), [0.5]),
        ("FD", struct.pack("<d", 0.1), [0.1]),
        ("FD", struct.pack("<3d", float("nan"), float("inf"), float("-inf")), ["NaN", "inf", "-inf"]),
        ("AT", struct.pack("<4H", 0x0018, 0x00FF, 0x7FE0, 0x0010), ["001800FF", "7FE00010"]),
        ("PN", b"Doe^Jane", [{"Alphabetic": "Doe^Jane"}]),
        ("PN", b"=\xa4^\xa5=x", [{"Ideographic": "¤^¥", "Phonetic": "x"}]),
        ("PN", b"A^B\\\\C", [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C"}]),
        ("IS", b"7\\ 42 ", [7, 42]),
        ("IS", b"+007", [7]),
        ("IS", b"1A", ["1A"]),
        ("DS", b"NaN ", ["NaN"]),
        ("DS", b"1e999 ", ["1e999"]),
        ("DS", b"1,5 ", ["1,5"]),
        ("DS", b"-", ["-"]),
        ("DS", b".", ["."]),
        ("DS", b"e5", ["e5"]),
        ("LO", b"\\", [None, None]),
    ],
)
def test_value_is_written_as_its_vr_asks(vr: str, value: bytes, expected: list[Any]) -> None:
    assert value_of(vr, value) == expected


@pytest.mark.parametrize(
    ("stored", "digits"),
    [
        (b"1.50", "1.50"),
        (b"+1.5", "1.5"),
        (b".5", "0.5"),
        (b"-.50", "-0.50"),
        (b"5.", "5"),
        (b"007.10", "7.10"),
        (b"-0", "-0"),
        (b"1.E5", "1e5"),
        (b" 2.5e-3 ", "2.5e-3"),
        (b"0.333333333333333", "0.333333333333333"),
    ],
)
def test_decimal_string_keeps_its_digits(stored: bytes, digits: str) -> None:
    text = JsonWriter().data_set(read((0x00091001, "DS", stored)))
    assert text == f'{{"00091001":{{"vr":"DS","Value":[{digits}]}}}}'


@pytest.mark.parametrize(
    "vr", ["AE", "AT", "CS", "DS", "FD", "IS", "LO", "OB", "OW", "PN", "SQ", "ST", "UI", "UN", "US"]
)
def test_empty_element_has_a_vr_only(vr: str) -> None:
    assert written(read((0x00091001, vr, b"")))["00091001"] == {"vr": vr}


@pytest.mark.parametrize("vr", ["CS", "DS", "IS", "LO", "PN", "ST", "UI"])
def test_padding_alone_is_empty(vr: str) -> None:
    assert written(read((0x00091001, vr, b"  ")))["00091001"] == {"vr": vr}


def test_elements_stand_by_ascending_tag_in_upper_case() -> None:
    data_set = Dataset()
    data_set.PixelSpacing = [1, 1]
    data_set.Modality = "CT"
    data_set.ImageComments = "x"
    data_set.add_new(0x00191ABC, "LO", "y")
    assert list(written(data_set)) == ["00080060", "00191ABC", "00204000", "00280030"]


def test_group_lengths_and_file_meta_are_left_out() -> None:
    data_set = read((0x00080000, "UL", b"\1\0\0\0"), (0x00080060, "CS", b"CT"))
    data_set.add_new(0x00020010, "UI", "1.2.840.10008.1.2.1")
    assert list(written(data_set)) == ["00080060"]


@pytest.mark.parametrize(
    ("character_set", "encoded"),
    [
        (b"ISO_IR 100", "Buc^Jérôme".encode("latin-1")),
        (b"ISO_IR 144", "Люкceмбypг".encode("iso8859_5")),
        (b"ISO_IR 192", "Wang^XiaoDong=王^小東".encode()),
        (b"GB18030 ", "Wang^XiaoDong=王^小東".encode("gb18030")),
        (b"GBK ", "誠\\乗".encode("gbk")),
        (b"\\ISO 2022 IR 87 ", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
        (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"),
    ],
)
def test_text_is_utf_8_whatever_the_character_set(character_set: bytes, encoded: bytes) -> None:
    data_set = read((0x00080005, "CS", character_set), (0x00100010, "PN", encoded))
    answer = written(data_set)
    name = data_set.PatientName
    names = [str(one) for one in name] if data_set["PatientName"].VM > 1 else [str(name)]
    assert ["=".join(value.values()) for value in answer["00100010"]["Value"]] == names
    assert answer["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}


def test_backslash_byte_within_a_character_does_not_split_the_value() -> None:
    data_set = read((0x00080005, "CS", b"GB18030 "), (0x00081030, "LO", "乗".encode("gb18030") + b"\\x"))
    assert written(data_set)["00081030"]["Value"] == ["乗", "x"]


def test_header_without_a_character_set_gets_none() -> None:
    assert "00080005" not in written(read((0x00080060, "CS", b"CT")))


def test_undecodable_text_does_not_stop_the_rest() -> None:
    answer = written(
        read((0x00080005, "CS", b"ISO_IR 192"), (0x00081030, "LO", b"\xff\xfe"), (0x00180015, "CS", b"A "))
    )
    assert answer["00180015"]["Value"] == ["A"]


def test_nested_items_are_whole() -> None:
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning = "T-1", "Lung"
    outer = Dataset()
    outer.ConceptCodeSequence = Sequence([inner])
    data_set = Dataset()
    data_set.ContentSequence = Sequence([outer, Dataset()])
    item = {
        "0040A168": {
            "vr": "SQ",
            "Value": [{"00080100": {"vr": "SH", "Value": ["T-1"]}, "00080104": {"vr": "LO", "Value": ["Lung"]}}],
        }
    }
    assert written(data_set) == {"0040A730": {"vr": "SQ", "Value": [item, {}]}}


def test_long_per_frame_groups_are_never_cut() -> None:
    data_set = Dataset()
    frames = []
    for number in range(300):
        position = Dataset()
        position.ImagePositionPatient = [0, 0, number]
        frame = Dataset()
        frame.PlanePositionSequence = Sequence([position])
        frames.append(frame)
    data_set.PerFrameFunctionalGroupsSequence = Sequence(frames)
    answer = written(data_set, instance_path="/i")["52009230"]["Value"]
    assert [item["00209113"]["Value"][0]["00200032"]["Value"][2] for item in answer] == list(range(300))


# binary values


@pytest.mark.parametrize("vr", ["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
def test_short_binary_value_is_inline(vr: str) -> None:
    value = bytes(range(16))
    element = written(read((0x00091001, vr, value)), instance_path="/i")["00091001"]
    assert element == {"vr": vr, "InlineBinary": b64encode(value).decode()}


def test_long_binary_value_has_an_address() -> None:
    data_set = read((0x00420011, "OB", b"%PDF" * 300))
    element = written(data_set, instance_path="/studies/1")["00420011"]
    assert element == {"vr": "OB", "BulkDataURI": "http://host/studies/1/bulkdata/00420011"}


def test_threshold_is_the_longest_inline_value() -> None:
    data_set = read((0x00420011, "OB", b"x" * 100))
    assert "InlineBinary" in written(data_set, instance_path="/i", bulk_threshold=100)["00420011"]
    assert "BulkDataURI" in written(data_set, instance_path="/i", bulk_threshold=99)["00420011"]


def test_nested_binary_value_has_the_address_of_its_item() -> None:
    item = Dataset()
    item.add_new(0x00282000, "OB", b"\0" * 2000)
    data_set = Dataset()
    data_set.OpticalPathSequence = Sequence([Dataset(), item])
    second = written(data_set, instance_path="/i")["00480105"]["Value"][1]
    assert second["00282000"]["BulkDataURI"] == "http://host/i/bulkdata/00480105/1/00282000"


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009, 0x7FE00010])
def test_pixel_data_has_an_address_however_short(tag: int) -> None:
    vr = pixel_vr(tag, encapsulated=False, bits_allocated=16)
    element = written(read((tag, vr, b"\0" * 8)), instance_path="/i")[f"{tag:08X}"]
    assert element == {"vr": vr, "BulkDataURI": f"http://host/i/bulkdata/{tag:08X}"}


@pytest.mark.parametrize(
    ("tag", "encapsulated", "bits", "vr"),
    [
        (0x7FE00010, True, 16, "OB"),
        (0x7FE00010, False, 8, "OB"),
        (0x7FE00010, False, 16, "OW"),
        (0x7FE00010, False, None, "OW"),
        (0x7FE00008, False, 32, "OF"),
        (0x7FE00009, False, 64, "OD"),
    ],
)
def test_vr_of_absent_pixel_data_follows_its_form(tag: int, encapsulated: bool, bits: int | None, vr: str) -> None:
    assert pixel_vr(tag, encapsulated=encapsulated, bits_allocated=bits) == vr


def test_absent_pixel_data_stands_in_its_place() -> None:
    data_set = read((0x00080060, "CS", b"CT"), (0xFFFCFFFC, "OB", b"\0\0"))
    text = JsonWriter("/i").data_set(data_set, bulk={0x7FE00010: "OW"})
    assert list(json.loads(text.replace(BASE, ""))) == ["00080060", "7FE00010", "FFFCFFFC"]


# what pydicom decodes for us


def test_implicit_elements_get_the_dictionarys_vr() -> None:
    answer = written(read((0x00080060, "", b"CT"), (0x00280010, "", b"\0\2"), implicit=True))
    assert answer == {"00080060": {"vr": "CS", "Value": ["CT"]}, "00280010": {"vr": "US", "Value": [512]}}


@pytest.mark.parametrize(("representation", "expected"), [(0, ("US", 65535)), (1, ("SS", -1))])
def test_ambiguous_vr_follows_the_pixel_representation(representation: int, expected: tuple[str, int]) -> None:
    data_set = read((0x00280103, "", struct.pack("<H", representation)), (0x00280106, "", b"\xff\xff"), implicit=True)
    element = written(data_set)["00280106"]
    assert (element["vr"], element["Value"][0]) == expected


def test_known_element_in_un_gets_the_dictionarys_vr() -> None:
    assert written(read((0x00081030, "UN", b"Thorax")))["00081030"] == {"vr": "LO", "Value": ["Thorax"]}


def test_unknown_private_element_stays_un() -> None:
    element = written(read((0x00091001, "UN", b"\1\2")))["00091001"]
    assert element == {"vr": "UN", "InlineBinary": b64encode(b"\1\2").decode()}


@pytest.mark.parametrize("vr", ["US", "UL", "FD"])
def test_value_of_a_wrong_length_is_shown_as_it_is(vr: str) -> None:
    element = written(read((0x00091001, vr, b"\1\2\3")))["00091001"]
    assert element == {"vr": "UN", "InlineBinary": b64encode(b"\1\2\3").decode()}


def test_big_endian_values_are_written_in_little_endian() -> None:
    data_set = Dataset()
    data_set.Rows = 512
    data_set.RedPaletteColorLookupTableData = struct.pack("<2H", 1, 2)
    data_set["RedPaletteColorLookupTableData"].VR = "OW"
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = False, False
    swapped = Dataset()
    swapped.Rows = 512
    swapped.add_new(0x00281201, "OW", struct.pack(">2H", 1, 2))
    write_dataset(buffer, swapped)
    meta = element_bytes(0x00020010, "UI", ExplicitVRBigEndian.encode() + b"\0" * (len(ExplicitVRBigEndian) % 2))
    group = element_bytes(0x00020000, "UL", struct.pack("<I", len(meta)))
    raw = dcmread(BytesIO(b"\0" * 128 + b"DICM" + group + meta + buffer.getvalue()))
    answer = written(raw)
    assert answer["00280010"]["Value"] == [512]
    assert b64decode(answer["00281201"]["InlineBinary"]) == struct.pack("<2H", 1, 2)


# properties: decoded and undecoded elements are written alike


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\\\0\x1b", exclude_categories=["Cs"]), max_size=16)


@given(
    name=TEXT,
    description=st.lists(TEXT, min_size=1, max_size=4),
    numbers=st.lists(st.integers(0, 65535), max_size=5),
    floats=st.lists(st.floats(width=64), max_size=4),
    decimals=st.lists(st.decimals(-1000, 1000, places=3), max_size=4),
    binary=st.binary(max_size=40).map(lambda value: value + b"\0" * (len(value) % 2)),
)
def test_undecoded_elements_are_written_like_decoded_ones(
    name: str,
    description: list[str],
    numbers: list[int],
    floats: list[float],
    decimals: list[Any],
    binary: bytes,
) -> None:
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 192"
    for tag, vr, value in (
        (0x00100010, "PN", name.replace("=", "")),
        (0x00104000, "LT", name),
        (0x00081030, "LO", description),
        (0x00091001, "US", numbers),
        (0x00091002, "FD", floats),
        (0x00091003, "DS", [str(number) for number in decimals]),
        (0x00091004, "OB", binary),
    ):
        data_set[tag] = DataElement(tag, vr, value, validation_mode=config.IGNORE)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, data_set)
    raw = dcmread(BytesIO(_as_file(buffer.getvalue())))
    assert JsonWriter("/i").data_set(raw) == JsonWriter("/i").data_set(data_set)


def _as_file(body: bytes) -> bytes:
    meta = element_bytes(0x00020010, "UI", ExplicitVRLittleEndian.encode() + b"\0")
    return b"\0" * 128 + b"DICM" + element_bytes(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body
