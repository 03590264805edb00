"""DICOM files around planted objects, with tokens also where no data set is: before, after and beside it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from tests.planted_identity import OWN, Encoder
from tests.planted_objects import PlantedObject
from tests.planted_values import Tokens


@dataclass(frozen=True)
class Form:
    """A transfer syntax, and how its data sets are encoded."""

    transfer_syntax_uid: UID
    encoder: Encoder
    deflated: bool = False


FORMS = {
    "explicit": Form(ExplicitVRLittleEndian, Encoder()),
    "implicit": Form(ImplicitVRLittleEndian, Encoder(implicit=True)),
    "big-endian": Form(ExplicitVRBigEndian, Encoder(little=False)),
    "deflated": Form(DeflatedExplicitVRLittleEndian, Encoder(), deflated=True),
}
PIXELS = bytes((1, 2, 3, 4))


def planted_data_set(planted: PlantedObject, form: Form, *, pixels: bool) -> bytes:
    """The data set with pixel data and what may trail it (PS3.10 7.2), as it goes over the network."""
    encoder, tokens = form.encoder, planted.tokens
    content = planted.data_set
    if pixels:
        content += encoder.element(0x7FE00010, "OW", PIXELS)
    signature = encoder.element(0x04000120, "OB", tokens.value("OB", "signature after the pixels") or b"")
    content += encoder.sequence(0xFFFAFFFA, [signature])
    content += encoder.element(0xFFFCFFFC, "OB", tokens.value("OB", "trailing padding") or b"")
    if not form.deflated:
        return content
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(content) + stream.flush()


def planted_file(planted: PlantedObject, form: Form, *, pixels: bool) -> bytes:
    """The data set in a file whose preamble and file meta hold tokens as well (PS3.10 7.1)."""
    tokens, encoder = planted.tokens, Encoder()
    preamble = (tokens.value("LO", "preamble") or b"").ljust(128, b" ")
    own = {
        0x00020001: ("OB", b"\0\1"),
        0x00020002: ("UI", b"1.2.840.10008.5.1.4.1.1.2"),
        0x00020003: ("UI", tokens.value("UI", "file meta")),
        0x00020010: ("UI", str(form.transfer_syntax_uid).encode()),
        0x00020012: ("UI", tokens.value("UI", "file meta")),
        0x00020013: ("SH", tokens.value("SH", "file meta")),
        0x00020016: ("AE", tokens.value("AE", "file meta")),
        0x00020017: ("AE", tokens.value("AE", "file meta")),
        0x00020018: ("AE", tokens.value("AE", "file meta")),
        0x00020026: ("UR", tokens.value("UR", "file meta")),
        0x00020100: ("UI", tokens.value("UI", "file meta")),
        0x00020102: ("OB", tokens.value("OB", "file meta")),
    }
    meta = encoder.data_set({tag: encoder.element(tag, vr, value or b"") for tag, (vr, value) in own.items()})
    length = encoder.element(0x00020000, "UL", struct.pack("<I", len(meta)))
    return preamble + b"DICM" + length + meta + planted_data_set(planted, form, pixels=pixels)


def identity_in_file(content: bytes, data_set: Dataset, tokens: Tokens) -> list[str]:
    """What of the planted identity stands in a file: as bytes, inflated, and in its decoded texts."""
    left = tokens.left_in(content) + own_values_in(content)
    if data_set.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        inflated = _inflated(content)
        left += tokens.left_in(inflated) + own_values_in(inflated)
    texts = "\n".join(decoded_texts(data_set))
    return left + tokens.left_in_text(texts) + own_values_in(texts.encode())


def _inflated(content: bytes) -> bytes:
    (length,) = struct.unpack_from("<I", content, 140)
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[144 + length :])


def own_values_in(content: bytes) -> list[str]:
    """The patient's own values that stand in bytes, in any case, also in UTF-16."""
    lowered = content.lower()
    narrow = lowered.replace(b"\0", b"")
    return [f"own value {own}" for own in OWN if own.lower().encode() in lowered or own.lower().encode() in narrow]


def decoded_texts(data_set: Dataset) -> Iterator[str]:
    """Every text of a data set, at every depth, decoded."""
    for tag in data_set.keys():  # noqa: SIM118 - numbers are not converted
        element = data_set.get_item(tag)
        vr = element.VR or dictionary_VR(tag)
        if vr == "SQ":
            for item in data_set[tag].value:
                yield from decoded_texts(item)
        elif vr in CUSTOMIZABLE_CHARSET_VR:
            yield str(data_set[tag].value)
