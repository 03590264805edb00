"""What a caller accepts, and which media type carries which transfer syntax (PS3.18 8.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from service.errors import BadRequest

DICOM: Final = "application/dicom"
DICOM_JSON: Final = "application/dicom+json"
JSON: Final = "application/json"
OCTET_STREAM: Final = "application/octet-stream"
ANY: Final = "*/*"

EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
AS_STORED: Final = "*"
_MOST_NARROWING: Final = 64

# PS3.18 Table 8.7.3-5 and -2: the media type of each compressed pixel data stream.
_STREAM_MEDIA_TYPES: Final = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.100": "video/mpeg",
    "1.2.840.10008.1.2.4.100.1": "video/mpeg",
    "1.2.840.10008.1.2.4.101": "video/mpeg",
    "1.2.840.10008.1.2.4.101.1": "video/mpeg",
    "1.2.840.10008.1.2.4.102": "video/mp4",
    "1.2.840.10008.1.2.4.102.1": "video/mp4",
    "1.2.840.10008.1.2.4.103": "video/mp4",
    "1.2.840.10008.1.2.4.103.1": "video/mp4",
    "1.2.840.10008.1.2.4.104": "video/mp4",
    "1.2.840.10008.1.2.4.104.1": "video/mp4",
    "1.2.840.10008.1.2.4.105": "video/mp4",
    "1.2.840.10008.1.2.4.105.1": "video/mp4",
    "1.2.840.10008.1.2.4.106": "video/mp4",
    "1.2.840.10008.1.2.4.106.1": "video/mp4",
    "1.2.840.10008.1.2.4.107": "video/H265",
    "1.2.840.10008.1.2.4.108": "video/H265",
}
# What the media type of compressed pixels alone stands for: the rows marked D of PS3.18 Table 8.7.3-5.
_STREAM_DEFAULTS: Final = {
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jpx": "1.2.840.10008.1.2.4.92",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/jxl": "1.2.840.10008.1.2.4.110",
    "video/mpeg": "1.2.840.10008.1.2.4.101",
    "video/mp4": "1.2.840.10008.1.2.4.102",
    "video/h265": "1.2.840.10008.1.2.4.107",
}
# Names from before these types were registered, which clients still send.
_OLDER_NAMES: Final = {
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-jls": "image/jls",
    "image/dicom+jpeg": "image/jpeg",
    "image/dicom+rle": "image/dicom-rle",
    "image/dicom+jp2": "image/jp2",
    "image/dicom+jpx": "image/jpx",
    "video/mpeg2": "video/mpeg",
}

Specificity = tuple[int, bool, bool]


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One thing that a caller accepts.

    Parameters
    ----------
    media_type : of the payload: for multipart/related the type of its parts, ``*/*`` where none is given
    multipart : whether it has to come as multipart; None where either will do
    transfer_syntax : a UID, ``*`` for as stored, or "" where nothing was said
    quality : 0 to 1
    narrowed : the ranges of the same list that say more than this one, and are liked less or not at all
    """

    media_type: str
    multipart: bool | None
    transfer_syntax: str = ""
    quality: float = 1.0
    parameters: dict[str, str] = field(default_factory=dict)
    narrowed: tuple[MediaRange, ...] = field(default=(), repr=False, compare=False)

    def covers(self, media_type: str) -> bool:
        """Whether a payload of this type is within the range."""
        if self.media_type == ANY:
            return True
        wanted_type, _, wanted_subtype = self.media_type.partition("/")
        offered_type, _, offered_subtype = media_type.lower().partition("/")
        return wanted_type == offered_type and wanted_subtype in ("*", offered_subtype)

    def allows(self, media_type: str, transfer_syntax_uid: str = "", *, multipart: bool) -> bool:
        """Whether what it covers is not liked less by a range that says more of it, which counts (RFC 9110 12.5.1).

        A payload of quality 0 is refused to ``*/*`` as a part and alone, whichever of them is named.
        """
        for other in self.narrowed:
            wrapped = other.multipart in (None, multipart)
            refused = other.quality == 0 and self.multipart is None and other.media_type != ANY
            syntax = other.transfer_syntax in ("", AS_STORED, transfer_syntax_uid)
            if other.covers(media_type) and syntax and (wrapped or refused):
                return False
        return True

    @property
    def specificity(self) -> Specificity:
        """How much it says, to be compared with that of others."""
        type_, _, subtype = self.media_type.partition("/")
        named = (type_ != "*") + (subtype != "*")
        return named, self.multipart is not None, self.transfer_syntax not in ("", AS_STORED)

    def takes_as_stored(self, transfer_syntax_uid: str) -> bool:
        """Whether bytes in this stored transfer syntax are within the range as they are."""
        if self.transfer_syntax:
            return self.transfer_syntax in (AS_STORED, transfer_syntax_uid)
        return transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN

    @property
    def takes_explicit(self) -> bool:
        """Whether Explicit VR Little Endian, the default of every category, is within the range."""
        return self.transfer_syntax in ("", AS_STORED, EXPLICIT_VR_LITTLE_ENDIAN)


