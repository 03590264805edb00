"""The viewer's addresses: its pages below ``/viewer/``, its compiled-in asset names at the root."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from flask import Blueprint, Flask, Response, render_template, request, send_file
from werkzeug.routing import BaseConverter, ValidationError

from service.web.viewer.configuration import ViewerSettings, app_config
from service.web.viewer.distribution import ViewerDistribution

_YEAR_S = 365 * 24 * 3600
_CONVERTER = "viewer_asset"


@dataclass(frozen=True)
class Viewer:
    """What the viewer's pages are made of.

    Parameters
    ----------
    distribution : the unpacked viewer; none where it was not installed
    projects : names of the projects that the present caller may see
    """

    distribution: ViewerDistribution | None
    settings: ViewerSettings
    default_project: str
    projects: Callable[[], Sequence[str]]


def _converter(names: Collection[str]) -> type[BaseConverter]:
    """A URL converter that matches the viewer's own names and nothing else, after every other rule."""

    class ViewerAssetConverter(BaseConverter):
        regex = ".*?"
        part_isolating = False
        weight = 1000

        def to_python(self, value: str) -> str:
            if value not in names:
                raise ValidationError
            return value

    return ViewerAssetConverter


def register_viewer(app: Flask, viewer: Viewer) -> None:
    """Add the viewer to an application that has its other routes: none of their first words is taken from them."""
    taken = {str(rule).split("/")[1] for rule in app.url_map.iter_rules()} | {"viewer", "app-config.js"}
    names = viewer.distribution.names if viewer.distribution else frozenset[str]()
    free = frozenset(name for name in names if name.split("/")[0] not in taken)
    app.url_map.converters[_CONVERTER] = _converter(free)
    app.register_blueprint(_blueprint(viewer))


def _blueprint(viewer: Viewer) -> Blueprint:
    pages = Blueprint("viewer", __name__)

    @pages.get("/viewer/", defaults={"page": ""})
    @pages.get("/viewer/<path:page>")
    def page(page: str) -> Response:  # noqa: ARG001 - the viewer reads it from the address itself
        if viewer.distribution is None:
            return Response(render_template("viewer_absent.html"), status=404)
        response = Response(viewer.distribution.index_page, content_type="text/html; charset=utf-8")
        response.headers["Cache-Control"] = "no-cache"
        response.add_etag()
        response.make_conditional(request)
        return response

    @pages.get("/app-config.js")
    def configuration() -> Response:
        script = app_config(viewer.settings, viewer.projects(), viewer.default_project)
        response = Response(script, content_type="text/javascript; charset=utf-8")
        response.headers["Cache-Control"] = "private, no-store"
        return response

    @pages.get(f"/<{_CONVERTER}:name>")
    def asset(name: str) -> Response:
        return _send(viewer, name)

    return pages


def _send(viewer: Viewer, name: str) -> Response:
    assert viewer.distribution is not None  # noqa: S101 - without one, no name matches the route
    found = viewer.distribution.asset(name)
    compressed = found.compressed if request.accept_encodings["gzip"] > 0 else None
    response = send_file(
        compressed or found.path,
        mimetype=found.media_type,
        max_age=_YEAR_S if found.immutable else 0,
        conditional=True,
    )
    response.content_type = found.media_type
    # Named after the file that was sent, which is the compressed one.
    del response.headers["Content-Disposition"]
    if found.immutable:
        response.cache_control.immutable = True
    if found.compressed is not None:
        response.vary.add("Accept-Encoding")
    if compressed is not None:
        response.headers["Content-Encoding"] = "gzip"
    return response
