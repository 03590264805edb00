"""``annogate check``: reads the configuration, opens every store, echoes every peer, says what is wrong in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click

from dicom_nodes.tls import expires_at
from service.bootstrap import DAY_S, NO_DEIDENTIFICATION, Gateway
from service.cli.options import echo_json, settings_of, with_json, with_settings
from service.deident.profile import load_profile
from service.errors import GatewayError, SettingsInvalid

RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``level`` is "ok", "warning" or "error"."""

    level: str
    what: str
    words: str


@click.command()
@with_settings
@with_json
def check(config_file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Look at everything that the gateway needs before it is started, or while it runs."""
    with Gateway(settings_of(config_file, data_dir)) as gateway:
        found = list(findings(gateway))
    if as_json:
        echo_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            click.echo(f"{finding.level:8}{finding.what}: {finding.words}")
    wrong = [finding for finding in found if finding.level == "error"]
    if wrong:
        raise SettingsInvalid(f"{len(wrong)} of {len(found)} things are wrong")


def findings(gateway: Gateway) -> Iterator[Finding]:
    """Look at one thing after the other."""
    yield _tried("configuration", "read, profiles and annotators loaded", gateway.prepare)
    for name, ping in gateway.pings().items():
        yield _tried(name, "can be opened", ping)
    yield _tried("http", "nobody is let in unasked", gateway.refuse_open_listener)
    yield from _certificates(gateway)
    yield from profiles_in_use(gateway)
    yield from _deliveries(gateway)
    yield from _warnings(gateway)
    yield _tried_backup(gateway)
    for name, peer in gateway.settings.peers.items():
        words = f"{peer.ae_title} at {peer.host}:{peer.port} answers C-ECHO"
        yield _tried(f"peer {name}", words, partial(gateway.echo, name))


def _tried(what: str, words: str, ask: Callable[[], object]) -> Finding:
    try:
        ask()
    except (GatewayError, OSError) as error:
        return Finding("error", what, str(error))
    return Finding("ok", what, words)


def _certificates(gateway: Gateway) -> Iterator[Finding]:
    """Say which of our certificates have expired, or will within a month."""
    now = gateway.clock()
    for setting, path in gateway.certificates().items():
        try:
            left_days = (expires_at(path) - now) / DAY_S
        except GatewayError as error:
            yield Finding("error", setting, str(error))
            continue
        if left_days <= 0:
            yield Finding("error", setting, f"{path} has expired: nobody is let in, and nobody called, with it")
        elif left_days <= RENEW_DAYS:
            yield Finding("warning", setting, f"{path} expires in {left_days:.0f} days")
        else:
            yield Finding("ok", setting, f"{path} is valid for {left_days:.0f} days")
    if gateway.settings.dicom.tls.certificate is not None:
        yield _tried("dicom.tls", "the files fit together", gateway.try_tls)


def profiles_in_use(gateway: Gateway) -> Iterator[Finding]:
    """Say by which profile each project de-identifies, and by which edition of the standard's table."""
    for name, project in gateway.settings.projects.items():
        what = f"projects.{name}.deidentify"
        if project.deidentify == NO_DEIDENTIFICATION:
            yield Finding("ok", what, "objects are kept as they come")
            continue
        try:
            profile = load_profile(gateway.config / "profiles", project.deidentify)
        except SettingsInvalid as error:
            yield Finding("error", what, str(error))
            continue
        words = f"{profile.name}: {profile.title}; PS3.15 Table E.1-1, edition {profile.edition}"
        yield Finding("ok", what, words)


def _deliveries(gateway: Gateway) -> Iterator[Finding]:
    for name, project in gateway.settings.projects.items():
        what = f"projects.{name}.deliver_to"
        if not project.deliver_to:
            yield Finding("ok", what, "results stay in the gateway")
            continue
        who = "by themselves" if project.approve == "automatic" else "when a person releases them"
        yield Finding("ok", what, f"results leave for {', '.join(project.deliver_to)} {who}")


def _tried_backup(gateway: Gateway) -> Finding:
    try:
        notice = gateway.key_backups.notice()
    except (GatewayError, OSError) as error:
        return Finding("error", "key backup", str(error))
    return Finding("warning" if notice else "ok", "key backup", notice or "the key file is backed up as it is")


def _warnings(gateway: Gateway) -> Iterator[Finding]:
    settings = gateway.settings
    if not settings.rejects_unknown_callers and settings.dicom.host not in ("127.0.0.1", "::1", "localhost"):
        yield Finding(
            "warning",
            "dicom.unknown_callers",
            f"any AE title may send from any address that reaches {settings.dicom.host}",
        )
    if gateway.viewer_directory is None:
        yield Finding("warning", "viewer", "OHIF is not unpacked; /viewer/ says how to add it")
