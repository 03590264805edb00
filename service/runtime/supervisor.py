"""One supervisor forks a process for each role, starts it again when it dies, and ends all of them together.

It imports what they use before it forks the first, so that all share that memory and start at once; it opens nothing.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from service.data_directory import DataDirectory
from service.errors import GatewayError
from service.log import configure_logging
from service.runtime.early_imports import import_early
from service.runtime.forked_processes import Ended, ForkedProcess, ForkedProcesses, Signalled
from service.runtime.process_name import name_process
from service.runtime.roles import RoleContext, run_role
from service.runtime.sockets import address_of, listen, with_tls_port
from service.runtime.supervisor_lock import SupervisorLock
from service.settings import Settings

ROLES = ("node", "ingest", "web", "jobs")

STOP_S = 20.0  # how long a role may take to end cleanly
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE_S = 60.0  # a role that is not ready after so long is told of

log = structlog.get_logger()


class RoleProcess(ForkedProcess):
    """One role's process."""

    def __init__(self, role: str, supervisor: Supervisor) -> None:
        super().__init__(role)
        self._supervisor = supervisor
        self.told_of_start = 0.0
        """When the life began that is known to take long to be ready."""

    def work(self, say_ready: Callable[[], None]) -> None:
        """Run the role until SIGTERM."""
        self._supervisor.be_role(self.name, say_ready)


@dataclass
class Supervisor:
    """Runs all roles of a gateway on one machine.

    Parameters
    ----------
    announce : called once with the addresses when every role is ready: ``http`` and ``dicom``, as ``host:port``
    run_role : what a role's process does until SIGTERM
    """

    settings: Settings
    announce: Callable[[str, str], None]
    run_role: Callable[[str, RoleContext], None] = run_role
    patience_s: float = PATIENCE_S
    _sockets: dict[str, socket.socket] = field(default_factory=dict)

    def run(self) -> int:
        """Start everything and stay until a signal; the exit status."""
        directory = DataDirectory(self.settings.storage.data_dir)
        directory.create()
        lock = SupervisorLock(directory)
        lock.acquire()
        roles = [RoleProcess(role, self) for role in ROLES]
        try:
            import_early()
            if (status := self._prepare()) is not None:
                return status
            self._listen()
            with ForkedProcesses("role", roles, STOP_S, _SIGNALS) as processes:
                return self._watch(processes, roles)
        finally:
            for listening in self._sockets.values():
                listening.close()
            lock.release()

    def be_role(self, role: str, say_ready: Callable[[], None]) -> None:
        """Go on as a role's process; words of what it cannot start for are on standard error."""
        # Ctrl-C reaches the whole group; the supervisor decides when its roles end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        name_process(f"annogate-{role}")
        configure_logging(self.settings.log.level, self.settings.log.format, role)
        own = [self._sockets[name] for name in (role, f"{role}-tls") if name in self._sockets]
        for listening in self._sockets.values():
            if listening not in own:
                listening.close()
        context = RoleContext(self.settings, say_ready, own[0] if own else None, tuple(own[1:]))
        try:
            self.run_role(role, context)
        except GatewayError as error:
            print(f"annogate: {role}: {error}", file=sys.stderr)  # noqa: T201 (a process of its own)
            raise SystemExit(1) from None

    def _prepare(self) -> int | None:
        """Have a process of its own check everything once; the exit status where there is no going on from it."""
        with ForkedProcesses("role", [RoleProcess("prepare", self)], STOP_S, _SIGNALS) as preparing:
            while True:
                for happened in preparing.next():
                    if isinstance(happened, Signalled):
                        return 0
                    if isinstance(happened, Ended):
                        return happened.status or None

    def _listen(self) -> None:
        dicom, http = self.settings.dicom, self.settings.http
        self._sockets["node"] = listen(dicom.host, dicom.port, "dicom.port")
        self._sockets["web"] = listen(http.host, http.port, "http.port")
        if dicom.tls.port is not None:
            self._sockets["node-tls"] = secured = listen(dicom.host, dicom.tls.port, "dicom.tls.port")
            # Which port it came to be is how every process knows a connection that is to be secured.
            self.settings = with_tls_port(self.settings, secured)

    def _watch(self, processes: ForkedProcesses, roles: list[RoleProcess]) -> int:
        announced = False
        while True:
            for happened in processes.next(self._next_late(roles)):
                if isinstance(happened, Signalled):
                    return 0
                if isinstance(happened, Ended) and not announced:
                    # It may have said why on standard error; one that was killed could not.
                    words = "a role ended before all were ready"
                    log.error(words, ended=happened.process.name, status=happened.status)
                    return 1
                if isinstance(happened, Ended):
                    processes.again(happened)
            self._tell_of_late_ones(roles)
            if not announced and processes.all_ready:
                announced = True
                self.announce(address_of(self._sockets["web"]), address_of(self._sockets["node"]))

    def _next_late(self, roles: list[RoleProcess]) -> float | None:
        """When the next role will have taken too long."""
        return min((role.started_at + self.patience_s for role in _awaited(roles)), default=None)

    def _tell_of_late_ones(self, roles: list[RoleProcess]) -> None:
        for role in _awaited(roles):
            if role.started_at + self.patience_s <= time.monotonic():
                role.told_of_start = role.started_at
                log.error("role is not ready yet", late=role.name, pid=role.pid, after_s=self.patience_s)


def _awaited(roles: list[RoleProcess]) -> list[RoleProcess]:
    """Those that live, are not ready, and were not told of."""
    return [role for role in roles if role.pid and not role.ready and role.told_of_start != role.started_at]
