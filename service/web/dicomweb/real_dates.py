"""No real date beside the dates of patients: in a project that removes identity nobody is told when objects came.

An object comes hardly later than it was made: its day here, beside a date that was moved, would give the shift away.
So such a project sends no Last-Modified, and answers nothing by a date either, for whoever may ask for many dates finds
the right one. Entity tags serve caches there.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from flask import Blueprint, Response, request

_CONDITIONS: Final = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE")
_ENTITY_TAG: Final = re.compile(r'\s*(W/)?"')


def keep_real_dates(blueprint: Blueprint, deidentified: Collection[str]) -> None:
    """Have the views of a blueprint neither tell nor compare dates, where their project is one of these."""

    @blueprint.before_request
    def forget_conditions() -> None:
        if _project() in deidentified:
            for name in _CONDITIONS:
                request.environ.pop(name, None)
            if not _ENTITY_TAG.match(request.environ.get("HTTP_IF_RANGE", '"')):
                request.environ["HTTP_IF_RANGE"] = '""'  # of no representation: all of it is sent

    @blueprint.after_request
    def leave_out(response: Response) -> Response:
        if _project() in deidentified:
            response.headers.pop("Last-Modified", None)
        return response


def _project() -> str:
    return str((request.view_args or {}).get("project", ""))
