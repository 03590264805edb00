"""The process of one role: ``python -m service.runtime.role ROLE READY_FD PARENT_PID [LISTENING_FD …]``.

The settings come on standard input, as the supervisor read them; a line on the ready pipe says that the role listens.
"""

from __future__ import annotations

import os
import signal
import sys

from service.errors import GatewayError
from service.log import configure_logging
from service.runtime.parent_death import end_with
from service.runtime.roles import RoleContext, run_role
from service.runtime.sockets import adopt
from service.settings import Settings


def main(arguments: list[str]) -> int:
    """Run one role until SIGTERM."""
    role, ready_fd, parent_pid, *listening_fd = arguments
    # Ctrl-C reaches the whole group; the supervisor decides when its roles end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(int(parent_pid))
    settings = Settings.model_validate_json(sys.stdin.buffer.read())
    configure_logging(settings.log.level, settings.log.format, role)
    sockets = [adopt(int(fd)) for fd in listening_fd]
    listening = sockets[0] if sockets else None
    context = RoleContext(settings, lambda: _say_ready(int(ready_fd)), listening, tuple(sockets[1:]))
    try:
        run_role(role, context)
    except GatewayError as error:
        print(f"annogate: {role}: {error}", file=sys.stderr)  # noqa: T201 (a process of its own)
        return 1
    return 0


def _say_ready(fd: int) -> None:
    os.write(fd, b"ready\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
