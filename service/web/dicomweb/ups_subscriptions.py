"""Subscriptions to work items over the web, and the channel by which events come (PS3.18 11.10 to 11.13, 8.10)."""

from __future__ import annotations

import secrets
from urllib.parse import quote, urlsplit

from flask import Response, request

from dicom_nodes.errors import CallerNotAllowed
from service.archive.workitem_subscriptions import Filter
from service.core.access import Caller, Role
from service.errors import BadRequest
from service.web.dicomweb.answers import finish
from service.web.dicomweb.event_channels import ChannelAnswer
from service.web.dicomweb.resources import check_uids
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.ups_services import WorklistServices
from service.web.guard import present_caller
from service.web.problems import problem

_VERSION = "13"
_PARAMETERS = frozenset({"deletionlock", "filter", "accept", "charset"})


class SubscriptionViews:
    """The subscription resources."""

    def __init__(self, services: DicomWebServices, worklist: WorklistServices) -> None:
        self._services = services
        self._worklist = worklist

    def subscribe(self, project: str, workitem_uid: str, ae_title: str) -> Response:
        """``POST /workitems/{workitem}/subscribers/{aetitle}``."""
        check_uids(workitem_uid)
        caller = present_caller()
        warnings = self._worklist.subscriptions.subscribe(
            project,
            workitem_uid,
            ae_title,
            caller.name,
            lock=_lock(),
            wanted=_filter(),
            may_take_over=_may_take_over(caller),
            view=self._worklist.view(project),
        )
        self._services.note(workitem_uid, project=project)
        response = Response(status=201)
        del response.headers["Content-Type"]
        root = self._services.links.service_root(request, project)
        scheme = "wss" if root.startswith("https:") else "ws"
        response.headers["Location"] = f"{scheme}:{root.partition(':')[2]}/ws/subscribers/{quote(ae_title, safe='')}"
        return finish(response, warnings)

    def unsubscribe(self, project: str, workitem_uid: str, ae_title: str) -> Response:
        """``DELETE /workitems/{workitem}/subscribers/{aetitle}``."""
        check_uids(workitem_uid)
        caller = present_caller()
        self._worklist.subscriptions.unsubscribe(
            project, workitem_uid, ae_title, caller.name, may_take_over=_may_take_over(caller)
        )
        self._services.note(workitem_uid, project=project)
        return _done()

    def suspend(self, project: str, workitem_uid: str, ae_title: str) -> Response:
        """``POST /workitems/{workitem}/subscribers/{aetitle}/suspend``."""
        check_uids(workitem_uid)
        caller = present_caller()
        self._worklist.subscriptions.suspend(
            project, workitem_uid, ae_title, caller.name, may_take_over=_may_take_over(caller)
        )
        self._services.note(workitem_uid, project=project)
        return _done()

    def open_channel(self, project: str, ae_title: str) -> Response:
        """``GET /ws/subscribers/{aetitle}``: the connection becomes a WebSocket (RFC 6455)."""
        refusal = _refusal()
        if refusal is not None:
            return refusal
        self._refuse_other_origins()
        caller = present_caller()
        channel = secrets.token_hex(16)
        self._worklist.channels.make_room()
        self._worklist.subscriptions.open_channel(
            project,
            ae_title,
            caller.name,
            channel,
            may_take_over=_may_take_over(caller),
            view=self._worklist.view(project),
        )
        return ChannelAnswer(
            self._worklist.channels, project, ae_title, channel, request.headers["Sec-WebSocket-Key"].strip()
        )

    def _refuse_other_origins(self) -> None:
        """A browser tells whose page asks; it would send a person's credentials along for any."""
        origin = request.headers.get("Origin")
        if origin is None:
            return
        if _host_and_port(origin) != _host_and_port(self._services.links.origin(request)):
            raise CallerNotAllowed("a page of another origin may not open this channel")


def _host_and_port(origin: str) -> tuple[str | None, int | None] | None:
    """Where an origin leads; None where it cannot be read."""
    try:
        read = urlsplit(origin)
        found = read.hostname, read.port
    except ValueError:
        return None
    return found


def _refusal() -> Response | None:
    """What is wrong with a handshake (RFC 6455 4.2.1); nothing where it is well."""
    upgrade = request.headers.get("Upgrade", "").lower()
    connection = [piece.strip().lower() for piece in request.headers.get("Connection", "").split(",")]
    if upgrade != "websocket" or "upgrade" not in connection:
        return problem(426, "Events come over a WebSocket", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    if request.headers.get("Sec-WebSocket-Version", "").strip() != _VERSION:
        return problem(
            426,
            "WebSocket is spoken in version 13",
            headers={"Upgrade": "websocket", "Sec-WebSocket-Version": _VERSION},
        )
    if len(request.headers.get("Sec-WebSocket-Key", "").strip()) != 24:
        raise BadRequest("Sec-WebSocket-Key is not one (RFC 6455 4.2.1)")
    return None


def _may_take_over(caller: Caller) -> bool:
    """An administrator may act under anybody's AE title."""
    return caller.role is Role.ADMIN


def _lock() -> bool:
    value = request.args.get("deletionlock", "false").strip().lower()
    if value not in ("true", "false"):
        raise BadRequest("deletionlock: neither true nor false")
    return value == "true"


def _filter() -> Filter:
    """Keys with values: ``filter=KEY=VALUE,KEY=VALUE``, repeated, or as parameters of their own."""
    found: list[tuple[str, str]] = []
    for value in request.args.getlist("filter"):
        for piece in value.split(","):
            name, equals, text = piece.partition("=")
            if equals:
                found.append((name.strip(), text.strip()))
            elif found:
                # A comma within a value.
                found[-1] = (found[-1][0], f"{found[-1][1]},{piece}")
            else:
                raise BadRequest("filter: not a list of keys with values")
    found += [(name, value) for name, value in request.args.items(multi=True) if name.lower() not in _PARAMETERS]
    if len(found) > 20 or any(len(value) > 256 for _, value in found):
        raise BadRequest("filter: more than 20 keys, or a value of more than 256 characters")
    return tuple(found)


def _done() -> Response:
    response = Response(status=200)
    del response.headers["Content-Type"]
    return finish(response)
