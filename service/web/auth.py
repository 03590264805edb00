"""Who is calling: HTTP Basic for people, Bearer for programs, the local administrator where nobody is configured."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request
from werkzeug.datastructures import Authorization

from service.archive.accounts import Accounts
from service.archive.audit import AuditEvent, Outcome
from service.core.access import LOCAL_ADMINISTRATOR, Caller, CallerKind
from service.errors import CallerNotAllowed, NotAuthenticated, SettingsInvalid
from service.web.passwords import Passwords
from service.web.throttle import LoginThrottle

_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "[::1]"}
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_FORWARDED = {"forwarded", "x-real-ip", "x-client-ip", "x-original-host", "via"}
UNKNOWN_ACTOR = "unknown"


def is_loopback(host: str) -> bool:
    """Whether a listener at this host name or address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_listener(
    host: str, has_accounts: bool, *, trusted_proxy: bool = False, public_url: str | None = None
) -> None:
    """Refuse to listen where others can call while anybody would be let in.

    Parameters
    ----------
    trusted_proxy, public_url : as configured; either says that a proxy brings others here

    Raises
    ------
    SettingsInvalid : the address is not a loopback one, or a proxy's, and there is no user or token
    """
    if has_accounts:
        return
    if trusted_proxy or (public_url and not is_loopback(urlsplit(public_url).hostname or "")):
        key = "trusted_proxy" if trusted_proxy else "public_url"
        raise SettingsInvalid(
            f"http.{key}: it says that a proxy stands before the gateway, and behind a proxy everybody calls from this "
            "machine; no user or token is configured: anybody could read everything. Add one first (annogate user add, "
            "annogate token add)"
        )
    if not is_loopback(host):
        raise SettingsInvalid(
            f"http.host: {host} can be reached from other machines, and no user or token is configured: anybody could "
            "read everything. Add one first (annogate user add, annogate token add), or listen on 127.0.0.1"
        )


def authority(host_header: str, scheme: str) -> str:
    """A Host or the authority of an Origin, in lower case and without the scheme's own port."""
    own_port = ":443" if scheme == "https" else ":80"
    return host_header.strip().lower().removesuffix(own_port)


def host_name(host_header: str) -> str:
    """The name or address of a Host header, without a port; an IPv6 address keeps its brackets."""
    if host_header.startswith("["):
        return host_header.split("]", 1)[0].lower() + "]"
    return host_header.split(":", 1)[0].lower()


def is_cross_site(request: Request) -> bool:
    """Whether a browser says that another site's page makes this request (Fetch Metadata, or Origin before it)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    scheme, _, rest = origin.partition("://")
    # Behind a proxy that ends TLS the scheme differs from the one that the browser saw; the name and port do not.
    return not rest or authority(rest, scheme) != authority(request.host, scheme)


@dataclass(frozen=True)
class Authenticator:
    """Recognises callers.

    Parameters
    ----------
    record : writes a decision to the audit trail before it is answered
    listens_on_loopback : whether only this machine can reach the listener
    """

    accounts: Accounts
    passwords: Passwords
    throttle: LoginThrottle
    record: Callable[[AuditEvent], None]
    listens_on_loopback: bool

    def caller(self, request: Request) -> Caller:
        """Who makes this request.

        Raises
        ------
        NotAuthenticated : nobody we know
        TooManyAttempts : nobody we listen to for now
        CallerNotAllowed : a request that another site's page, or a name that is not this machine's, brought here
        """
        if not self.accounts.any_configured():
            return self._local(request)
        credentials = request.authorization
        if credentials is None:
            raise NotAuthenticated("name and password, or a token, are needed")
        caller = self._known(credentials, request.remote_addr or "")
        # A Bearer token is sent by a program on purpose; Basic is what a browser adds by itself.
        if caller.kind is CallerKind.USER:
            refuse_cross_site(request)
        return caller

    def _local(self, request: Request) -> Caller:
        """The local administrator, if it truly is this machine that calls, under a name of its own.

        A page of another site can make a browser call 127.0.0.1, and can give its own name that address (DNS
        rebinding): hence the check of Host. A proxy would make everybody a local caller.
        """
        if not self.listens_on_loopback or not is_loopback(request.remote_addr or ""):
            raise NotAuthenticated("no user or token is configured, and only this machine may call without one")
        if host_name(request.headers.get("Host", "")) not in _LOOPBACK_NAMES:
            raise CallerNotAllowed("without users or tokens the gateway answers to localhost, 127.0.0.1 and [::1] only")
        if any(_is_of_a_proxy(name) for name in request.headers.keys()):  # noqa: SIM118 - iteration gives pairs
            raise CallerNotAllowed("behind a proxy users or tokens are needed: without them everybody would be local")
        refuse_cross_site(request)
        return LOCAL_ADMINISTRATOR

    def _known(self, credentials: Authorization, address: str) -> Caller:
        name = (credentials.username or "") if credentials.type == "basic" else ""
        self.throttle.check(name, address)
        caller = None
        if credentials.type == "basic":
            caller = self._user(name, credentials.password or "")
        elif credentials.type == "bearer":
            caller = self._program(credentials.token or "")
        if caller is None:
            self.throttle.failed(name, address)
            self._record_failure(credentials.type, name, address)
            raise NotAuthenticated("these credentials are not known")
        self.throttle.succeeded(name, address)
        return caller

    def _user(self, name: str, password: str) -> Caller | None:
        user = self.accounts.user(name)
        if not self.passwords.verify(user.password_hash if user else None, password):
            return None
        if user is None or user.disabled:
            return None
        return Caller(user.name, CallerKind.USER, user.role, user.projects, user.id)

    def _program(self, secret: str) -> Caller | None:
        token = self.accounts.token_of(secret)
        if token is None:
            return None
        return Caller(token.name, CallerKind.TOKEN, token.role, token.projects, token.id)

    def _record_failure(self, scheme: str, name: str, address: str) -> None:
        # A name that nobody bears may be a password typed into the wrong field: it is not written down.
        known = name if self.accounts.user(name) else UNKNOWN_ACTOR
        self.record(
            AuditEvent(
                known,
                "login.failed",
                Outcome.SERIOUS_FAILURE,
                address=address,
                detail={"scheme": scheme if scheme in ("basic", "bearer") else "other"},
            )
        )


def _is_of_a_proxy(header: str) -> bool:
    name = header.lower()
    return name in _FORWARDED or name.startswith("x-forwarded-")


def refuse_cross_site(request: Request) -> None:
    """Refuse a request that could change something and that another site's page makes.

    Raises
    ------
    CallerNotAllowed : it is one
    """
    if request.method not in _SAFE_METHODS and is_cross_site(request):
        raise CallerNotAllowed("this came from a page of another site and could change something: refused")
