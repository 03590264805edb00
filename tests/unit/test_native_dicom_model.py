from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.archive.dicom_json import JsonWriter
from service.core.native_dicom_model import first_attributes, from_xml, to_xml, xml_of_text
from service.core.native_dicom_terms import NAMESPACE
from service.errors import BadRequest
from tests.datasets import ct_slice
from tests.dicom_json_drawing import DATA_SETS, Attributes

DRAWN = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).resolve().parents[1] / "native_dicom_model.rng"))


def model(content: str, head: str = "") -> bytes:
    return f'{head}<NativeDicomModel xmlns="{NAMESPACE}">{content}</NativeDicomModel>'.encode()


def attribute(content: str, vr: str = "LO", tag: str = "00081030", more: str = "") -> bytes:
    return model(f'<DicomAttribute tag="{tag}" vr="{vr}"{more}>{content}</DicomAttribute>')


def elements(data: bytes) -> list[etree._Element]:
    return list(etree.fromstring(data))


def served(data_set: Dataset) -> Attributes:
    """A data set in DICOM JSON as the archive keeps it, numbers with their digits."""
    found: Attributes = json.loads(JsonWriter().data_set(data_set), parse_float=str, parse_int=str)
    return found


@DRAWN
@given(DATA_SETS)
def test_what_is_written_is_read_again(data_set: Attributes) -> None:
    assert from_xml(to_xml(data_set)) == data_set


@DRAWN
@given(DATA_SETS)
def test_what_is_written_is_in_the_model(data_set: Attributes) -> None:
    SCHEMA.assertValid(etree.fromstring(to_xml(data_set)))


def test_image_comes_back_as_it_was() -> None:
    image = ct_slice()
    assert Dataset.from_json(from_xml(to_xml(served(image)))) == image


def test_public_element_has_its_keyword() -> None:
    (element,) = elements(to_xml({"00280010": {"vr": "US", "Value": [512]}}))
    assert dict(element.attrib) == {"tag": "00280010", "vr": "US", "keyword": "Rows"}


def test_private_element_has_its_creator_and_not_its_block() -> None:
    image = Dataset()
    image.private_block(0x0019, "ANNOGATE TEST", create=True).add_new(0x07, "DS", "1.50")
    (element,) = elements(to_xml(served(image)))
    assert dict(element.attrib) == {"tag": "00190007", "vr": "DS", "privateCreator": "ANNOGATE TEST"}
    assert [value.text for value in element] == ["1.50"]


def test_creator_of_an_empty_block_is_kept() -> None:
    held = {"00190010": {"vr": "LO", "Value": ["ANNOGATE TEST"]}}
    assert from_xml(to_xml(held)) == held


def test_private_element_without_creator_keeps_its_tag() -> None:
    held = {"00191007": {"vr": "LO", "Value": ["x"]}}
    assert from_xml(to_xml(held)) == held


def test_block_of_elements_without_creator_is_not_given_out() -> None:
    read = from_xml(
        model(
            '<DicomAttribute tag="00191007" vr="LO"><Value number="1">x</Value></DicomAttribute>'
            '<DicomAttribute tag="00190007" vr="LO" privateCreator="A"><Value number="1">y</Value></DicomAttribute>'
        )
    )
    assert read["00191107"]["Value"] == ["y"]
    assert read["00190011"]["Value"] == ["A"]


def test_two_blocks_of_one_creator_stay_two() -> None:
    held: Attributes = {
        "00190010": {"vr": "LO", "Value": ["A"]},
        "00190011": {"vr": "LO", "Value": ["A"]},
        "00191007": {"vr": "LO", "Value": ["x"]},
        "00191107": {"vr": "LO", "Value": ["y"]},
    }
    assert from_xml(to_xml(held)) == held


def test_block_that_older_writers_name_is_kept() -> None:
    read = from_xml(attribute('<Value number="1">x</Value>', tag="00192207", more=' privateCreator="A"'))
    assert list(read) == ["00190022", "00192207"]


