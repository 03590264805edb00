"""In what form data sets go out: DICOM JSON or the Native DICOM Model in XML (PS3.18 8.7.3.2), always in UTF-8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Request

from service.core.native_dicom_model import xml_pieces
from service.errors import NotAcceptable
from service.web.dicomweb.answers import accepted
from service.web.dicomweb.media_types import DICOM_JSON, JSON
from service.web.dicomweb.multipart import OutgoingPart

DICOM_XML: Final = "application/dicom+xml"
_UTF_8: Final = frozenset({"utf-8", "utf8", "*"})


@dataclass(frozen=True, slots=True)
class MetadataForm:
    """How data sets go out; JSON is one array, XML one part for each data set unless there is just one."""

    media_type: str
    multipart: bool

    @property
    def is_xml(self) -> bool:
        """Whether as XML."""
        return self.media_type == DICOM_XML


def choose_metadata_form(request: Request, *, single: bool = False) -> MetadataForm:
    """The first form that the caller takes.

    Parameters
    ----------
    single : whether there is one data set, so that XML needs no multipart

    Raises
    ------
    NotAcceptable : the caller takes neither JSON nor XML, or not UTF-8
    """
    check_charset(request)
    for media_range in accepted(request):
        if media_range.multipart is not True:
            for offered in (DICOM_JSON, JSON):
                if media_range.covers(offered) and media_range.allows(offered, multipart=False):
                    return MetadataForm(offered, multipart=False)
        if media_range.covers(DICOM_XML) and (single or media_range.multipart is not False):
            multipart = media_range.multipart is not False
            if media_range.allows(DICOM_XML, multipart=multipart):
                return MetadataForm(DICOM_XML, multipart=multipart)
    raise NotAcceptable(
        f'This resource is to be had as {DICOM_JSON} or multipart/related; type="{DICOM_XML}"'
        f"{f', or as {DICOM_XML}' if single else ''}"
    )


def check_charset(request: Request) -> None:
    """Refuse a caller who takes no UTF-8: by the query parameter, which goes first, or by the header (PS3.18 8.8.1).

    Raises
    ------
    NotAcceptable : only other character sets are named
    """
    named = request.args.get("charset") or request.headers.get("Accept-Charset") or ""
    found = _charsets(named)
    if found and not any(charset in _UTF_8 for charset in found):
        raise NotAcceptable("Text is to be had in UTF-8 only (PS3.18 8.8)")


def xml_part(data_set: Mapping[str, Any], location: str = "") -> OutgoingPart:
    """One data set as a part."""
    return OutgoingPart(DICOM_XML, lambda: xml_pieces(data_set), None, location)


def _charsets(header: str) -> list[str]:
    """The character sets that a list names, without those of quality 0."""
    found = []
    for item in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in item.split(";"))
        if name and not any(parameter.replace(" ", "") in ("q=0", "q=0.0") for parameter in parameters):
            found.append(name)
    return found
