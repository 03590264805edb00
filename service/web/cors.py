"""Pages of other origins that may call what a viewer calls (the CORS protocol of the Fetch standard); none by default.

An origin is compared as a whole; there is no wildcard, and answers never say that credentials which a browser adds by
itself (a remembered password, a client certificate) may be used: such a page brings a token. What could change
something is refused to a person's password as ever (``auth.refuse_cross_site``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

EXPOSED: Final = (
    *("Warning", "ETag", "Content-Location", "Location"),
    *("Accept-Ranges", "Allow", "Content-Encoding", "Content-Range", "Retry-After", "WWW-Authenticate"),
)
"""What a page may read of an answer besides what every page may."""
TAKEN: Final = (
    *("Accept", "Authorization", "Content-Type", "Cache-Control", "Pragma"),
    *("If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "Range", "X-Requested-With"),
)
"""What a page may send."""
_REMEMBERED_S: Final = 600


@dataclass(frozen=True)
class CrossOrigin:
    """Tells browsers which origins may call.

    Parameters
    ----------
    origins : as browsers send them: scheme, host, and port where it is not the scheme's own
    is_open : whether they may call an endpoint by a method
    """

    origins: Collection[str]
    is_open: Callable[[str, str], bool]

    def register(self, app: Flask) -> None:
        """Stand before every other guard of an application, and behind them; does nothing where nobody is allowed."""
        if self.origins:
            app.before_request(self.answer_preflight)
            app.after_request(self.allow)

    def answer_preflight(self) -> Response | None:
        """Answer what a browser asks before it calls; it sends no credentials with that."""
        if not _is_preflight() or not self._is_allowed():
            return None
        response = Response(status=204)
        del response.headers["Content-Type"]
        response.headers["Access-Control-Allow-Methods"] = ", ".join(self._open_methods())
        response.headers["Access-Control-Allow-Headers"] = ", ".join(TAKEN)
        response.headers["Access-Control-Max-Age"] = str(_REMEMBERED_S)
        return response

    def allow(self, response: Response) -> Response:
        """Let a page of an origin that is allowed read the answer."""
        if self._is_open_here():
            response.vary.add("Origin")
        if self._is_allowed():
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
        return response

    def _is_allowed(self) -> bool:
        return request.headers.get("Origin", "") in self.origins and self._is_open_here()

    def _is_open_here(self) -> bool:
        if _is_preflight():
            return bool(self._open_methods())
        return request.endpoint is not None and self.is_open(request.endpoint, request.method)

    def _open_methods(self) -> list[str]:
        """The methods by which a page may call the address that is asked."""
        addresses = current_app.create_url_adapter(request)
        if addresses is None:
            return []
        found = []
        for method in sorted(addresses.allowed_methods()):
            try:
                endpoint, _ = addresses.match(method=method)
            except HTTPException:
                continue  # it leads to another address
            if self.is_open(endpoint, method):
                found.append(method)
        return found


def _is_preflight() -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
