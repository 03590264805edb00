"""Reports and documents rendered (PS3.18 8.7.4, text category)."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import Final

from flask import Request, Response
from pydicom.dataset import Dataset
from werkzeug.datastructures import CharsetAccept
from werkzeug.http import parse_accept_header

from service.archive.bulk_data import BulkReader
from service.core.archived import InstanceRow
from service.core.ports import BlobStore
from service.errors import NotAcceptable
from service.web.dicomweb.answers import answer_single
from service.web.dicomweb.drawing import attributes_read, header_of
from service.web.dicomweb.file_stretch import FileStretch
from service.web.dicomweb.media_types import MediaRange
from service.web.dicomweb.report_text import as_html, as_plain_text, as_xml
from service.web.dicomweb.stored_object import StoredObject

PDF: Final = "application/pdf"
_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
_ENCAPSULATED_DOCUMENT: Final = "00420011"
_PLAIN: Final = "text/plain"
TEXT_FORMS: Final[dict[str, Callable[[Dataset], str]]] = {
    "text/html": as_html,
    _PLAIN: as_plain_text,
    "text/xml": as_xml,
}
_UTF_8: Final = "utf-8"
# What the standard's own character sets are called on the web, beside ASCII (PS3.3 C.12.1.1.2).
_CHARSETS: Final = (
    *(_UTF_8, "us-ascii", *(f"iso-8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15))),
    *("tis-620", "shift_jis", "iso-2022-jp", "iso-2022-kr", "euc-kr", "gb18030", "gbk", "gb2312"),
)


def is_text(row: InstanceRow) -> bool:
    """Whether an instance is rendered as text rather than as an image."""
    return row.sop_class_uid.startswith(_REPORTS) or row.sop_class_uid == _ENCAPSULATED_PDF


def answer_text(request: Request, row: InstanceRow, blobs: BlobStore, ranges: Sequence[MediaRange]) -> Response:
    """Answer with a report in the form that the caller takes, or with an encapsulated document as it is.

    Parameters
    ----------
    ranges : what the caller accepts, best first

    Raises
    ------
    NotAcceptable : none of the forms, or of the character sets, that there are
    """
    if row.sop_class_uid == _ENCAPSULATED_PDF:
        return _document(row, blobs, ranges)
    for media_range in ranges:
        for media_type, write in TEXT_FORMS.items():
            if _covers(media_range, media_type):
                with StoredObject(row, blobs) as stored, attributes_read():
                    text = write(header_of(stored))
                return _answer(text, media_type, chosen_charset(request))
    raise NotAcceptable(f"A report is to be had rendered as {', '.join(TEXT_FORMS)}")


def chosen_charset(request: Request) -> str:
    """The character set that suits the caller best (PS3.18 8.7.2, 8.3.3.2); UTF-8 for who names none.

    Raises
    ------
    NotAcceptable : none of those that are written here
    """
    named = request.args.get("charset") or request.headers.get("Accept-Charset")
    if not named:
        return _UTF_8
    for charset, quality in parse_accept_header(named, CharsetAccept):
        if quality > 0 and charset == "*":
            return _UTF_8
        if quality > 0 and charset.lower() in _CHARSETS:
            return charset.lower()
    raise NotAcceptable(f"Text is written here in {', '.join(_CHARSETS)}")


def _answer(text: str, media_type: str, charset: str) -> Response:
    try:
        body = text.encode(codecs.lookup(charset).name, "strict" if media_type == _PLAIN else "xmlcharrefreplace")
    except UnicodeEncodeError as error:
        raise NotAcceptable(f"This report holds letters that {charset} lacks; ask for {_UTF_8}") from error
    if media_type == "text/xml" and charset != _UTF_8:
        body = body.replace(b"<?xml version='1.0'?>", f"<?xml version='1.0' encoding='{charset}'?>".encode(), 1)
    return answer_single(f"{media_type}; charset={charset}", body, length=len(body))


def _document(row: InstanceRow, blobs: BlobStore, ranges: Sequence[MediaRange]) -> Response:
    if not any(_covers(media_range, PDF) for media_range in ranges):
        raise NotAcceptable(f"An encapsulated document is to be had rendered as {PDF}")
    with blobs.open(row.blob.key) as stream:
        value = BulkReader(stream, row).value(_ENCAPSULATED_DOCUMENT)
    if value.data is not None:
        return answer_single(PDF, value.data, length=value.length)
    lies = FileStretch(lambda: blobs.open(row.blob.key), value.offset or 0, value.length)
    return answer_single(PDF, lies, length=value.length)


def _covers(media_range: MediaRange, media_type: str) -> bool:
    return (
        not media_range.multipart and media_range.covers(media_type) and media_range.allows(media_type, multipart=False)
    )
