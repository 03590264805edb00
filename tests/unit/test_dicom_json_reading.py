"""DICOM JSON becomes the data set that it describes, or is refused in words that hold nothing of it."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicom_nodes.errors import InstanceUnreadable
from service.core.assembled_data_set import BulkValue, assemble
from service.core.dicom_json_reading import BulkPlace, JsonInstance, read_instance
from service.core.dicom_json_text import json_instances
from tests.datasets import ct_slice, encode

PIXELS = "7FE00010"
NAMED = {"00080016": {"vr": "UI", "Value": ["1.2.840.1"]}, "00080018": {"vr": "UI", "Value": ["1.2.3"]}}
NAMED_BYTES = 2 * 8 + 10 + 6


def read(attributes: Any) -> JsonInstance:
    """By way of JSON text, as it comes in; the UIDs that every instance has are added."""
    named = NAMED | attributes if isinstance(attributes, dict) else attributes
    (found,) = json_instances(json.dumps([named]).encode())
    return read_instance(found)


def encoded(attributes: Any) -> bytes:
    content = assemble(read(attributes), [])
    assert isinstance(content, bytes)
    return content


def decoded(attributes: Any) -> Dataset:
    return read_dataset(BytesIO(encoded(attributes)), is_implicit_VR=False, is_little_endian=True)


def one(vr: str, *values: Any, tag: str = "00091001") -> bytes:
    """The value of one private element, as encoded."""
    value = decoded({tag: {"vr": vr, "Value": list(values)}}).get_item(int(tag, 16)).value
    assert isinstance(value, bytes)
    return value


def refusal(attributes: Any) -> str:
    with pytest.raises(InstanceUnreadable) as caught:
        read(attributes)
    return str(caught.value)


def test_data_set_that_pydicom_writes_as_json_comes_back_byte_for_byte() -> None:
    sent = ct_slice()
    sent.ReferencedImageSequence = [Dataset(), Dataset()]
    sent.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    block = sent.private_block(0x0019, "MAKER", create=True)
    block.add_new(0x01, "FD", [1.5, -2.25])
    block.add_new(0x02, "UN", b"\1\2\3\4")
    sent.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert encoded(sent.to_json_dict()) == encode(sent)


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("US", [0, 65535], struct.pack("<2H", 0, 65535)),
        ("SS", [-32768, 32767], struct.pack("<2h", -32768, 32767)),
        ("UL", [4294967295], struct.pack("<L", 4294967295)),
        ("SL", [-1], struct.pack("<l", -1)),
        ("UV", [2**63, str(2**64 - 1)], struct.pack("<2Q", 2**63, 2**64 - 1)),
        ("SV", ["-9223372036854775808"], struct.pack("<q", -(2**63))),
        ("FL", [0.5, "NaN", "-inf"], struct.pack("<3f", 0.5, float("nan"), float("-inf"))),
        ("FD", [0.1, "Infinity"], struct.pack("<2d", 0.1, float("inf"))),
        ("AT", ["0020000D"], b"\x20\x00\x0d\x00"),
        ("IS", [1, None, -3], b"1\\\\-3 "),
        ("LO", ["a", None, "c"], b"a\\\\c"),
        ("UI", ["1.2.3"], b"1.2.3\0"),
        ("LT", ["a\\b\r\n"], b"a\\b\r\n "),
        ("PN", [{"Alphabetic": "Doe^Jane", "Phonetic": "x"}, None], b"Doe^Jane==x\\"),
        ("PN", [{}], b""),
        ("CS", [], b""),
    ],
)
def test_value_stands_as_its_vr_has_it(vr: str, values: list[Any], expected: bytes) -> None:
    assert one(vr, *values) == expected


@pytest.mark.parametrize(
    ("literal", "written", "rounded"),
    [
        ("1.50", b"1.50", False),
        ("1e2", b"1e2 ", False),
        ("0.30000000000000004", b"0.30000000000000", True),
        ("-1234.000000000000000000", b"-1234.0 ", False),
        ("123456789012345678", b"1.2345678901e+17", True),
    ],
)
def test_decimal_string_keeps_its_digits_as_far_as_they_fit(literal: str, written: bytes, rounded: bool) -> None:
    (attributes,) = json_instances(f'{{"00180050":{{"vr":"DS","Value":[{literal}]}}}}'.encode())
    instance = read_instance(NAMED | attributes)
    (piece,) = instance.pieces
    assert isinstance(piece, bytes)
    assert (piece[NAMED_BYTES + 8 :], instance.rounded) == (written, rounded)


@pytest.mark.parametrize(
    ("vr", "value", "words"),
    [
        ("US", 65536, "out of range"),
        ("US", -1, "out of range"),
        ("US", 1.5, "no integer"),
        ("US", "1", "no number"),
        ("US", True, "no number"),
        ("US", None, "no number"),
        ("SL", 1e300, "out of range"),
        ("FL", 1e39, "out of range"),
        ("FD", "1.5", "no number"),
        ("UV", "1.5", "no integer"),
        ("IS", 2**31, "out of range"),
        ("IS", 1.5, "no integer"),
        ("DS", {}, "no number"),
        ("LO", 1, "no string"),
        ("LO", "a\\b", "backslash"),
        ("LO", "a\0b", "NUL"),
        ("CS", "é", "a character that it cannot have"),
        ("AT", "0020", "no tag"),
        ("PN", {"Other": "x"}, "an object with Alphabetic"),
        ("PN", {"Alphabetic": "a=b"}, "several in one"),
        ("PN", {"Alphabetic": 1}, "no string"),
        ("OB", "AA==", "InlineBinary or BulkDataURI"),
        ("SQ", 1, "is an object"),
        ("XX", "x", "without a VR"),
    ],
)
def test_value_that_its_vr_cannot_hold_is_refused(vr: str, value: Any, words: str) -> None:
    assert words in refusal({"00091001": {"vr": vr, "Value": [value]}})


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ({"vr": "LO", "Value": ["x"]}, "LO stands where PN is due at (0010,0010)"),
        ({"Value": ["x"]}, "without a VR"),
        ({"vr": "PN", "Value": "x"}, "Value is an array"),
        ({"vr": "PN", "Value": [{}], "InlineBinary": "AA=="}, "one alone"),
        ({"vr": "PN", "InlineBinary": "AA=="}, "cannot have InlineBinary"),
        ({"vr": "PN", "BulkDataURI": "x"}, "cannot have a BulkDataURI"),
        (["x"], "an attribute in JSON is an object"),
    ],
)
def test_attribute_that_is_none_is_refused(attribute: Any, words: str) -> None:
    assert words.lower() in refusal({"00100010": attribute}).lower()


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ([], "an object with a member for each attribute"),
        ({"PatientName": {"vr": "PN"}}, "eight hexadecimal digits"),
        ({"0008103E": {"vr": "LO"}, "0008103e": {"vr": "LO"}}, "stands twice"),
        ({"00091002": {"vr": "OW", "InlineBinary": "AA=="}}, "whole word"),
        ({"00091002": {"vr": "OB", "InlineBinary": "!"}}, "not base64"),
        ({"00091002": {"vr": "OB", "BulkDataURI": ""}}, "no address"),
    ],
)
def test_data_set_that_is_none_is_refused(attributes: Any, words: str) -> None:
    assert words in refusal(attributes)


def test_deep_nesting_is_refused_whoever_meets_it_first() -> None:
    nested: dict[str, Any] = {}
    for _ in range(70):
        nested = {"00081140": {"vr": "SQ", "Value": [nested]}}
    assert "nested too deeply" in refusal(nested)
    with pytest.raises(InstanceUnreadable, match="nested too deeply"):
        list(json_instances(b"[" * 100_000))


def test_instance_that_nothing_names_is_refused() -> None:
    with pytest.raises(InstanceUnreadable, match="No SOP Class UID"):
        read_instance({})


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[{}", b"[{},]", b"[{}]x", b'{"a":NaN}', b'{"a":1,"a":1}', b"\xff", b"[{} {}]"],
)
def test_text_that_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(InstanceUnreadable):
        list(json_instances(text))


def test_instances_before_the_fault_are_handed_out() -> None:
    instances = json_instances(b'[{"a":1}, {')
    assert next(instances) == {"a": "1"}
    with pytest.raises(InstanceUnreadable):
        next(instances)


def test_what_no_data_set_holds_is_left_out() -> None:
    attributes = {
        "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.5"]},
        "00080000": {"vr": "UL", "Value": [4]},
        "00100020": {"vr": "LO", "Value": ["X"]},
        "FFFEE000": {"vr": "UN"},
    }
    instance = read(attributes)
    assert [element.tag for element in decoded(attributes)] == [0x00080016, 0x00080018, 0x00100020]
    assert instance.transfer_syntax_uid == "1.2.840.10008.1.2.5"


def test_character_set_is_that_of_json() -> None:
    assert "SpecificCharacterSet" not in decoded({"00100020": {"vr": "LO", "Value": ["A"]}})
    latin = decoded({"00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}, "0008103E": {"vr": "LO", "Value": ["Größe"]}})
    assert (latin.SpecificCharacterSet, latin.SeriesDescription) == ("ISO_IR 192", "Größe")
    nested = decoded({"00081140": {"vr": "SQ", "Value": [{"0008103E": {"vr": "LO", "Value": ["é"]}}]}})
    assert nested.SpecificCharacterSet == "ISO_IR 192"
    assert nested.ReferencedImageSequence[0].SeriesDescription == "é"


def test_empty_attributes_and_items_stay() -> None:
    found = decoded({"00100010": {"vr": "PN"}, "00081140": {"vr": "SQ", "Value": [{}, None]}, "00080060": {"vr": "CS"}})
    assert (found.PatientName, found.Modality, len(found.ReferencedImageSequence)) == ("", "", 2)


def test_value_too_long_for_its_vr_goes_into_un() -> None:
    content = encoded({"00091001": {"vr": "LO", "Value": ["x" * 70_000]}})[NAMED_BYTES:]
    assert content[4:6] == b"UN"
    assert struct.unpack_from("<I", content, 8) == (70_000,)


def test_places_of_bulk_data_are_told_at_every_depth() -> None:
    icon = {PIXELS: {"vr": "OW", "BulkDataURI": "b"}}
    instance = read(
        {
            "00280008": {"vr": "IS", "Value": [3]},
            "00880200": {"vr": "SQ", "Value": [icon]},
            PIXELS: {"vr": "OW", "BulkDataURI": "a"},
        }
    )
    assert [(place.uri, place.is_pixel_data) for place in instance.places] == [("b", False), ("a", True)]
    assert instance.frames == 3


def test_bulk_data_stands_in_its_places() -> None:
    icon = {PIXELS: {"vr": "OW", "BulkDataURI": "b"}}
    instance = read({"00880200": {"vr": "SQ", "Value": [icon]}, PIXELS: {"vr": "OW", "BulkDataURI": "a"}})
    content = assemble(instance, [BulkValue([b"icon"]), BulkValue([b"pix", b"els"])])
    assert isinstance(content, bytes)
    found = read_dataset(BytesIO(content), is_implicit_VR=False, is_little_endian=True)
    assert (found.IconImageSequence[0].PixelData, found.PixelData) == (b"icon", b"pixels")


def test_compressed_frames_become_fragments() -> None:
    instance = read({PIXELS: {"vr": "OW", "BulkDataURI": "a"}, "7FE00001": {"vr": "OV", "InlineBinary": ""}})
    content = assemble(instance, [BulkValue([b"one", b"more"], encapsulated=True)])
    assert content[NAMED_BYTES:] == bytes.fromhex(
        "e07f1000 4f420000 ffffffff feff00e0 00000000 feff00e0 04000000 6f6e6500"
        "feff00e0 04000000 6d6f7265 feffdde0 00000000"
    )


def test_value_representation_of_native_pixels_follows_their_bits() -> None:
    attributes = {"00280100": {"vr": "US", "Value": [16]}, PIXELS: {"vr": "OB", "BulkDataURI": "a"}}
    content = assemble(read(attributes), [BulkValue([b"ab"])])
    assert b"\xe0\x7f\x10\x00OW" in content[:]


@pytest.mark.parametrize(
    ("vr", "value", "words"),
    [("OW", b"abc", "whole word"), ("UT", b"\xff", "not UTF-8"), ("UT", b"a\0", "NUL")],
)
def test_bulk_data_that_does_not_fit_its_vr_is_refused(vr: str, value: bytes, words: str) -> None:
    instance = JsonInstance((BulkPlace(0x00091001, vr, "a"),), "", "", "")
    with pytest.raises(InstanceUnreadable, match=words):
        assemble(instance, [BulkValue([value])])


def test_words_hold_no_value() -> None:
    secret = b64encode(b"x").decode() + "Doe^Jane"
    for attribute in ({"vr": "OB", "InlineBinary": secret}, {"vr": secret}, {"vr": "US", "Value": [secret]}):
        assert "Doe" not in refusal({"00091001": attribute})