def test_more_creators_than_blocks_are_refused() -> None:
    many = "".join(f'<DicomAttribute tag="00190001" vr="LO" privateCreator="{number}"/>' for number in range(0x100))
    with pytest.raises(BadRequest, match="more private creators than blocks"):
        from_xml(model(many))


def test_name_is_written_by_groups_and_components() -> None:
    name = {"Alphabetic": "Yamada^Tarou^^Dr.^III", "Ideographic": "山田^太郎"}
    (element,) = elements(to_xml({"00100010": {"vr": "PN", "Value": [name]}}))
    assert [(part.getparent().tag.split("}")[1], part.tag.split("}")[1], part.text) for part in element.iter()][2:] == [
        ("PersonName", "Alphabetic", None),
        ("Alphabetic", "FamilyName", "Yamada"),
        ("Alphabetic", "GivenName", "Tarou"),
        ("Alphabetic", "NamePrefix", "Dr."),
        ("Alphabetic", "NameSuffix", "III"),
        ("PersonName", "Ideographic", None),
        ("Ideographic", "FamilyName", "山田"),
        ("Ideographic", "GivenName", "太郎"),
    ]


def test_characters_that_xml_cannot_hold_are_replaced() -> None:
    data = to_xml({"00081030": {"vr": "LO", "Value": ["a\x1bb\x00c\ud800d\uffffe"]}})
    assert from_xml(data)["00081030"]["Value"] == ["a\ufffdb\ufffdc\ufffdd\ufffde"]


def test_model_without_a_namespace_is_read() -> None:
    data = attribute('<Value number="1">x</Value>').replace(f' xmlns="{NAMESPACE}"'.encode(), b"")
    assert from_xml(data) == {"00081030": {"vr": "LO", "Value": ["x"]}}


def test_vr_that_is_not_said_is_the_dictionarys() -> None:
    data = attribute('<Value number="1">512</Value>', tag="00280010").replace(b' vr="LO"', b"")
    assert from_xml(data) == {"00280010": {"vr": "US", "Value": [512]}}


def test_values_are_ordered_by_their_numbers() -> None:
    data = attribute('<Value number="2">b</Value><Value number="1">a</Value>')
    assert from_xml(data)["00081030"]["Value"] == ["a", "b"]


def test_bulk_data_by_uuid_is_a_urn() -> None:
    data = attribute('<BulkData uuid="f81d4fae-7dec-11d0-a765-00a0c91e6bf6"/>', vr="OB", tag="00420011")
    assert from_xml(data)["00420011"]["BulkDataURI"] == "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


def nested(depth: int) -> bytes:
    opening = '<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * depth
    return model(opening + "</Item></DicomAttribute>" * depth)


