"""In what form pixel data goes out (PS3.18 8.7.3): as stored, or as native little-endian pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import NotAcceptable
from service.web.dicomweb.media_types import (
    ANY,
    AS_STORED,
    EXPLICIT_VR_LITTLE_ENDIAN,
    OCTET_STREAM,
    MediaRange,
    stream_media_type,
)


@dataclass(frozen=True, slots=True)
class PixelForm:
    """How each frame goes out.

    Parameters
    ----------
    stored : the code stream as it is; otherwise native pixels
    """

    media_type: str
    transfer_syntax_uid: str
    stored: bool
    multipart: bool

    @property
    def content_type(self) -> str:
        """Of each part; viewers look for ``transfer-syntax=`` in it."""
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax_uid}"


def choose_pixel_form(
    ranges: Sequence[MediaRange],
    transfer_syntax_uid: str,
    *,
    encapsulated: bool,
    decodable: bool,
    single: bool,
) -> PixelForm:
    """Choose the first of the caller's ranges that can be met.

    Parameters
    ----------
    encapsulated : whether the pixels are stored compressed
    decodable : whether a codec for them is at hand
    single : whether there is just one representation, so that it needs no multipart

    Raises
    ------
    NotAcceptable : with what could be had
    """
    for media_range in ranges:
        if media_range.multipart is False and not single:
            continue
        multipart = media_range.multipart is not False
        form = (
            _compressed(media_range, transfer_syntax_uid, decodable, multipart)
            if encapsulated
            else _native(media_range, transfer_syntax_uid, multipart)
        )
        if form is not None:
            return form
    raise NotAcceptable(_offer(transfer_syntax_uid, encapsulated=encapsulated, decodable=decodable))


def _native(media_range: MediaRange, transfer_syntax_uid: str, multipart: bool) -> PixelForm | None:
    # Implicit VR and big endian are never sent (PS3.18 8.7.3.1); who names them means what is stored.
    fits = media_range.takes_explicit or media_range.takes_as_stored(transfer_syntax_uid)
    if not media_range.covers(OCTET_STREAM) or not fits:
        return None
    return PixelForm(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN, stored=False, multipart=multipart)


def _compressed(
    media_range: MediaRange, transfer_syntax_uid: str, decodable: bool, multipart: bool
) -> PixelForm | None:
    own_type = stream_media_type(transfer_syntax_uid)
    anything = media_range.media_type == ANY
    if media_range.transfer_syntax in (AS_STORED, transfer_syntax_uid):
        media_type = OCTET_STREAM if media_range.covers(OCTET_STREAM) and not anything else own_type
        stored = media_range.covers(media_type)
    elif decodable and media_range.takes_explicit and media_range.covers(OCTET_STREAM):
        return PixelForm(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN, stored=False, multipart=multipart)
    else:
        media_type = own_type
        stored = media_range.covers(own_type) and not media_range.transfer_syntax
        stored = stored and (anything or own_type != OCTET_STREAM)
    return PixelForm(media_type, transfer_syntax_uid, stored=True, multipart=multipart) if stored else None


def _offer(transfer_syntax_uid: str, *, encapsulated: bool, decodable: bool) -> str:
    offers = []
    if not encapsulated or decodable:
        offers.append(f'multipart/related; type="{OCTET_STREAM}"')
    if encapsulated:
        own_type = stream_media_type(transfer_syntax_uid)
        offers.append(f'multipart/related; type="{own_type}"; transfer-syntax={transfer_syntax_uid}')
        offers.append(f'multipart/related; type="{OCTET_STREAM}"; transfer-syntax=*')
    return f"These pixels are to be had as {', or '.join(offers)}"
