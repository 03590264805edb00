"""The page on which a person decides about pixels: the picture, where something was found, and what is blackened."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from service.core.archived import QuarantineRow
from service.errors import BadRequest, InstanceNotFound
from service.ingest.pixel_case import MOST_REGIONS, PixelCase, Region
from service.web.guard import audit_target, present_caller
from service.web.services import WebServices

_NUMBER = re.compile(r"-?\d{1,9}")
_BLANK_ROWS = 2


def register_pixel_pages(
    pages: Blueprint, services: WebServices, entry_of: Callable[[str], QuarantineRow], check_form: Callable[[], None]
) -> None:
    """Add the routes.

    Parameters
    ----------
    entry_of : the row of an object in quarantine that the present caller may reach
    check_form : raises unless the form at hand was given to the present caller
    """

    @pages.get("/quarantine/<quarantine_id>")
    def pixels(quarantine_id: str) -> str:
        entry = entry_of(quarantine_id)
        case = _case(services, quarantine_id)
        return render_template(
            "quarantine_pixels.html", entry=entry, case=case, frame=_frame(case.frames), blank_rows=_BLANK_ROWS
        )

    @pages.get("/quarantine/<quarantine_id>/picture")
    def picture(quarantine_id: str) -> Response:
        entry = entry_of(quarantine_id)
        frame = _frame(_case(services, quarantine_id).frames)
        audit_target(entry.id, project=entry.project, frame=frame)
        png = services.desk.picture(quarantine_id, frame)
        return Response(png, mimetype="image/png", headers={"Cache-Control": "no-store"})

    @pages.post("/quarantine/<quarantine_id>/release-seen")
    def release_seen(quarantine_id: str) -> AnyResponse:
        check_form()
        entry = entry_of(quarantine_id)
        regions = drawn_regions(request.form)
        if request.form.get("seen") != "yes":
            raise BadRequest("say that you have looked at every frame")
        unchanged = request.form.get("decide") == "unchanged"
        if not regions and not unchanged:
            raise BadRequest("there is no box to blacken; draw one, or release the object as it is")
        outcome = services.desk.release_seen(quarantine_id, present_caller().name, [] if unchanged else regions)
        told = outcome.kind.value
        return redirect(url_for("dashboard.quarantine", project=entry.project, told=told), code=303)


def _case(services: WebServices, quarantine_id: str) -> PixelCase:
    case = services.desk.pixel_case(quarantine_id)
    if case is None:
        raise InstanceNotFound("the pixels of this object are not what it is held for")
    return case


def _frame(frames: int) -> int:
    """The frame that the address asks for, from 1; the nearest that there is."""
    text = request.args.get("frame", "1")
    return min(max(int(text), 1), frames) if _NUMBER.fullmatch(text) else 1


def drawn_regions(form: MultiDict[str, str]) -> list[Region]:
    """The boxes of a form, one for each row of its table; rows without a size are no boxes.

    Raises
    ------
    BadRequest : there are too many, or something that is no number stands in one
    """
    rows = [key.removeprefix("width-") for key in form if key.startswith("width-")]
    if len(rows) > MOST_REGIONS:
        raise BadRequest(f"there are more than {MOST_REGIONS} boxes; draw larger ones")
    regions = []
    for row in rows:
        texts = [form.get(f"{name}-{row}", "").strip() for name in ("x", "y", "width", "height")]
        frame = form.get(f"frame-{row}", "").strip()
        if not any(texts):
            continue
        if not all(_NUMBER.fullmatch(text) for text in texts) or not (frame == "" or _NUMBER.fullmatch(frame)):
            raise BadRequest("a box is made of four whole numbers, and a frame or none")
        x, y, width, height = (int(text) for text in texts)
        regions.append(Region(x, y, width, height, int(frame) if frame else None))
    return regions
