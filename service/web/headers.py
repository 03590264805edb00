"""What every answer tells a browser: where its parts may come from, and who may frame or read it."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, g, request

# Our own pages hold no script but those under /static/, and nothing from another host.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# What was stored here by others (an encapsulated document, a rendered frame) must never act as a page of ours; the
# viewer shows documents in a frame.
_DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with it browsers send the forms of our own pages with the Origin "null", as of another site.
    "Referrer-Policy": "same-origin",
    # Together these isolate the viewer, so that it may share memory between its workers, and keep other sites from
    # embedding what the gateway serves.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def _viewer_policy(inline_scripts: Sequence[str]) -> str:
    """OHIF's needs: its codecs' WebAssembly glue is made by ``new Function``, its styles and workers at run time.

    ``connect-src 'self'`` holds it to this origin whatever its bundles contain.
    """
    scripts = " ".join(["'self'", "'unsafe-eval'", "blob:", *inline_scripts])
    return (
        f"default-src 'self'; script-src {scripts}; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; connect-src 'self' data: blob:; "
        "object-src 'self' blob:; frame-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )


def register_headers(app: Flask, *, viewer_inline_scripts: Sequence[str], data_blueprints: frozenset[str]) -> None:
    """Add the headers to every answer; ``data_blueprints`` serve objects, not pages."""
    viewer_policy = _viewer_policy(viewer_inline_scripts)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in _EVERYWHERE.items():
            response.headers.setdefault(name, value)
        if request.blueprint == "viewer":
            policy = viewer_policy
        elif request.blueprint in data_blueprints:
            policy = _DATA_POLICY
        else:
            policy = _PAGE_POLICY
            if request.endpoint != "static":
                response.headers.setdefault("Cache-Control", "no-store")
        if "caller" in g:
            response.vary.add("Authorization")  # each caller has a view of their own
        response.headers.setdefault("Content-Security-Policy", policy)
        return response
