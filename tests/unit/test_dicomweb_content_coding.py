from __future__ import annotations

import gzip
import zlib

import pytest

from service.errors import NotAcceptable
from service.web.dicomweb.content_coding import DEFLATE, GZIP, IDENTITY, choose_coding, compress


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, IDENTITY),
        ("", IDENTITY),
        ("gzip", GZIP),
        ("x-gzip", GZIP),
        ("GZip", GZIP),
        ("deflate", DEFLATE),
        ("deflate, gzip", GZIP),
        ("gzip;q=0.5, deflate;q=0.8", DEFLATE),
        ("gzip;q=0, deflate", DEFLATE),
        ("gzip;q=0", IDENTITY),
        ("gzip;q=0.5, identity", IDENTITY),
        ("identity", IDENTITY),
        ("br", IDENTITY),
        ("br, *", GZIP),
        ("gzip;q=0, *", DEFLATE),
        ("identity;q=0, deflate;q=0.1", DEFLATE),
        ("*;q=0, gzip;q=0.1", GZIP),
        ("gzip;q=nonsense", GZIP),
        (", ;q=1,", IDENTITY),
    ],
)
def test_coding_that_is_liked_best_is_chosen(header: str | None, coding: str) -> None:
    assert choose_coding(header) == coding


@pytest.mark.parametrize("header", ["*;q=0", "identity;q=0", "identity;q=0, gzip;q=0, deflate;q=0", "br, *;q=0"])
def test_caller_who_takes_no_coding_is_refused(header: str) -> None:
    with pytest.raises(NotAcceptable):
        choose_coding(header)


def test_codings_are_what_http_calls_them() -> None:
    body = b"annogate" * 1000
    assert gzip.decompress(compress(body, GZIP)) == body
    assert zlib.decompress(compress(body, DEFLATE)) == body
    assert compress(body, IDENTITY) == body
