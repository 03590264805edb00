"""Data sets that come in with work items: DICOM JSON or the Native DICOM Model, bounded (PS3.18 8.7.3.2, 11.1.2)."""

from __future__ import annotations

from typing import Final

from flask import Request

from service.core.json_data_set import DataSetLimits, checked_data_set, read_json_data_set
from service.core.native_dicom_model import from_xml
from service.core.search import Attributes
from service.errors import BadRequest, UnsupportedMediaType
from service.web.dicomweb.media_types import DICOM_JSON, JSON, parse_content_type
from service.web.dicomweb.metadata_forms import DICOM_XML
from service.web.dicomweb.received_parts import MultipartReader, PartTooLarge, is_boundary

LIMITS: Final = DataSetLimits()
_TAKEN: Final = f'{DICOM_JSON}, {DICOM_XML}, or one part of multipart/related; type="{DICOM_XML}"'


def read_data_set(incoming: Request, limit_bytes: int, *, optional: bool = False) -> Attributes:
    """The data set of a request's body.

    Parameters
    ----------
    optional : whether there need not be a body; then there is nothing in it

    Raises
    ------
    BadRequest : it cannot be understood, or is not one of DICOM
    PartTooLarge : it is larger than ``limit_bytes``
    UnsupportedMediaType : it is something else
    """
    header = incoming.headers.get("Content-Type", "")
    if optional and not header and not incoming.content_length:
        return {}
    media_type, parameters = parse_content_type(header) if header else ("", {})
    if media_type == "multipart/related":
        media_type, body = _single_part(incoming, parameters, limit_bytes)
    elif media_type in (DICOM_JSON, JSON, DICOM_XML):
        body = _bounded(incoming, limit_bytes)
    else:
        raise UnsupportedMediaType(f"Work items are taken as {_TAKEN}")
    if optional and not body.strip():
        return {}
    if media_type == DICOM_XML:
        return checked_data_set(from_xml(body), LIMITS)
    return read_json_data_set(body, LIMITS)


def _bounded(incoming: Request, limit_bytes: int) -> bytes:
    read: list[bytes] = []
    size = 0
    while chunk := incoming.stream.read(min(65536, limit_bytes + 1)):
        size += len(chunk)
        if size > limit_bytes:
            raise PartTooLarge(f"The data set is larger than {limit_bytes} bytes")
        read.append(chunk)
    return b"".join(read)


def _single_part(incoming: Request, parameters: dict[str, str], limit_bytes: int) -> tuple[str, bytes]:
    boundary = parameters.get("boundary", "")
    if not is_boundary(boundary):
        raise BadRequest("The Content-Type names no boundary")
    parts = iter(MultipartReader(incoming.stream, boundary, limit_bytes))
    part = next(parts, None)
    if part is None or next(parts, None) is not None:
        raise BadRequest("The body holds one data set, in one part")
    media_type, _ = parse_content_type(part.headers.get("content-type", parameters.get("type", "")))
    if media_type not in (DICOM_JSON, JSON, DICOM_XML):
        raise UnsupportedMediaType(f"Work items are taken as {_TAKEN}")
    return media_type, bytes(part.body[:])
