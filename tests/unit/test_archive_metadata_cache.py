from __future__ import annotations

import gzip
import json
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.archive.dicom_json import BASE
from service.archive.metadata_cache import assemble, encode, encode_text, stream, text_of
from service.core.records import PixelLocation
from tests.datasets import SERIES_UID, STUDY_UID, ct_slice

URL = "http://127.0.0.1:8080/dicom-web"
PIXELS = PixelLocation(0x7FE00010, 1000, 512, encapsulated=False)
WAYS = [(False, False), (True, False), (True, True)]


def answer(blobs: list[bytes], way: tuple[bool, bool] = (False, False), url: str = URL) -> bytes:
    compressed, compact = way
    body = assemble(blobs, url, gzip=compressed, compact=compact)
    return gzip.decompress(body) if compressed else body


@pytest.mark.parametrize("way", WAYS)
def test_series_answer_is_the_array_of_its_instances(way: tuple[bool, bool]) -> None:
    blobs = [encode(ct_slice(number), pixels=PIXELS) for number in (1, 2, 3)]
    items = json.loads(answer(blobs, way))
    assert [item["00200013"]["Value"] for item in items] == [[1], [2], [3]]


@pytest.mark.parametrize("way", WAYS)
def test_answer_over_no_instances_is_an_empty_array(way: tuple[bool, bool]) -> None:
    assert json.loads(answer([], way)) == []


def test_bulk_data_address_is_absolute_below_the_base() -> None:
    (item,) = json.loads(
        answer([encode(ct_slice(4), pixels=PIXELS)], url="https://gateway.example/projects/p/dicom-web")
    )
    assert item["7FE00010"]["BulkDataURI"] == (
        f"https://gateway.example/projects/p/dicom-web/studies/{STUDY_UID}/series/{SERIES_UID}"
        f"/instances/{SERIES_UID}.4/bulkdata/7FE00010"
    )


def test_pixel_data_that_the_header_lacks_is_named() -> None:
    header = ct_slice()
    del header.PixelData
    assert json.loads(text_of(encode(header, pixels=PIXELS), URL))["7FE00010"]["vr"] == "OW"
    assert "7FE00010" not in json.loads(text_of(encode(header), URL))


def test_base_with_a_quote_stays_within_its_string() -> None:
    (item,) = json.loads(answer([encode(ct_slice(), pixels=PIXELS)], url='http://host/"x'))
    assert item["7FE00010"]["BulkDataURI"].startswith('http://host/"x/studies/')


def test_text_of_one_instance_is_its_object() -> None:
    assert json.loads(text_of(encode(ct_slice()), URL))["00080060"] == {"vr": "CS", "Value": ["CT"]}


def test_joined_answer_is_one_gzip_member_with_its_own_checksum() -> None:
    body = assemble([encode(ct_slice(number), pixels=PIXELS) for number in range(1, 4)], URL, gzip=True)
    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
    plain = decompressor.decompress(body)
    assert decompressor.eof
    assert decompressor.unused_data == b""
    assert body[-8:] == zlib.crc32(plain).to_bytes(4, "little") + len(plain).to_bytes(4, "little")


def test_joining_keeps_the_stored_compression() -> None:
    blob = encode_text(json.dumps(list(range(1000))))
    assert blob[-200:] in assemble([blob], URL, gzip=True)


def test_compact_answer_is_smaller_than_the_joined_one() -> None:
    blobs = [encode(ct_slice(number), pixels=PIXELS) for number in range(1, 30)]
    assert 4 * len(assemble(blobs, URL, gzip=True, compact=True)) < len(assemble(blobs, URL, gzip=True))


def test_unknown_stored_form_is_refused() -> None:
    with pytest.raises(ValueError):
        assemble([b"\xff" + encode_text("{}")[1:]], URL, gzip=False)


def test_base_longer_than_a_stored_block_goes_in() -> None:
    url = "http://host/" + "x" * 70_000
    assert answer([encode_text(f'{{"a":"{BASE}"}}')], (True, False), url) == f'[{{"a":"{url}"}}]'.encode()


@given(
    texts=st.lists(
        st.lists(st.text(st.characters(exclude_characters=BASE, exclude_categories=["Cs"]), max_size=200), min_size=1),
        max_size=6,
    ),
    base=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\'), max_size=30),
    way=st.sampled_from(WAYS),
)
def test_any_texts_come_back_joined_with_the_base_between(
    texts: list[list[str]], base: str, way: tuple[bool, bool]
) -> None:
    blobs = [encode_text(BASE.join(pieces)) for pieces in texts]
    expected = "[" + ",".join(base.join(pieces) for pieces in texts) + "]"
    assert answer(blobs, way, base).decode() == expected


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_parts_of_a_stream_make_up_the_whole(values: list[bytes]) -> None:
    blobs = [encode_text(json.dumps(value.hex())) for value in values]
    for compressed, compact in WAYS:
        parts = list(stream(blobs, URL, gzip=compressed, compact=compact))
        assert b"".join(parts) == assemble(blobs, URL, gzip=compressed, compact=compact)


def test_large_lengths_do_not_upset_the_checksum() -> None:
    blobs = [encode_text("a" * length) for length in (0, 1, 255, 65535, 65536, 1_000_003)]
    body = assemble(blobs, URL, gzip=True)
    assert len(gzip.decompress(body)) == 2 + 5 + sum((0, 1, 255, 65535, 65536, 1_000_003))


def test_stream_yields_each_instance_as_it_comes() -> None:
    blobs = [encode(ct_slice(number)) for number in (1, 2, 3)]
    seen = [len(part) for part in stream(iter(blobs), URL, gzip=False)]
    assert len(seen) == 4
    assert all(abs(a - b) < 10 for a, b in pairwise(seen[:3]))
