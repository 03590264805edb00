"""The absolute addresses that answers carry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from flask import Request

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class LinkBase:
    """Where a caller reaches this gateway.

    Parameters
    ----------
    public_url : scheme, host and path prefix as configured; everything else is then ignored
    trust_forwarded : whether X-Forwarded-Proto, -Host and -Prefix may be believed, since a proxy of ours sets them
    """

    public_url: str | None = None
    trust_forwarded: bool = False

    def service_root(self, request: Request, project: str) -> str:
        """The DICOMweb root of a project, as this request addressed it and without a slash at its end."""
        rule = request.url_rule.rule if request.url_rule is not None else ""
        path = f"/projects/{quote(project, safe='')}/dicom-web" if rule.startswith("/projects/") else "/dicom-web"
        return self.origin(request) + path

    def origin(self, request: Request) -> str:
        """Scheme, host, port and mount path.

        A Host without a port gets that of the listening socket where it is not the scheme's own: dicomweb-client sends
        ``Host:`` without it, and links made from the header alone would not resolve.
        """
        if self.public_url:
            return self.public_url.rstrip("/")
        scheme, host, prefix = request.scheme, request.headers.get("Host", ""), request.script_root
        if self.trust_forwarded and (forwarded := _forwarded_origin(request, scheme, prefix)):
            return forwarded
        port = str(request.environ.get("SERVER_PORT", ""))
        if not _HOST.fullmatch(host):
            host = str(request.environ.get("SERVER_NAME", "localhost"))
        if not _has_port(host) and port and port != _DEFAULT_PORTS.get(scheme):
            host = f"{host}:{port}"
        return f"{scheme}://{host}{prefix}"


def _forwarded_origin(request: Request, scheme: str, prefix: str) -> str:
    """What the nearest proxy says, "" if it says nothing; the last value of each list is the one that it added."""

    def last(name: str, default: str) -> str:
        return request.headers.get(name, default).rsplit(",", 1)[-1].strip() or default

    scheme = last("X-Forwarded-Proto", scheme).lower()
    if scheme not in _DEFAULT_PORTS:
        scheme = request.scheme
    host = last("X-Forwarded-Host", "")
    if not _HOST.fullmatch(host):
        return ""
    port = last("X-Forwarded-Port", "")
    if not _has_port(host) and port.isdigit() and port != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{last('X-Forwarded-Prefix', prefix).rstrip('/')}"


def _has_port(host: str) -> bool:
    """Whether a Host value names a port; an IPv6 address in brackets has colons of its own."""
    return ":" in host.rpartition("]")[2]
