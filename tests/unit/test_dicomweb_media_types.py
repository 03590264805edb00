"""What callers accept, and in what form pixels go out to them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from service.errors import BadRequest, NotAcceptable
from service.web.dicomweb.frame_negotiation import PixelForm, PixelSource, choose_pixel_form
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


def form(
    accept: str | None,
    uid: str = JPEG_LS,
    *,
    decodable: bool = True,
    single: bool = True,
    lossless: tuple[str, ...] = (),
    lossy: tuple[str, ...] = (),
) -> PixelForm:
    source = PixelSource(uid, encapsulated=uid != EXPLICIT, decodable=decodable, lossless=lossless, lossy=lossy)
    return choose_pixel_form(parse_accept(accept), source, single=single)


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


WRITTEN = (JPEG_LS, "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.5")
BASELINE = "1.2.840.10008.1.2.4.50"
PROCESS_14 = "1.2.840.10008.1.2.4.57"


@pytest.mark.parametrize(
    ("accept", "uid", "media_type", "written"),
    [
        # A media type alone means its default transfer syntax (PS3.18 Table 8.7.3-2).
        ('multipart/related; type="image/jls"', EXPLICIT, "image/jls", JPEG_LS),
        ('multipart/related; type="image/jp2"', JPEG_LS, "image/jp2", "1.2.840.10008.1.2.4.90"),
        ('multipart/related; type="image/jpeg"', EXPLICIT, "image/jpeg", "1.2.840.10008.1.2.4.70"),
        ('multipart/related; type="image/jpeg"', PROCESS_14, "image/jpeg", "1.2.840.10008.1.2.4.70"),
        ('multipart/related; type="image/dicom-rle"; transfer-syntax=*', EXPLICIT, "image/dicom-rle", WRITTEN[3]),
        ("*/*; transfer-syntax=1.2.840.10008.1.2.5", EXPLICIT, "image/dicom-rle", WRITTEN[3]),
        (f"multipart/related; type=application/octet-stream; transfer-syntax={WRITTEN[1]}", EXPLICIT,
         "application/octet-stream", WRITTEN[1]),
        ('multipart/related; type="image/*"', EXPLICIT, "image/jls", JPEG_LS),
        ('multipart/related; type="image/jls"; q=0.2, multipart/related; type="image/jp2"', EXPLICIT, "image/jp2",
         WRITTEN[1]),
        ('multipart/related; type="image/jphc", multipart/related; type="image/jls"', EXPLICIT, "image/jls", JPEG_LS),
    ],
)  # fmt: skip
def test_pixels_are_written_in_what_is_asked_for(accept: str, uid: str, media_type: str, written: str) -> None:
    assert form(accept, uid, lossless=WRITTEN) == PixelForm(media_type, written, stored=False, multipart=True)


@pytest.mark.parametrize("uid", [BASELINE, PROCESS_14])
def test_named_syntax_is_sent_as_it_is_stored(uid: str) -> None:
    assert form(f'multipart/related; type="image/jpeg"; transfer-syntax={uid}', uid, lossless=WRITTEN).stored


def test_lossy_pixels_are_not_made_larger_by_a_default() -> None:
    assert form('multipart/related; type="image/jpeg"', BASELINE, lossless=WRITTEN).stored


@pytest.mark.parametrize(
    ("accept", "written"),
    [
        (f'multipart/related; type="image/jpeg"; transfer-syntax={BASELINE}', BASELINE),
        (f'multipart/related; type="image/jpeg"; transfer-syntax={BASELINE}, multipart/related; type="image/jls";q=0.1',
         JPEG_LS),
        (f'multipart/related; type="image/jpeg"; transfer-syntax={BASELINE}, */*;q=0.1', EXPLICIT),
    ],
)  # fmt: skip
def test_something_is_lost_only_where_nothing_else_would_do(accept: str, written: str) -> None:
    assert form(accept, EXPLICIT, lossless=WRITTEN, lossy=(BASELINE,)).transfer_syntax_uid == written


def test_refusal_lists_what_could_be_written() -> None:
    with pytest.raises(NotAcceptable, match=r"image/jp2.*4\.90.*image/jpeg.*4\.50"):
        form('multipart/related; type="image/jxl"', EXPLICIT, lossless=WRITTEN, lossy=(BASELINE,))


PARTS = "multipart/related"
NO_JLS = f'{PARTS}; type="image/jls"; q=0'


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (f"{PARTS}, {NO_JLS}", "application/octet-stream"),
        (f"{PARTS}; transfer-syntax=*, {NO_JLS}", "application/octet-stream"),
        (f'{PARTS}; type="image/*", {NO_JLS}', "image/jp2"),
        (f'{NO_JLS}, {PARTS}; type="image/*"; q=0.1', "image/jp2"),
        (f'{PARTS}; type="image/*", {PARTS}; type="image/jls"; q=0.2', "image/jp2"),
        ("*/*; transfer-syntax=*, image/jls; q=0", "application/octet-stream"),
        (f'*/*, {PARTS}; type="application/octet-stream"; q=0, {PARTS}; type="image/jp2"; q=0', "image/jls"),
        (f'{PARTS}; type="image/*"; transfer-syntax=*, {PARTS}; type="image/jls"; transfer-syntax={JPEG_LS}; q=0',
         "image/jp2"),
        # What is refused alone is not refused as a part, where parts are what was asked for.
        (f"{PARTS}; transfer-syntax=*, image/jls; q=0", "image/jls"),
    ],
)  # fmt: skip
def test_narrower_range_takes_from_a_wider_one(accept: str, media_type: str) -> None:
    assert form(accept, lossless=WRITTEN).media_type == media_type


@pytest.mark.parametrize(
    "accept", [f"{PARTS}, {NO_JLS}", f'{NO_JLS}, {PARTS}; type="image/*"', f"{PARTS}; transfer-syntax=*, {NO_JLS}"]
)
def test_refused_media_type_is_no_last_resort(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        form(accept, decodable=False)


def test_parts_are_not_sent_to_who_refuses_them() -> None:
    assert not form(f"*/*, {PARTS}; q=0").multipart


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