def parse_accept(value: str | None) -> list[MediaRange]:
    """Read an Accept header (or the query parameter of that name), best first.

    Ranges of equal quality keep their order. A missing header is taken for ``*/*``: PS3.18 8.7.5 would have 406, but
    HTTP does not (RFC 9110 12.5.1), and OHIF sends none when it stores. What cannot be read is left out.
    """
    if value is None or not value.strip():
        return [MediaRange(ANY, None)]
    ranges = [parsed for parsed in map(_parse_range, _split(value, ",")) if parsed is not None]
    least = MediaRange(ANY, None).specificity
    specific = [(said, item) for item in ranges if (said := item.specificity) > least][:_MOST_NARROWING]
    open_ranges = [_narrowed(item, specific) for item in ranges if item.quality > 0]
    return sorted(open_ranges, key=lambda item: -item.quality)


def parse_content_type(value: str) -> tuple[str, dict[str, str]]:
    """Split a Content-Type into its media type in lower case and its parameters, unquoted.

    Raises
    ------
    BadRequest : there is no media type in it
    """
    media_type, *rest = _split(value, ";")
    media_type = media_type.strip().lower()
    if "/" not in media_type:
        raise BadRequest("The Content-Type header cannot be read")
    return media_type, _parameters(rest)


def stream_media_type(transfer_syntax_uid: str) -> str:
    """The media type of a compressed pixel data stream, ``application/octet-stream`` where the standard has none."""
    return _STREAM_MEDIA_TYPES.get(transfer_syntax_uid, OCTET_STREAM)


def default_transfer_syntax(media_type: str) -> str:
    """The transfer syntax that a media type stands for where none is named; "" for a wildcard or text."""
    if media_type in (DICOM, OCTET_STREAM):
        return EXPLICIT_VR_LITTLE_ENDIAN
    return default_of_stream(media_type)


def default_of_stream(media_type: str) -> str:
    """The same of compressed pixels; "" for every media type of anything else."""
    return _STREAM_DEFAULTS.get(media_type.lower(), "")


def present_name(media_type: str) -> str:
    """The media type under the name that is registered now, where an older one is used."""
    return _OLDER_NAMES.get(media_type, media_type)


def is_video(transfer_syntax_uid: str) -> bool:
    """Whether the pixel data of this transfer syntax is one video stream rather than frames."""
    return _STREAM_MEDIA_TYPES.get(transfer_syntax_uid, "").startswith("video/")


def _narrowed(media_range: MediaRange, others: Sequence[tuple[Specificity, MediaRange]]) -> MediaRange:
    said, liked = media_range.specificity, media_range.quality
    narrowed = tuple(other for its, other in others if other.quality < liked and its > said)
    return replace(media_range, narrowed=narrowed) if narrowed else media_range


def _parse_range(text: str) -> MediaRange | None:
    media_type, *rest = (piece.strip() for piece in _split(text, ";"))
    media_type = media_type.lower()
    if media_type.count("/") != 1:
        return None
    parameters = _parameters(rest)
    try:
        quality = min(max(float(parameters.pop("q", "1")), 0.0), 1.0)
    except ValueError:
        return None
    transfer_syntax = parameters.pop("transfer-syntax", "")
    multipart: bool | None = False
    if media_type in ("multipart/related", "multipart/*"):
        multipart = True
        media_type = parameters.pop("type", ANY).lower()
    elif media_type == ANY:
        multipart = None
    return MediaRange(present_name(media_type), multipart, transfer_syntax, quality, parameters)


def _parameters(pieces: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in pieces:
        name, _, value = piece.partition("=")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        if name.strip():
            found[name.strip().lower()] = value
    return found


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at separators that stand outside quotes."""
    start, quoted, escaped = 0, False, False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            yield text[start:index]
            start = index + 1
    yield text[start:]
