"""What an Accept header or parameter may not be: unreadable, or of both categories at once (PS3.18 8.7.4, 8.7.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from service.errors import BadRequest
from service.web.dicomweb.media_types import DICOM, DICOM_JSON, OCTET_STREAM, MediaRange

_MEDIA_RANGE: Final = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+/[0-9A-Za-z!#$%&'*+.^_`|~-]+")
_DICOM: Final = frozenset({DICOM, DICOM_JSON, "application/dicom+xml"})
_RENDERED: Final = frozenset(
    {"image/gif", "image/png", "text/html", "text/plain", "text/xml", "text/rtf", "application/pdf"}
)
# Rendered by themselves; as parts of multipart/related they are compressed pixel data.
_RENDERED_ALONE: Final = frozenset({"image/jpeg", "video/mpeg", "video/mp4", "video/h265"})


def check_accept(value: str | None, ranges: Sequence[MediaRange]) -> None:
    """Refuse what cannot be read at all, and DICOM media types beside rendered ones.

    Parameters
    ----------
    value : as it was sent
    ranges : what was read of it

    Raises
    ------
    BadRequest : naming the rule
    """
    if value and value.strip() and not _MEDIA_RANGE.search(value):
        raise BadRequest("No media range can be read in the Accept header (RFC 9110 12.5.1)")
    dicom = any(item.media_type in _DICOM for item in ranges)
    stream = any(item.media_type == OCTET_STREAM for item in ranges)
    rendered = any(item.media_type in _RENDERED for item in ranges)
    image = any(item.media_type in _RENDERED_ALONE and item.multipart is False for item in ranges)
    if (dicom and (rendered or image)) or (stream and rendered):
        raise BadRequest("The Accept header mixes DICOM and rendered media types, which PS3.18 8.7.4 forbids")


def from_parameter(value: str | None) -> str | None:
    """The query parameter as it was meant: a plus sign that was not percent-encoded arrives as a space."""
    return value.replace("application/dicom ", "application/dicom+") if value else value
