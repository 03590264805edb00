"""What single settings may be, each refusal in words, and the base of every section."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


def _port(value: object) -> object:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ValueError(f"{value} is not a TCP port (1–65535)")
    return value


def _ae_title(value: str) -> str:
    """Check an AE title: 1 to 16 characters of the default repertoire, no backslash (PS3.5 Table 6.2-1)."""
    title = value.strip()
    if not 1 <= len(title) <= 16 or "\\" in title or not title.isascii() or not title.isprintable():
        raise ValueError(f"{value!r} is not an AE title (1 to 16 ASCII characters without a backslash)")
    return title


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", value):
        raise ValueError(f"{value!r} is not a name (lower-case letters, digits, - and _, 63 at most)")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address or network") from None
    return value


def _uid(value: str) -> str:
    if len(value) > 64 or not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", value):
        raise ValueError(f"{value!r} is not a UID (PS3.5 9.1)")
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{value!r} is not an http or https address")
    return value.rstrip("/")


def _origin(value: str) -> str:
    origin = value.lower()
    parts = urlsplit(origin)
    plain = parts.scheme in ("http", "https") and parts.hostname and origin == f"{parts.scheme}://{parts.netloc}"
    own_port = (parts.scheme, parts.port) in (("http", 80), ("https", 443)) if plain else False
    if not plain or own_port or parts.username is not None or "*" in origin:
        raise ValueError(
            f"{value!r} is not an origin as browsers send it (https://viewer.example.org, with its port where that is "
            "not the scheme's own; no path, no wildcard)"
        )
    return origin


Port = Annotated[int, BeforeValidator(_port)]
AeTitle = Annotated[str, AfterValidator(_ae_title)]
Name = Annotated[str, AfterValidator(_name)]
Network = Annotated[str, AfterValidator(_network)]
Uid = Annotated[str, AfterValidator(_uid)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Origin = Annotated[str, AfterValidator(_origin)]


class Section(BaseModel):
    """A part of the configuration: frozen, and strict about what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)
