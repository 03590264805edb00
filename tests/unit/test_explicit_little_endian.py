"""Data sets re-encoded in Explicit VR Little Endian, held against what pydicom reads."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_data_set import Encoding, elements
from service.core.explicit_little_endian import encode_element, swap_bytes, to_explicit_little_endian

EXPLICIT = Encoding(implicit_vr=False, little_endian=True)
IMPLICIT = Encoding(implicit_vr=True, little_endian=True)
BIG = Encoding(implicit_vr=False, little_endian=False)


def encoded(data_set: Dataset, encoding: Encoding) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = encoding.implicit_vr, encoding.little_endian
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def read(data: bytes) -> Dataset:
    return read_dataset(BytesIO(data), is_implicit_VR=False, is_little_endian=True)


def item(**values: object) -> Dataset:
    data_set = Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


def deep(undefined: bool = False) -> Dataset:
    """Numbers of every width, text, sequences in sequences, private elements."""
    inner = item(RescaleSlope="2", ReferencedFrameNumber=[1, 2], RealWorldValueLUTData=[1.5, -2.25])
    outer = item(CodeValue="x", ReferencedSOPSequence=Sequence([inner, Dataset()]))
    data_set = item(
        PatientName="Doe^Jane",
        SliceVector=[1, 2, 3],
        SimpleFrameList=[70000, 1],
        AbstractPriorValue=[-5, 6],
        FrameIncrementPointer=[0x00181063, 0x00181065],
        TagSpacingFirstDimension=1.25,
        ConceptNameCodeSequence=Sequence([outer]),
        AnatomicRegionSequence=Sequence([]),
        PixelRepresentation=1,
        SmallestImagePixelValue=-3,
        RedPaletteColorLookupTableDescriptor=[2, 0, 16],
        FloatPixelPaddingValue=0.5,
        ExtendedOffsetTable=b"\1" + bytes(7),
        SelectorSVValue=-7,
    )
    block = data_set.private_block(0x0011, "MAKER 1.0", create=True)
    block.add_new(0x01, "UN", b"abcd")
    if undefined:
        for each in (data_set["ConceptNameCodeSequence"], outer["ReferencedSOPSequence"]):
            each.is_undefined_length = True
            for entry in each.value:
                entry.is_undefined_length_sequence_item = True
    return data_set


@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
@pytest.mark.parametrize("encoding", [EXPLICIT, IMPLICIT, BIG], ids=["explicit", "implicit", "big endian"])
def test_every_value_survives(encoding: Encoding, undefined: bool) -> None:
    written = read(to_explicit_little_endian(encoded(deep(undefined), encoding), encoding))
    expected = read(encoded(deep(), EXPLICIT)).to_json_dict()
    # What a private element or 64 opaque bits mean cannot be known from outside: their bytes are held below.
    for tag in ("00111001", "7FE00001"):
        expected.pop(tag)
    assert {tag: body for tag, body in written.to_json_dict().items() if tag in expected} == expected


@given(
    st.dictionaries(
        st.sampled_from(["00100010", "00080050", "00280010", "00181114", "00089459", "00540081", "00189073"]),
        st.binary(max_size=40).map(lambda value: value + b"\0" * (len(value) % 2)),
    )
)
def test_values_keep_their_bytes_however_odd_they_are(values: dict[str, bytes]) -> None:
    pieces = []
    for tag, value in sorted(values.items()):
        number = int(tag, 16)
        head = (number >> 16).to_bytes(2, "little") + (number & 0xFFFF).to_bytes(2, "little")
        pieces.append(head + len(value).to_bytes(4, "little") + value)
    written = to_explicit_little_endian(b"".join(pieces), IMPLICIT)
    kept = {f"{e.tag:08X}": written[e.value_start : e.value_end] for e in elements(memoryview(written), EXPLICIT)}
    assert kept == values


def test_signed_pixels_make_ambiguous_numbers_signed() -> None:
    assert read(to_explicit_little_endian(encoded(deep(), IMPLICIT), IMPLICIT)).SmallestImagePixelValue == -3


def test_words_of_opaque_values_are_turned_and_bytes_of_unknown_ones_are_not() -> None:
    words = item(RedPaletteColorLookupTableData=b"\1\2\3\4")
    words.private_block(0x0011, "MAKER 1.0", create=True).add_new(0x01, "UN", b"abcd")
    written = read(to_explicit_little_endian(encoded(words, BIG), BIG))
    assert (written.RedPaletteColorLookupTableData, written[0x0011, 0x1001].value) == (b"\2\1\4\3", b"abcd")


def test_unknown_private_element_becomes_un() -> None:
    written = read(to_explicit_little_endian(encoded(deep(), IMPLICIT), IMPLICIT))
    assert written[0x0011, 0x1001].VR == "UN"


def test_private_element_that_a_dictionary_knows_gets_its_vr() -> None:
    data_set = Dataset()
    data_set.private_block(0x0009, "GEMS_IDEN_01", create=True).add_new(0x27, "SL", 978683914)
    written = read(to_explicit_little_endian(encoded(data_set, IMPLICIT), IMPLICIT))
    assert (written[0x0009, 0x1027].VR, written[0x0009, 0x1027].value) == ("SL", 978683914)


def test_value_too_long_for_its_vr_goes_as_un() -> None:
    data_set = read(encode_element(0x00081030, "LO", b"x" * 70000))
    assert (data_set[0x00081030].VR, len(data_set.get_item(0x00081030).value)) == ("UN", 70000)


def test_group_lengths_are_left_out() -> None:
    length = b"\x08\0\0\0UL\4\0\2\0\0\0"
    assert 0x00080000 not in read(to_explicit_little_endian(length + encoded(deep(), EXPLICIT), EXPLICIT))


def test_elements_are_replaced_put_in_and_left_out() -> None:
    replaced = {
        0x00080005: encode_element(0x00080005, "CS", b"ISO_IR 192"),
        0x00100010: encode_element(0x00100010, "PN", b"Roe^Richard "),
        0x00280103: None,
        0xFFFA0001: encode_element(0xFFFA0001, "UN", b"zz"),
    }
    written = read(to_explicit_little_endian(encoded(deep(), EXPLICIT), EXPLICIT, replaced=replaced))
    assert (written.SpecificCharacterSet, written.PatientName) == ("ISO_IR 192", "Roe^Richard")
    assert "PixelRepresentation" not in written
    assert list(written.keys()) == sorted(written.keys())


def test_sequence_in_un_of_undefined_length_is_read_as_implicit() -> None:
    inner = encoded(item(CodeValue="x"), IMPLICIT)
    sequence = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner + b"\xfe\xff\xdd\xe0\0\0\0\0"
    written = read(to_explicit_little_endian(b"\x40\0\x43\xa0UN\0\0\xff\xff\xff\xff" + sequence, EXPLICIT))
    assert written[0x0040A043].value[0].CodeValue == "x"


def test_what_the_dictionary_takes_for_a_sequence_but_is_none_goes_as_un() -> None:
    written = read(to_explicit_little_endian(b"\x40\0\x43\xa0\x0a\0\0\0not a list", IMPLICIT))
    assert written.get_item(0x0040A043).VR == "UN"


@pytest.mark.parametrize(
    ("vr", "value", "turned"),
    [("US", b"\1\2\3\4", b"\2\1\4\3"), ("FD", bytes(range(8)), bytes(range(7, -1, -1))), ("LO", b"ab", b"ab")],
)
def test_bytes_are_swapped_by_the_width_of_the_vr(vr: str, value: bytes, turned: bytes) -> None:
    assert swap_bytes(value, vr) == turned


def _cut(data: bytes) -> bytes:
    return data[:-3]


def _endless_item(data: bytes) -> bytes:
    return data + b"\x40\0\x43\xa0SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"


def _nested(data: bytes) -> bytes:
    return data + b"\x40\0\x43\xa0SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000


@pytest.mark.parametrize("damage", [_cut, _endless_item, _nested])
def test_broken_encoding_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InstanceUnreadable):
        to_explicit_little_endian(damage(encoded(item(PatientID="1234"), EXPLICIT)), EXPLICIT)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_read_and_nothing_else(data: bytes) -> None:
    for encoding in (EXPLICIT, IMPLICIT, BIG):
        try:
            to_explicit_little_endian(data, encoding)
        except InstanceUnreadable:
            continue
