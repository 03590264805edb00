"""The command line: ``annogate --help`` lists all.

Every command takes ``--config FILE``, exits 0 on success, 1 on failure and 2 on wrong usage, and has ``--json`` where a
script would read it. Heavy libraries are imported by the commands that need them.
"""

from __future__ import annotations

import sys

from service.cli.root import annogate
from service.errors import GatewayError
from service.log import configure_logging


def main() -> None:
    """Run the command line; an error that we know becomes a line of words and status 1."""
    # Before anything is read: a library's warning may quote a value, and standard output is the answer's alone.
    configure_logging("warning", "text", "annogate")
    try:
        annogate(prog_name="annogate")
    except GatewayError as error:
        print(f"annogate: {error}", file=sys.stderr)  # noqa: T201 (this is the command line)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe went away; nothing to add
        sys.exit(1)