def test_nesting_is_read_to_its_limit() -> None:
    found: Any = from_xml(nested(99))
    depth = 0
    while found:
        found, depth = found["00081140"]["Value"][0], depth + 1
    assert depth == 99


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
REFUSED = {
    "billion laughs": (
        model("&l9;", f'<!DOCTYPE NativeDicomModel [<!ENTITY l0 "ha">{LAUGHS}]>'),
        "document type declaration",
    ),
    "external entity": (
        model("&e;", '<!DOCTYPE NativeDicomModel [<!ENTITY e SYSTEM "file:///etc/passwd">]>'),
        "document type declaration",
    ),
    "external subset": (model("", '<!DOCTYPE NativeDicomModel SYSTEM "http://host/dtd">'), "document type"),
    "undeclared entity": (attribute('<Value number="1">&e;</Value>'), "not well-formed"),
    "too deep": (nested(100), "nested more than 99 deep"),
    "cut short": (attribute("")[:-3], "not well-formed"),
    "nothing": (b"", "not well-formed"),
    "not XML": (b'{"00081030": {}}', "not well-formed"),
    "unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><a/>', "encoding"),
    "other root": (b"<html/>", "has not"),
    "other namespace": (b'<NativeDicomModel xmlns="urn:other"/>', "another namespace"),
    "other element": (model("<Value number='1'/>"), "has not"),
    "stray text": (model("text"), "no place"),
    "bad tag": (attribute("", tag="0008103G"), "no tag of eight"),
    "bad VR": (attribute("", vr="XX"), "VR that is none"),
    "value in a sequence": (attribute('<Value number="1"/>', vr="SQ"), "cannot have Value"),
    "value in binary": (attribute('<Value number="1"/>', vr="OB"), "cannot have Value"),
    "item in text": (attribute('<Item number="1"/>'), "cannot have Item"),
    "value without a number": (attribute("<Value>x</Value>"), "number is missing"),
    "number twice": (attribute('<Value number="1">x</Value><Value number="1">y</Value>'), "taken"),
    "number 0": (attribute('<Value number="0">x</Value>'), "not from 1"),
    "numbers with a gap": (attribute('<Value number="1000000">x</Value>'), "without gaps"),
    "two kinds": (attribute('<Value number="1">x</Value><BulkData uri="a"/>'), "more than one kind"),
    "bulk data twice": (attribute('<BulkData uri="a"/><BulkData uri="b"/>'), "more than one kind"),
    "bulk data without address": (attribute("<BulkData/>"), "exactly one of"),
    "bad base64": (attribute("<InlineBinary>a!</InlineBinary>", vr="OB"), "not base64"),
    "bad integer": (attribute('<Value number="1">1.5</Value>', vr="US"), "no integer"),
    "bad number": (attribute('<Value number="1">1_0</Value>', vr="FD"), "no number"),
    "bad AT": (attribute('<Value number="1">PatientID</Value>', vr="AT"), "no tag"),
    "element twice": (model('<DicomAttribute tag="00081030" vr="LO"/>' * 2), "twice"),
    "name group twice": (
        attribute('<PersonName number="1"><Alphabetic/><Alphabetic/></PersonName>', vr="PN"),
        "Alphabetic twice",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_the_model_is_refused_in_words(name: str) -> None:
    data, words = REFUSED[name]
    with pytest.raises(BadRequest, match=words):
        from_xml(data)


def test_refusal_names_the_element_and_not_the_value() -> None:
    with pytest.raises(BadRequest) as refused:
        from_xml(attribute('<Value number="1">ANON-17</Value>', vr="US", tag="00280010"))
    assert "(0028,0010)" in str(refused.value)
    assert "ANON" not in str(refused.value)


@DRAWN
@given(st.data())
def test_damaged_xml_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(to_xml(served(ct_slice(rows=2, columns=2))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=4))
    with suppress(BadRequest):
        assert isinstance(from_xml(bytes(whole)), dict)


def test_nested_private_elements_come_back() -> None:
    item = Dataset()
    item.private_block(0x0029, "ANNOGATE TEST", create=True).add_new(0x01, "OB", b"\1\2")
    image = Dataset()
    image.ReferencedImageSequence = Sequence([item, Dataset()])
    assert from_xml(to_xml(served(image))) == served(image)


@DRAWN
@given(DATA_SETS)
def test_text_becomes_the_same_model(data_set: Attributes) -> None:
    text = json.dumps(data_set, separators=(",", ":"))
    assert from_xml(b"".join(xml_of_text(text))) == data_set


def test_long_sequence_comes_item_by_item() -> None:
    image = Dataset()
    image.ReferencedImageSequence = Sequence([Dataset() for _ in range(1000)])
    assert len(list(xml_of_text(JsonWriter().data_set(image)))) > 1000


def test_first_attributes_are_read_alone() -> None:
    assert next(first_attributes('{"00080018":{"vr":"UI","Value":["1.2"]},"00100010":what is not read')) == (
        "00080018",
        {"vr": "UI", "Value": ["1.2"]},
    )
