"""Whether the process lives and its parts are well."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from flask import Blueprint, Response, jsonify

_log = logging.getLogger(__name__)


def health_blueprint(pings: Mapping[str, Callable[[], object]]) -> Blueprint:
    """The routes ``/health/live`` and ``/health/ready``; ``pings`` raise when their part is not well."""
    health = Blueprint("health", __name__, url_prefix="/health")

    @health.get("/live")
    def live() -> Response:
        return jsonify({"status": "live"})

    @health.get("/ready")
    def ready() -> tuple[Response, int]:
        parts = {name: _ping(name, ping) for name, ping in pings.items()}
        well = all(word == "ok" for word in parts.values())
        return jsonify({"status": "ready" if well else "not ready", "parts": parts}), 200 if well else 503

    return health


def _ping(name: str, ping: Callable[[], object]) -> str:
    try:
        ping()
    except Exception as error:  # noqa: BLE001 - whatever a part raises, it is not well; anybody may ask, so no words
        _log.warning("%s is not well: %s", name, type(error).__name__)
        return "failing"
    return "ok"
