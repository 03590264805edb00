"""A process that forks helpers when it is asked to, for one that has threads and therefore cannot.

It is forked before there are any, stays in one thread and opens nothing, so that what it forks shares its memory of
imported modules and works at once.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

import structlog

from service.core.fault_place import fault_place
from service.runtime.parent_death import end_with

_ASK: Final = b"\n"
_log = structlog.get_logger("annogate")


class HelperKeeper:
    """Asks for helpers; forked processes may share it, and it goes on as long as any of them lives.

    Parameters
    ----------
    work : what a helper does with its end of a channel, until it returns
    let_go : called once in the keeper, to close what belongs to others
    """

    def __init__(self, work: Callable[[socket.socket], None], let_go: Callable[[], None] = lambda: None) -> None:
        self._asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        caller = os.getpid()
        gc.freeze()  # what is there now is shared; collecting it would unshare it
        if not os.fork():
            self._asking.close()
            _exit_after(lambda: _keep(asked, work, let_go, caller))
        asked.close()

    def new_helper(self) -> socket.socket:
        """Start a helper; our end of the channel to it. It ends when that is closed.

        Raises
        ------
        OSError : there is no keeper any more, or no room for another process
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._asking, [_ASK], [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return ours

    def close(self) -> None:
        """Ask for no more; the keeper ends when nobody can."""
        self._asking.close()


def _keep(asked: socket.socket, work: Callable[[socket.socket], None], let_go: Callable[[], None], caller: int) -> None:
    """Fork whatever is asked for."""
    end_with(caller)
    let_go()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a helper's end
    while True:
        message, descriptors, _, _ = socket.recv_fds(asked, len(_ASK), 1)
        if not message:
            return
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as channel, suppress(OSError):
                # Where there can be no process the channel just ends.
                if not os.fork():
                    asked.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _exit_after(lambda: work(channel))


def _exit_after(act: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        act()
        status = 0
    except SystemExit:
        pass
    except Exception as error:  # noqa: BLE001 -- the edge of a process; its words may quote a value
        _log.error("helper failed", error=fault_place(error))
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
