"""dcmtk's storescu as the sender. By absolute path: pynetdicom installs a command of the same name."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE_S

STORESCU = "/usr/bin/storescu"

# The option by which storescu proposes a transfer syntax; those of uncompressed images need none. It has no option for
# JPEG processes that were retired, nor for High-Throughput JPEG 2000.
OPTIONS = {
    "1.2.840.10008.1.2": (),
    "1.2.840.10008.1.2.1": (),
    "1.2.840.10008.1.2.2": ("-xb",),
    "1.2.840.10008.1.2.1.99": ("-xd",),
    "1.2.840.10008.1.2.5": ("-xr",),
    "1.2.840.10008.1.2.4.50": ("-xy",),
    "1.2.840.10008.1.2.4.51": ("-xx",),
    "1.2.840.10008.1.2.4.70": ("-xs",),
    "1.2.840.10008.1.2.4.80": ("-xt",),
    "1.2.840.10008.1.2.4.81": ("-xu",),
    "1.2.840.10008.1.2.4.90": ("-xv",),
    "1.2.840.10008.1.2.4.91": ("-xw",),
}

SENDING = re.compile(r"Sending file: (.+)$")
RESPONSE = re.compile(r"Received Store Response \((.*)\)$")


@dataclass(frozen=True)
class Sent:
    """What storescu said of each file that it got a response for, in order, and how it ended."""

    responses: tuple[tuple[Path, str], ...]
    status: int
    output: str

    @property
    def acknowledged(self) -> list[Path]:
        return [file for file, response in self.responses if response == "Success"]


def command(host: str, port: int, files: Iterable[Path], *options: str, called: str, calling: str) -> list[str]:
    """The command line of one storescu run."""
    return [STORESCU, "-v", "-aec", called, "-aet", calling, *options, host, str(port), *map(str, files)]


def environment(nodelay: bool) -> dict[str, str]:
    """With or without TCP_NODELAY, which Debian's storescu leaves off unless asked."""
    return (
        {**os.environ, "TCP_NODELAY": "1"} if nodelay else {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
    )


def responses_in(output: str) -> tuple[tuple[Path, str], ...]:
    """Pair each response with the file that was sent before it."""
    pairs: list[tuple[Path, str]] = []
    current: Path | None = None
    for line in output.splitlines():
        if sending := SENDING.search(line):
            current = Path(sending[1])
        elif (response := RESPONSE.search(line)) and current is not None:
            pairs.append((current, response[1]))
            current = None
    return tuple(pairs)


def send(
    host: str,
    port: int,
    files: Iterable[Path],
    *options: str,
    called: str = "ANNOGATE",
    calling: str = "SCANNER",
    nodelay: bool = True,
) -> Sent:
    """Send files over one association and read what storescu says."""
    done = subprocess.run(
        command(host, port, files, *options, called=called, calling=calling),
        check=False,
        env=environment(nodelay),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )
    return Sent(responses_in(done.stdout), done.returncode, done.stdout)
