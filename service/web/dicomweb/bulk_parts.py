"""Bulk data of a store request: what a part is by its Content-Type, and in which transfer syntax (PS3.18 8.7.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.code_stream_syntax import LOOK_BYTES, fits, syntax_of_code_stream
from service.core.encoded_bytes import EncodedBytes
from service.errors import UnsupportedMediaType
from service.web.dicomweb.media_types import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    OCTET_STREAM,
    default_of_stream,
    parse_content_type,
    present_name,
    stream_media_type,
)

_LITTLE_ENDIAN: Final = frozenset({EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"})
"""Transfer syntaxes in which values are the same bytes."""
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_TOLD_APART: Final = frozenset({"image/jpeg", "image/dicom-rle", "image/jls", "image/jp2", "image/jphc"})
"""Media types whose code streams tell their transfer syntax."""
_FRAME: Final = re.compile(r"(?P<uri>.+)/frames/(?P<number>[1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class BulkPart:
    """One part that is neither an instance nor metadata.

    Parameters
    ----------
    uri : Content-Location, without the frame that it names
    frame : that frame, from 1; 0 where it names none
    media_type : in lower case
    transfer_syntax_uid : as the Content-Type names it, "" where it names none
    """

    uri: str = field(repr=False)
    frame: int
    media_type: str
    transfer_syntax_uid: str
    body: EncodedBytes = field(repr=False)

    @classmethod
    def of(cls, headers: Mapping[str, str], location: str, body: EncodedBytes) -> BulkPart:
        """Read what the headers say.

        Parameters
        ----------
        location : Content-Location, absolute

        Raises
        ------
        BadRequest : the Content-Type cannot be read
        """
        media_type, parameters = parse_content_type(headers.get("content-type") or OCTET_STREAM)
        named = parameters.get("transfer-syntax", "")
        uri, frame = named_frame(location)
        return cls(uri, frame, present_name(media_type), named, body)

    @property
    def is_video(self) -> bool:
        """Whether it is one stream of all frames."""
        return self.media_type.startswith("video/")

    @property
    def is_compressed(self) -> bool:
        """Whether its Content-Type says so."""
        if self.media_type == OCTET_STREAM:
            return bool(self.transfer_syntax_uid) and self.transfer_syntax_uid not in _LITTLE_ENDIAN
        return stream_media_type(self.transfer_syntax_uid) != OCTET_STREAM or bool(default_of_stream(self.media_type))


def named_frame(location: str) -> tuple[str, int]:
    """The address of an element's value, and the frame of it that a location names; 0 where it names none."""
    found = _FRAME.fullmatch(location)
    return (found["uri"], int(found["number"])) if found else (location, 0)


def pixel_syntax(part: BulkPart, fallback: str = "") -> str:
    """The transfer syntax of a part that holds pixels; Explicit VR Little Endian where they are native.

    Parameters
    ----------
    fallback : what the metadata names, which counts where the part's Content-Type names none

    Raises
    ------
    UnsupportedMediaType : pixels are not taken in this media type
    InstanceUnreadable : the transfer syntax is not one of the media type, or not that of the code stream
    """
    if part.media_type == OCTET_STREAM:
        return _of_octets(part, part.transfer_syntax_uid)
    default = default_of_stream(part.media_type)
    if not default:
        raise UnsupportedMediaType(
            f"Pixel Data is not taken as {_shown(part.media_type)}; send it as {OCTET_STREAM} (native), image/jpeg, "
            "image/jls, image/jp2, image/jpx, image/jphc, image/jxl, image/dicom-rle or video (PS3.18 Table 8.7.3-5)"
        )
    named = part.transfer_syntax_uid
    if named and stream_media_type(named).lower() != part.media_type:
        raise InstanceUnreadable("The transfer-syntax of a part is not one of its media type (PS3.18 Table 8.7.3-5)")
    if not named and fallback and stream_media_type(fallback).lower() == part.media_type:
        named = fallback
    return _checked(part, named, default)


def _of_octets(part: BulkPart, named: str) -> str:
    """Octets are native pixels, or a code stream where a compressed transfer syntax is named, as many clients do."""
    if not named or named in _LITTLE_ENDIAN:
        return EXPLICIT_VR_LITTLE_ENDIAN
    if named == _BIG_ENDIAN or stream_media_type(named) == OCTET_STREAM:
        raise InstanceUnreadable("Bulk data in a transfer syntax that is not taken; send it in little endian order")
    return _checked(part, named, named)


def _checked(part: BulkPart, named: str, default: str) -> str:
    """The transfer syntax, held against what the code stream itself says."""
    if stream_media_type(named or default) not in _TOLD_APART:
        return named or default
    found = syntax_of_code_stream(part.body[:LOOK_BYTES])
    if not found:
        raise InstanceUnreadable("A frame whose code stream cannot be read; send it without the boxes of a file format")
    if named and not fits(found, named):
        raise InstanceUnreadable("A frame's code stream is in another transfer syntax than its Content-Type names")
    if not named and stream_media_type(found) != stream_media_type(default):
        raise InstanceUnreadable("A frame's code stream is of another media type than its Content-Type names")
    return named or found


def _shown(media_type: str) -> str:
    """A media type in words of ours; what a caller wrote is not repeated."""
    return media_type if media_type in {"image/gif", "image/png", "image/bmp", "image/tiff", "image/webp"} else "that"
