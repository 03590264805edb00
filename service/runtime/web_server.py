"""gunicorn with threads, on a socket that was bound before."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from service.bootstrap import Gateway
from service.runtime.web_worker import WebLog, WebWorker, with_checked_bodies
from service.settings import Settings

GRACE_S = 10  # for answers under way when SIGTERM comes
KEEP_ALIVE_S = 30


class WebServer(BaseApplication):  # type: ignore[misc]
    """Serves the web edge; `run` stays until SIGTERM.

    Parameters
    ----------
    say_ready : called when the first worker can answer
    new_helper : starts a process that takes in what is stored; may be called in every worker
    """

    def __init__(
        self,
        settings: Settings,
        listening: socket.socket,
        say_ready: Callable[[], None],
        *,
        workers: int,
        threads: int,
        new_helper: Callable[[], socket.socket] | None = None,
    ) -> None:
        self._settings = settings
        self._new_helper = new_helper
        self.stall_s = settings.http.stall_s
        """How long a thread waits for a caller that neither sends nor reads."""
        self._options: dict[str, Any] = {
            "bind": f"fd://{listening.fileno()}",
            "workers": workers,
            "threads": threads,
            "worker_class": WebWorker,
            "logger_class": WebLog,
            "graceful_timeout": GRACE_S,
            "keepalive": KEEP_ALIVE_S,
            "timeout": 0,  # a thread may stream a large study for as long as it takes
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "annogate-web",
            "post_worker_init": lambda _: say_ready(),
            "worker_exit": lambda _, worker: worker.app.close(),
            "limit_request_line": 8190,
            "forwarded_allow_ips": "",
        }
        self._gateway: Gateway | None = None
        super().__init__()

    def load_config(self) -> None:
        """Hand gunicorn its options."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application, in the worker's own process."""
        self._gateway = Gateway(self._settings)
        return with_checked_bodies(self._gateway.web_application(self._new_helper))

    def close(self) -> None:
        """End the worker's parts: audit rows that wait are written."""
        if self._gateway is not None:
            self._gateway.close()

    def run(self) -> None:
        """Serve until SIGTERM; gunicorn ends the process's work by SystemExit, which is turned into a return."""
        try:
            Arbiter(self).run()
        except SystemExit as end:
            if end.code:
                raise
