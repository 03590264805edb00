"""One supervisor starts a process for each role, starts it again when it dies, and ends all of them together."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from service.data_directory import DataDirectory
from service.runtime.signal_socket import SignalSocket
from service.runtime.sockets import address_of, listen, with_tls_port
from service.runtime.supervisor_lock import SupervisorLock
from service.settings import Settings

ROLES = ("node", "ingest", "web", "jobs")

STOP_S = 20.0  # how long a role may take to end cleanly
FIRST_PAUSE_S = 0.2  # before a role that died is started again; doubles up to LONGEST_PAUSE_S
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0  # a role that lived so long starts again without a longer pause
PATIENCE_S = 60.0  # a role that is not ready after so long is told of

log = structlog.get_logger()


@dataclass
class RoleProcess:
    """One role's process, and the pauses between its lives."""

    role: str
    process: subprocess.Popen[bytes]
    ready_fd: int
    pid_fd: int
    started_at: float
    pause_s: float = FIRST_PAUSE_S
    ready: bool = False
    told: bool = False


@dataclass
class Supervisor:
    """Runs all roles of a gateway on one machine.

    Parameters
    ----------
    announce : called once with the addresses when every role is ready: ``http`` and ``dicom``, as ``host:port``
    role_command : starts a role's process, its arguments left out
    """

    settings: Settings
    announce: Callable[[str, str], None]
    role_command: tuple[str, ...] = (sys.executable, "-m", "service.runtime.role")
    patience_s: float = PATIENCE_S
    _roles: dict[str, RoleProcess] = field(default_factory=dict)
    _sockets: dict[str, socket.socket] = field(default_factory=dict)
    _stopping: bool = False
    _waiting: dict[str, tuple[float, float]] = field(default_factory=dict)

    def run(self) -> int:
        """Start everything and stay until a signal; the exit status."""
        directory = DataDirectory(self.settings.storage.data_dir)
        directory.create()
        lock = SupervisorLock(directory)
        lock.acquire()
        with selectors.DefaultSelector() as selector, self._signals() as wake:
            selector.register(wake, selectors.EVENT_READ)
            try:
                if (status := self._prepare()) != 0:
                    return status
                self._listen()
                for role in ROLES:
                    self._start(role, selector, lock.fd)
                return self._watch(selector, wake, lock.fd)
            finally:
                self._stop()
                for listening in self._sockets.values():
                    listening.close()
                lock.release()

    def _prepare(self) -> int:
        """Have a process of its own check everything once; the supervisor itself stays small."""
        command = [*self.role_command, "prepare", "-1", str(os.getpid())]
        return subprocess.run(  # noqa: S603 (our own module)
            command, input=self.settings.model_dump_json().encode(), check=False
        ).returncode

    def _listen(self) -> None:
        dicom, http = self.settings.dicom, self.settings.http
        self._sockets["node"] = listen(dicom.host, dicom.port, "dicom.port")
        self._sockets["web"] = listen(http.host, http.port, "http.port")
        if dicom.tls.port is not None:
            self._sockets["node-tls"] = secured = listen(dicom.host, dicom.tls.port, "dicom.tls.port")
            # Which port it came to be is how every process knows a connection that is to be secured.
            self.settings = with_tls_port(self.settings, secured)

    def _start(self, role: str, selector: selectors.BaseSelector, lock_fd: int, pause_s: float = FIRST_PAUSE_S) -> None:
        ready_read, ready_write = os.pipe()
        listening = [self._sockets[name].fileno() for name in (role, f"{role}-tls") if name in self._sockets]
        handed = [ready_write, lock_fd, *listening]
        command = [*self.role_command, role, str(ready_write), str(os.getpid()), *map(str, listening)]
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=handed)  # noqa: S603 (our own module)
        except OSError:
            os.close(ready_read)
            raise
        finally:
            os.close(ready_write)
        assert process.stdin is not None  # noqa: S101 (asked for above)
        with suppress(BrokenPipeError), process.stdin:  # a role that died at once is seen by its ready pipe
            process.stdin.write(self.settings.model_dump_json().encode())
        # A pid file descriptor becomes readable when the process itself ends, whatever its own children do.
        started = RoleProcess(role, process, ready_read, os.pidfd_open(process.pid), time.monotonic(), pause_s)
        self._roles[role] = started
        selector.register(started.ready_fd, selectors.EVENT_READ, ("ready", started))
        selector.register(started.pid_fd, selectors.EVENT_READ, ("ended", started))

    def _watch(self, selector: selectors.BaseSelector, wake: socket.socket, lock_fd: int) -> int:
        announced = False
        while True:
            for key, _ in selector.select(self._rest()):
                if key.data is None:
                    if {signal.SIGTERM, signal.SIGINT} & set(wake.recv(64)):
                        return 0
                    continue
                if key.fd not in selector.get_map():
                    continue  # of a role whose end was met a moment ago
                what, role = key.data
                if what == "ready":
                    role.ready = bool(os.read(role.ready_fd, 16))
                    selector.unregister(role.ready_fd)
                    continue
                self._forget(role, selector)
                if not announced:
                    # It may have said why on standard error; one that was killed could not.
                    log.error("a role ended before all were ready", ended=role.role, status=role.process.returncode)
                    return 1
                self._plan_restart(role)
            self._start_due(selector, lock_fd)
            self._tell_of_late_ones()
            if not announced and all(role.ready for role in self._roles.values()):
                announced = True
                self.announce(address_of(self._sockets["web"]), address_of(self._sockets["node"]))

    def _rest(self) -> float | None:
        """Seconds until something is due that no descriptor tells of."""
        due = [at for at, _ in self._waiting.values()]
        due += [role.started_at + self.patience_s for role in self._late_candidates()]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _late_candidates(self) -> list[RoleProcess]:
        return [
            role for role in self._roles.values() if not role.ready and not role.told and role.role not in self._waiting
        ]

    def _tell_of_late_ones(self) -> None:
        for role in self._late_candidates():
            if role.started_at + self.patience_s <= time.monotonic():
                role.told = True
                log.error("role is not ready yet", late=role.role, pid=role.process.pid, after_s=self.patience_s)

    def _start_due(self, selector: selectors.BaseSelector, lock_fd: int) -> None:
        for name, (due, pause_s) in list(self._waiting.items()):
            if due > time.monotonic():
                continue
            try:
                self._start(name, selector, lock_fd, pause_s)
            except OSError as error:  # no memory or no process left: that must not end the roles that live
                longer_s = min(pause_s * 2, LONGEST_PAUSE_S)
                log.error("role could not be started", missing=name, reason=error.strerror, pause_s=longer_s)  # noqa: TRY400
                self._waiting[name] = (time.monotonic() + longer_s, longer_s)
            else:
                del self._waiting[name]

    def _forget(self, role: RoleProcess, selector: selectors.BaseSelector) -> None:
        for fd in (role.ready_fd, role.pid_fd):
            with suppress(KeyError):
                selector.unregister(fd)
            os.close(fd)
        role.process.wait()

    def _plan_restart(self, role: RoleProcess) -> None:
        lived_s = time.monotonic() - role.started_at
        pause_s = FIRST_PAUSE_S if lived_s > STEADY_S else min(role.pause_s * 2, LONGEST_PAUSE_S)
        log.error("role is started again", ended=role.role, status=role.process.returncode, pause_s=pause_s)
        self._waiting[role.role] = (time.monotonic() + pause_s, pause_s)

    def _stop(self) -> None:
        alive = [role for role in self._roles.values() if role.process.poll() is None]
        for role in alive:
            role.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_S
        for role in alive:
            try:
                role.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("role did not end in time", ended=role.role)
                role.process.kill()
                role.process.wait()

    def _signals(self) -> SignalSocket:
        return SignalSocket((signal.SIGTERM, signal.SIGINT))
