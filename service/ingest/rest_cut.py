"""An object without what stands behind its last frame, when a person has decided that this may go."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Final

from service.core.encoded_bytes import IN_MEMORY_BYTES, JoinedBytes, Section
from service.core.records import Incoming
from service.deident.pixel_rest import frames_length
from service.errors import BadRequest
from service.ingest.parsing import parse

_LENGTH_BYTES: Final = 4  # in every form right before the value (PS3.5 7.1.2, 7.1.3)


def without_rest(incoming: Incoming) -> Incoming:
    """The object with its native pixel data cut behind the frames that the header counts; the frames stay as they are.

    Raises
    ------
    BadRequest : there is nothing to cut, or it is deflated
    GatewayError : it cannot be read; says why
    """
    parsed = parse(incoming.data_set, incoming.transfer_syntax_uid, sop_class_uid=incoming.sop_class_uid)
    pixels, frames = parsed.pixels, frames_length(parsed.header)
    if parsed.deflated:
        raise BadRequest("a deflated object is not cut; have it sent again in another transfer syntax")
    if pixels is None or pixels.encapsulated or frames is None or len(pixels.value) <= frames:
        raise BadRequest("nothing stands behind the last frame of this object")
    order = "<" if parsed.header.original_encoding[1] else ">"
    cut = JoinedBytes(
        [
            Section(parsed.encoded, 0, pixels.offset - _LENGTH_BYTES),
            struct.pack(f"{order}I", frames),
            Section(parsed.encoded, pixels.offset, pixels.offset + frames),
            Section(parsed.encoded, pixels.end, len(parsed.encoded)),
        ]
    )
    return replace(incoming, data_set=cut[:] if len(cut) <= IN_MEMORY_BYTES else cut)
