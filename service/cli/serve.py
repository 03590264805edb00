"""``annogate serve``: the gateway itself."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import click

from service.cli.options import host_and_port, settings_of, with_settings

ROLES = ("node", "ingest", "web", "jobs")


@click.command()
@with_settings
@click.option("--http", metavar="HOST:PORT", help="Where the web edge listens; 127.0.0.1:8080 by default.")
@click.option("--dicom", metavar="HOST:PORT", help="Where the DICOM node listens; 127.0.0.1:11112 by default.")
@click.option("--ae-title", metavar="TITLE", help="Our AE title; ANNOGATE by default.")
@click.option("--only", type=click.Choice(ROLES), help="Run one role instead of all.")
def serve(
    config_file: Path | None,
    data_dir: Path | None,
    http: str | None,
    dicom: str | None,
    ae_title: str | None,
    only: str | None,
) -> None:
    """Run node, ingest, web and jobs until SIGTERM or Ctrl-C.

    When all listen, one line says where: ready http=http://127.0.0.1:8080 dicom=ANNOGATE@127.0.0.1:11112
    """
    from service.log import configure_logging

    node = {**(host_and_port(dicom) if dicom else {}), **({"ae_title": ae_title} if ae_title else {})}
    settings = settings_of(config_file, data_dir, http=host_and_port(http) if http else {}, dicom=node)
    configure_logging(settings.log.level, settings.log.format, only or "supervisor")
    if only:
        _serve_one(only, settings)
        return

    from service.runtime.supervisor import Supervisor

    def announce(http_address: str, dicom_address: str) -> None:
        click.echo(f"ready http=http://{http_address} dicom={settings.dicom.ae_title}@{dicom_address}")
        sys.stdout.flush()

    sys.exit(Supervisor(settings, announce).run())


def _serve_one(role: str, settings: object) -> None:
    from service.runtime.roles import RoleContext, run_role
    from service.runtime.sockets import address_of, listen, with_tls_port
    from service.settings import Settings

    assert isinstance(settings, Settings)  # noqa: S101 (typed so that the import stays late)
    signal.signal(signal.SIGINT, lambda *_: signal.raise_signal(signal.SIGTERM))
    run_role("prepare", RoleContext(settings, lambda: None))
    listening, words = None, "ready"
    also: tuple[socket.socket, ...] = ()
    if role == "node":
        listening = listen(settings.dicom.host, settings.dicom.port, "dicom.port")
        if settings.dicom.tls.port is not None:
            secured = listen(settings.dicom.host, settings.dicom.tls.port, "dicom.tls.port")
            settings, also = with_tls_port(settings, secured), (secured,)
        words = f"ready dicom={settings.dicom.ae_title}@{address_of(listening)}"
    elif role == "web":
        listening = listen(settings.http.host, settings.http.port, "http.port")
        words = f"ready http=http://{address_of(listening)}"

    def say_ready() -> None:
        click.echo(words)
        sys.stdout.flush()

    run_role(role, RoleContext(settings, say_ready, listening, also))
