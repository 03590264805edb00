"""The query of WADO-URI (PS3.18 9.1) → what is wanted, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from service.core.archived import InstanceRow
from service.errors import BadRequest
from service.web.dicomweb.media_types import EXPLICIT_VR_LITTLE_ENDIAN, MediaRange, parse_accept
from service.web.dicomweb.render_parameters import RenderRequest, Viewport, parse_rendering
from service.web.dicomweb.resources import check_uids

_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LARGEST: Final = 16384
_UIDS: Final = ("studyUID", "seriesUID", "objectUID")
_PRESENTATION: Final = ("presentationSeriesUID", "presentationUID")
# Never used on the web (PS3.18 8.7.3.5.2).
_NEVER: Final = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"})
# What says how to draw, and so has no sense for a DICOM file.
_DRAWING: Final = (
    *("annotation", "rows", "columns", "region", "windowCenter", "windowWidth", "imageQuality", "frameNumber"),
    *_PRESENTATION,
)

PARAMETERS: Final = ("requestType", *_UIDS, "contentType", "charset", "anonymize", "transferSyntax", *_DRAWING)
"""All that an address may say."""


@dataclass(frozen=True, slots=True)
class UriRequest:
    """What is wanted of one object; UIDs are checked.

    Parameters
    ----------
    content_types : best first; empty where nothing was said
    transfer_syntax_uid : of a DICOM file; "" where nothing was said
    region : left, top, right and bottom edge, 0 to 1
    presentation : series and instance of a presentation state, or None
    """

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    content_types: tuple[MediaRange, ...] = ()
    transfer_syntax_uid: str = ""
    anonymize: bool = False
    frame: int = 0
    rows: int | None = None
    columns: int | None = None
    region: tuple[float, float, float, float] | None = None
    presentation: tuple[str, str] | None = None
    drawn: RenderRequest = field(default_factory=RenderRequest)
    drawing_keys: tuple[str, ...] = ()

    def rendering(self, row: InstanceRow) -> RenderRequest:
        """How to draw this instance; the region is turned into its pixels.

        Raises
        ------
        BadRequest : the instance has no size of which a region could be a part
        """
        if self.region is None and self.rows is None and self.columns is None:
            return self.drawn
        x, y, width, height = 0.0, 0.0, None, None
        size = (self.columns or _LARGEST, self.rows or _LARGEST)
        if self.region is not None:
            if not row.rows or not row.columns:
                raise BadRequest("region: this object is no image")
            left, top, right, bottom = self.region
            x, y = left * row.columns, top * row.rows
            width, height = max((right - left) * row.columns, 1.0), max((bottom - top) * row.rows, 1.0)
            if self.rows is None and self.columns is None:
                size = (round(width), round(height))
        return replace(self.drawn, viewport=Viewport(*size, x, y, width, height))


def parse_uri_request(parameters: Mapping[str, str]) -> UriRequest:
    """Read the parameters.

    Raises
    ------
    BadRequest : one is missing, or has a value that the standard does not allow
    """
    if parameters.get("requestType") != "WADO":
        raise BadRequest("requestType: not WADO, the only one that there is")
    if missing := [name for name in _UIDS if not parameters.get(name)]:
        raise BadRequest(f"{', '.join(missing)}: missing")
    study_uid, series_uid, sop_instance_uid = (parameters[name] for name in _UIDS)
    check_uids(study_uid, series_uid, sop_instance_uid)
    presentation = _presentation(parameters)
    if presentation and ("windowCenter" in parameters or "windowWidth" in parameters):
        raise BadRequest("windowCenter, windowWidth: not together with presentationUID")
    return UriRequest(
        study_uid,
        series_uid,
        sop_instance_uid,
        content_types=tuple(parse_accept(parameters["contentType"])) if parameters.get("contentType") else (),
        transfer_syntax_uid=_transfer_syntax(parameters.get("transferSyntax", "")),
        anonymize=_anonymize(parameters.get("anonymize", "")),
        frame=_whole("frameNumber", parameters, 10**9) or 0,
        rows=_whole("rows", parameters, _LARGEST),
        columns=_whole("columns", parameters, _LARGEST),
        region=_region(parameters["region"]) if "region" in parameters else None,
        presentation=presentation,
        drawn=_drawn(parameters),
        drawing_keys=tuple(name for name in _DRAWING if name in parameters),
    )


def _drawn(parameters: Mapping[str, str]) -> RenderRequest:
    """The parameters that mean the same as those of rendered resources, under other names."""
    same = {"annotation": parameters.get("annotation", "")}
    if "imageQuality" in parameters:
        same["quality"] = parameters["imageQuality"]
    center, width = parameters.get("windowCenter"), parameters.get("windowWidth")
    if (center is None) != (width is None):
        raise BadRequest("windowCenter, windowWidth: one without the other")
    if center is not None and width is not None:
        same["window"] = f"{center},{width},linear"
    return parse_rendering(same)


def _presentation(parameters: Mapping[str, str]) -> tuple[str, str] | None:
    given = [parameters.get(name, "") for name in _PRESENTATION]
    if not any(given):
        return None
    if not all(given):
        raise BadRequest("presentationUID, presentationSeriesUID: one without the other")
    check_uids(*given)
    return given[0], given[1]


def _transfer_syntax(text: str) -> str:
    if text:
        check_uids(text)
    if text in _NEVER:
        raise BadRequest(f"transferSyntax: neither implicit VR nor big endian; {EXPLICIT_VR_LITTLE_ENDIAN} is native")
    return text


def _anonymize(text: str) -> bool:
    if text not in ("", "yes", "no"):
        raise BadRequest("anonymize: neither yes nor no")
    return text == "yes"


def _whole(name: str, parameters: Mapping[str, str], largest: int) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= largest:
        raise BadRequest(f"{name}: not a whole number from 1 to {largest}")
    return int(text)


def _region(text: str) -> tuple[float, float, float, float]:
    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) != 4 or not all(_NUMBER.fullmatch(piece) for piece in pieces):
        raise BadRequest("region: not left,top,right,bottom")
    left, top, right, bottom = (float(piece) for piece in pieces)
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadRequest("region: edges are parts of the image from 0 to 1, left before right and top before bottom")
    return left, top, right, bottom
