"""What callers accept, and in what form pixels go out to them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from service.errors import BadRequest, NotAcceptable
from service.web.dicomweb.frame_negotiation import PixelForm, choose_pixel_form
from service.web.dicomweb.media_types import (
    MediaRange,
    is_video,
    parse_accept,
    parse_content_type,
    stream_media_type,
)

EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
OHIF = "multipart/related; type=application/octet-stream; transfer-syntax=*"


def form(accept: str | None, uid: str = JPEG_LS, *, decodable: bool = True, single: bool = True) -> PixelForm:
    return choose_pixel_form(
        parse_accept(accept), uid, encapsulated=uid != EXPLICIT, decodable=decodable, single=single
    )


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_accept_header_takes_anything(value: str | None) -> None:
    assert parse_accept(value) == [MediaRange("*/*", None)]


def test_type_of_parts_is_read_quoted_or_not() -> None:
    quoted, unquoted = parse_accept(f'multipart/related; type="application/octet-stream"; transfer-syntax=*, {OHIF}')
    assert quoted == unquoted == MediaRange("application/octet-stream", multipart=True, transfer_syntax="*")


def test_commas_and_semicolons_in_quotes_separate_nothing() -> None:
    (only,) = parse_accept('multipart/related; type="application/dicom"; note="a,b;c"')
    assert only.parameters == {"note": "a,b;c"}


def test_best_quality_comes_first_and_zero_is_refused() -> None:
    ranges = parse_accept("a/a;q=0.1, b/b;q=0, c/c, d/d;q=0.5, e/e")
    assert [media_range.media_type for media_range in ranges] == ["c/c", "e/e", "d/d", "a/a"]


@pytest.mark.parametrize("value", ["nonsense", "a/b;q=high", "a/b/c", ","])
def test_unreadable_ranges_are_left_out(value: str) -> None:
    assert parse_accept(value) == []


@pytest.mark.parametrize(
    ("accepted", "offered", "covers"),
    [("*/*", "x/y", True), ("image/*", "image/jpeg", True), ("image/*", "text/html", False), ("a/b", "a/B", True)],
)
def test_ranges_cover_types(accepted: str, offered: str, covers: bool) -> None:
    assert MediaRange(accepted, None).covers(offered) is covers


def test_content_type_is_split() -> None:
    value = 'multipart/related; type="application/dicom"; boundary="a;b"'
    assert parse_content_type(value) == ("multipart/related", {"type": "application/dicom", "boundary": "a;b"})


def test_missing_content_type_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        parse_content_type("")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, f"application/octet-stream; transfer-syntax={EXPLICIT}"),
        ('multipart/related; type="*/*"', f"application/octet-stream; transfer-syntax={EXPLICIT}"),
        ("multipart/related; type=application/octet-stream", f"application/octet-stream; transfer-syntax={EXPLICIT}"),
        (OHIF, f"application/octet-stream; transfer-syntax={JPEG_LS}"),
        ('multipart/related; type="image/jls"', f"image/jls; transfer-syntax={JPEG_LS}"),
        ('multipart/related; type="image/x-jls"; transfer-syntax=*', f"image/jls; transfer-syntax={JPEG_LS}"),
        (f'multipart/related; type="image/jls"; transfer-syntax={JPEG_LS}', f"image/jls; transfer-syntax={JPEG_LS}"),
        ('multipart/related; type="image/*"', f"image/jls; transfer-syntax={JPEG_LS}"),
        ("*/*; transfer-syntax=*", f"image/jls; transfer-syntax={JPEG_LS}"),
        ('multipart/related; type="image/jp2", ' + OHIF, f"application/octet-stream; transfer-syntax={JPEG_LS}"),
    ],
)
def test_compressed_pixels_go_out_as_asked(accept: str | None, content_type: str) -> None:
    assert form(accept).content_type == content_type


@pytest.mark.parametrize(
    "accept",
    [
        None,
        OHIF,
        'multipart/related; type="application/octet-stream"',
        'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1',
    ],
)
def test_native_pixels_are_explicit_little_endian(accept: str | None) -> None:
    assert form(accept, EXPLICIT).content_type == f"application/octet-stream; transfer-syntax={EXPLICIT}"


@pytest.mark.parametrize(
    ("accept", "uid", "decodable"),
    [
        ('multipart/related; type="image/jp2"', JPEG_LS, True),
        (f'multipart/related; type="image/jls"; transfer-syntax={EXPLICIT}', JPEG_LS, True),
        ('multipart/related; type="application/octet-stream"', JPEG_LS, False),
        ('multipart/related; type="image/jls"', EXPLICIT, True),
        ("application/dicom+json", JPEG_LS, True),
    ],
)
def test_refusal_says_what_could_be_had(accept: str, uid: str, decodable: bool) -> None:
    with pytest.raises(NotAcceptable, match="to be had as multipart/related"):
        form(accept, uid, decodable=decodable)


def test_undecodable_pixels_go_as_stored_to_who_takes_anything() -> None:
    assert form("*/*", decodable=False) == PixelForm("image/jls", JPEG_LS, stored=True, multipart=True)


def test_one_frame_may_go_without_multipart() -> None:
    assert not form("application/octet-stream").multipart


def test_several_frames_need_multipart() -> None:
    with pytest.raises(NotAcceptable):
        form("application/octet-stream", single=False)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102.1", "1.2.840.10008.1.2.4.108"])
def test_video_is_known(uid: str) -> None:
    assert is_video(uid)


@pytest.mark.real_data
def test_media_types_are_those_of_the_standard(shared_data: Path) -> None:
    with (shared_data / "standard" / "dicomweb_media_types.csv").open() as lines:
        next(lines)
        rows = [row for row in csv.DictReader(lines) if row["representation"] == "bulk data compressed"]
    assert {row["transfer_syntax_uid"]: stream_media_type(row["transfer_syntax_uid"]) for row in rows} == {
        row["transfer_syntax_uid"]: row["media_type"] for row in rows
    }
