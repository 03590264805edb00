"""A recogniser of names that is a program of the operator's: one JSON line in, one out.

The program gets ``{"text": "…"}`` and answers ``{"names": [[start, end], …]}``, in Unicode characters from 0. It is
started with the first text and kept. What answers late, wrongly or not at all is ended; the text at hand then goes
whole, and after some failures in a row the program is left alone for a while, so that nobody waits for it. Texts travel
by pipes on this machine alone; what the program writes to its standard error is dropped, since it could quote them.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from service.deident.text_cleaning.name_recogniser import NamesNotRecognised
from service.errors import SettingsInvalid

LONGEST_ANSWER = 4 * 1024 * 1024
READ_AT_ONCE = 65536
FAILURES_IN_A_ROW = 3
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""What the program sees of our environment, which also holds secrets."""


class ExternalNameRecogniser:
    """Asks a program where names stand; may be shared by threads, and by the children of a fork.

    Parameters
    ----------
    command : the program and its arguments
    timeout_s : how long one answer may take, the first one with the start of the program
    pause_s : how long the program is left alone after it failed several times in a row
    clock : seconds that only go forward
    """

    def __init__(
        self,
        command: Sequence[str],
        timeout_s: float,
        pause_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = list(command)
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._clock = clock
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._failures = 0
        self._resume_at = 0.0

    def __enter__(self) -> ExternalNameRecogniser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the program."""
        with self._lock:
            self._end()

    def names_in(self, text: str) -> Sequence[tuple[int, int]]:
        """Return where names stand, as the program says.

        Raises
        ------
        NamesNotRecognised : it did not start, answered late, wrongly or not at all, or is left alone for now
        """
        with self._lock:
            if self._failures >= FAILURES_IN_A_ROW and self._clock() < self._resume_at:
                raise NamesNotRecognised("the recogniser of names failed and is left alone for now")
            try:
                names = _names(self._answer(text), len(text))
            except (OSError, ValueError, EOFError, RecursionError) as error:
                self._end()
                self._failures += 1
                self._resume_at = self._clock() + self._pause_s
                # The error itself is not quoted: an answer that is no JSON may hold the text.
                raise NamesNotRecognised(f"the recogniser of names failed ({type(error).__name__})") from None
            self._failures = 0
            return names

    def _answer(self, text: str) -> bytes:
        child = self._running()
        if child.stdin is None or child.stdout is None:
            raise OSError("no pipes")
        question = memoryview(json.dumps({"text": text}).encode("ascii") + b"\n")
        answer = bytearray()
        end = self._clock() + self._timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdin, selectors.EVENT_WRITE)
            selector.register(child.stdout, selectors.EVENT_READ)
            while not answer.endswith(b"\n"):
                ready = selector.select(max(end - self._clock(), 0))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fileobj is child.stdin:
                        question = question[os.write(key.fd, question[:READ_AT_ONCE]) :]
                        if not question:
                            selector.unregister(child.stdin)
                    else:
                        read = os.read(key.fd, READ_AT_ONCE)
                        answer += read
                        if not read or len(answer) > LONGEST_ANSWER:
                            raise EOFError
        if question:
            raise ValueError("answered before it had read")
        return bytes(answer)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._owner != os.getpid():
            # Another process started it and holds the other ends of its pipes.
            self._child = None
        if self._child is None:
            environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
            self._child = subprocess.Popen(  # noqa: S603 - the operator's own program
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                bufsize=0,
            )
            self._owner = os.getpid()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.wait()


def recogniser_of(command: Sequence[str], timeout_s: float) -> ExternalNameRecogniser | None:
    """Return what asks the program that the settings name; None where they name none.

    Raises
    ------
    SettingsInvalid : there is no such program
    """
    if not command:
        return None
    if shutil.which(command[0]) is None:
        raise SettingsInvalid(f"text.name_recogniser: there is no program {command[0]}")
    return ExternalNameRecogniser(command, timeout_s)


def _names(answer: bytes, length: int) -> list[tuple[int, int]]:
    document = json.loads(answer)
    names = document.get("names") if isinstance(document, dict) else None
    if not isinstance(names, list) or not all(_is_span(name, length) for name in names):
        raise ValueError("not a list of names")
    return [(start, end) for start, end in names]


def _is_span(name: object, length: int) -> bool:
    if not isinstance(name, list) or len(name) != 2 or not all(type(place) is int for place in name):
        return False
    return bool(0 <= name[0] < name[1] <= length)
