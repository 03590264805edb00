"""In what form pixel data goes out (PS3.18 8.7.3): as stored, native, or compressed for the caller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from service.errors import NotAcceptable
from service.web.dicomweb.media_types import (
    ANY,
    AS_STORED,
    EXPLICIT_VR_LITTLE_ENDIAN,
    OCTET_STREAM,
    MediaRange,
    default_transfer_syntax,
    stream_media_type,
)
from service.web.dicomweb.pixel_decoding import may_be_lossy


@dataclass(frozen=True, slots=True)
class PixelForm:
    """How each frame goes out.

    Parameters
    ----------
    stored : the code stream as it is; otherwise the pixels are written anew
    """

    media_type: str
    transfer_syntax_uid: str
    stored: bool
    multipart: bool

    @property
    def content_type(self) -> str:
        """Of each part; viewers look for ``transfer-syntax=`` in it."""
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax_uid}"

    @property
    def native(self) -> bool:
        """Whether the pixels go out uncompressed."""
        return not self.stored and self.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN


@dataclass(frozen=True, slots=True)
class PixelSource:
    """What is stored, and what can be made of it.

    Parameters
    ----------
    encapsulated : whether the pixels are stored compressed
    decodable : whether a codec for them is at hand; native pixels need none
    lossless : the transfer syntaxes in which they can be written with nothing lost, the preferred one first
    lossy : those in which something would be lost
    """

    transfer_syntax_uid: str
    encapsulated: bool
    decodable: bool = True
    lossless: Sequence[str] = ()
    lossy: Sequence[str] = ()


def choose_pixel_form(ranges: Sequence[MediaRange], source: PixelSource, *, single: bool) -> PixelForm:
    """Choose the first of the caller's ranges that can be met.

    A form in which something is lost is only chosen where no other range can be met.

    Parameters
    ----------
    single : whether there is just one representation, so that it needs no multipart

    Raises
    ------
    NotAcceptable : with what could be had
    """
    open_ranges = [media_range for media_range in ranges if single or media_range.multipart is not False]
    for forms in (_lossless, _lossy):
        for media_range in open_ranges:
            for form in _wrapped(media_range, forms(media_range, source), single=single):
                if media_range.allows(form.media_type, form.transfer_syntax_uid, multipart=form.multipart):
                    return form
    raise NotAcceptable(_offer(source))


def _wrapped(media_range: MediaRange, forms: Iterable[PixelForm | None], *, single: bool) -> Iterator[PixelForm]:
    """The forms that there are, also without multipart for who leaves that open."""
    found = [form for form in forms if form is not None]
    yield from found
    if single and media_range.multipart is None:
        yield from (replace(form, multipart=False) for form in found)


def _lossless(media_range: MediaRange, source: PixelSource) -> Iterator[PixelForm | None]:
    """The forms within a range, the preferred one first; further ones count where a narrower range refuses it."""
    if source.encapsulated:
        yield from _compressed(media_range, source)
    else:
        yield _native(media_range, source)
    if source.decodable:
        yield from _transcoded(media_range, source)


def _lossy(media_range: MediaRange, source: PixelSource) -> Iterator[PixelForm | None]:
    if source.decodable and media_range.transfer_syntax in source.lossy:
        yield _encoded(media_range, media_range.transfer_syntax)


def _native(media_range: MediaRange, source: PixelSource) -> PixelForm | None:
    # Implicit VR and big endian are never sent (PS3.18 8.7.3.1); who names them means what is stored.
    fits = media_range.takes_explicit or media_range.takes_as_stored(source.transfer_syntax_uid)
    return _uncompressed(media_range) if media_range.covers(OCTET_STREAM) and fits else None


def _uncompressed(media_range: MediaRange) -> PixelForm:
    multipart = media_range.multipart is not False
    return PixelForm(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN, stored=False, multipart=multipart)


def _compressed(media_range: MediaRange, source: PixelSource) -> Iterator[PixelForm]:
    """Compressed pixels as they are stored, or decoded."""
    stored_uid = source.transfer_syntax_uid
    own_type = stream_media_type(stored_uid)
    anything = media_range.media_type == ANY
    multipart = media_range.multipart is not False
    if media_range.transfer_syntax in (AS_STORED, stored_uid):
        media_type = OCTET_STREAM if media_range.covers(OCTET_STREAM) and not anything else own_type
        if media_range.covers(media_type):
            yield PixelForm(media_type, stored_uid, stored=True, multipart=multipart)
    if source.decodable and media_range.takes_explicit and media_range.covers(OCTET_STREAM):
        yield _uncompressed(media_range)
    if (
        media_range.covers(own_type)
        and not media_range.transfer_syntax
        and (anything or own_type != OCTET_STREAM)
        and not _has_better(media_range, source)
    ):
        yield PixelForm(own_type, stored_uid, stored=True, multipart=multipart)


def _has_better(media_range: MediaRange, source: PixelSource) -> bool:
    """Whether the media type that is named means another transfer syntax than the stored one (PS3.18 8.7.3.5).

    It does not where only lossy pixels exist: they would become larger and no better.
    """
    default = default_transfer_syntax(media_range.media_type)
    if default == source.transfer_syntax_uid or may_be_lossy(source.transfer_syntax_uid):
        return False
    return source.decodable and default in source.lossless


def _transcoded(media_range: MediaRange, source: PixelSource) -> Iterator[PixelForm | None]:
    """Pixels compressed for this caller, with nothing lost."""
    named = media_range.transfer_syntax
    if named not in ("", AS_STORED):
        if named in source.lossless:
            yield _encoded(media_range, named)
        return
    for uid in source.lossless:
        # A media type alone stands for its default transfer syntax (PS3.18 Table 8.7.3-2).
        if media_range.covers(stream_media_type(uid)) and default_transfer_syntax(stream_media_type(uid)) == uid:
            yield _encoded(media_range, uid)


def _encoded(media_range: MediaRange, uid: str) -> PixelForm | None:
    own_type = stream_media_type(uid)
    media_type = OCTET_STREAM if media_range.media_type == OCTET_STREAM else own_type
    if not media_range.covers(media_type):
        return None
    return PixelForm(media_type, uid, stored=False, multipart=media_range.multipart is not False)


def _offer(source: PixelSource) -> str:
    offers: list[str] = []
    if not source.encapsulated or source.decodable:
        offers.append(f'multipart/related; type="{OCTET_STREAM}"')
    if source.encapsulated:
        offers.append(_offered(source.transfer_syntax_uid))
        offers.append(f'multipart/related; type="{OCTET_STREAM}"; transfer-syntax=*')
    if source.decodable:
        offers += _each(source.lossless, source.transfer_syntax_uid) + _each(source.lossy, source.transfer_syntax_uid)
    return f"These pixels are to be had as {', or '.join(offers)}"


def _each(uids: Iterable[str], stored_uid: str) -> list[str]:
    return [_offered(uid) for uid in uids if uid != stored_uid]


def _offered(uid: str) -> str:
    return f'multipart/related; type="{stream_media_type(uid)}"; transfer-syntax={uid}'
