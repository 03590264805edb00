from __future__ import annotations

import pytest

from service.errors import BadRequest
from service.web.dicomweb.accept_rules import check_accept, from_parameter
from service.web.dicomweb.media_types import parse_accept


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "*/*",
        "application/dicom+json",
        "application/json, text/plain, */*",  # axios
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",  # browsers
        'multipart/related; type="image/jpeg", multipart/related; type="application/octet-stream"',
        'multipart/related; type="application/dicom"; transfer-syntax=*, image/unknown',
        "image/jpeg, image/png",
        "image/jpeg, application/octet-stream",  # both are bulk data
    ],
)
def test_one_category_is_taken(value: str | None) -> None:
    check_accept(value, parse_accept(value))


@pytest.mark.parametrize(
    "value",
    [
        "application/dicom+json, image/jpeg",
        'multipart/related; type="application/dicom", image/png;q=0.1',
        "application/dicom+xml, text/html",
        "application/octet-stream, text/plain",
    ],
)
def test_both_categories_at_once_are_refused(value: str) -> None:
    with pytest.raises(BadRequest, match=r"PS3\.18 8\.7\.4"):
        check_accept(value, parse_accept(value))


@pytest.mark.parametrize("value", ["dicom", ";;;", "/", "a / b", ",", "application/"])
def test_what_holds_no_media_range_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match=r"RFC 9110 12\.5\.1"):
        check_accept(value, parse_accept(value))


def test_plus_sign_that_was_not_encoded_is_put_back() -> None:
    assert from_parameter("application/dicom json, application/dicom xml") == (
        "application/dicom+json, application/dicom+xml"
    )
    assert from_parameter(None) is None
