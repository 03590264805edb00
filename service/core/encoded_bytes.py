"""Bytes that lie in memory or elsewhere and are read a stretch at a time, so that an object may be longer than memory.

``bytes`` are such as they are: what is small is read once and stays as quick as it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate
from typing import Final, Protocol

CHUNK: Final = 1 << 20
IN_MEMORY_BYTES: Final = 4 << 20
"""What is longer is read from where it lies, a stretch at a time."""


class EncodedBytes(Protocol):
    """What is read like ``bytes``: its length, and plain slices of it, without a step."""

    def __len__(self) -> int:
        """How many bytes there are."""

    def __getitem__(self, stretch: slice, /) -> bytes:
        """The bytes of a slice, fewer where it reaches beyond the end."""


Keep = Callable[[Iterable[bytes | memoryview]], EncodedBytes]
"""Takes parts, joined, into keeping; ``b"".join`` keeps them in memory."""


def chunks(content: EncodedBytes, start: int = 0, stop: int | None = None) -> Iterator[bytes | memoryview]:
    """Yield a stretch in pieces; what is in memory comes in one, without a copy."""
    stop = len(content) if stop is None else min(stop, len(content))
    if isinstance(content, Section):
        yield from content.chunks(start, stop)
    elif isinstance(content, bytes):
        if start < stop:
            yield memoryview(content)[start:stop]
    else:
        for position in range(start, stop, CHUNK):
            yield content[position : min(position + CHUNK, stop)]


class Section:
    """A stretch of other bytes, of which nothing is copied before it is read.

    Parameters
    ----------
    start, stop : offsets in ``content``, within its length
    """

    __slots__ = ("_content", "_start", "_stop")

    def __init__(self, content: EncodedBytes, start: int, stop: int) -> None:
        self._content = content
        self._start = start
        self._stop = stop

    @property
    def within(self) -> EncodedBytes:
        """What it is a stretch of."""
        return self._content

    @property
    def start(self) -> int:
        """Where it begins in that."""
        return self._start

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, stretch: slice, /) -> bytes:
        start, stop, _ = stretch.indices(len(self))
        return self._content[self._start + start : self._start + max(start, stop)]

    def __bytes__(self) -> bytes:
        return self._content[self._start : self._stop]

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes | memoryview]:
        """Yield a stretch of the stretch in pieces."""
        stop = len(self) if stop is None else min(stop, len(self))
        return chunks(self._content, self._start + start, self._start + stop)


class JoinedBytes:
    """Bytes one after the other, of which nothing is copied before it is read."""

    __slots__ = ("_starts", "parts")

    def __init__(self, parts: Sequence[EncodedBytes]) -> None:
        self.parts = parts
        self._starts = list(accumulate((len(part) for part in parts), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, stretch: slice, /) -> bytes:
        start, stop, _ = stretch.indices(len(self))
        found = []
        for number in range(max(bisect_right(self._starts, start) - 1, 0), len(self.parts)):
            first = self._starts[number]
            if first >= stop:
                break
            part = self.parts[number]
            low, high = max(start - first, 0), min(stop - first, len(part))
            if low < high:
                found.append(part[low:high])
        return b"".join(found)


class FramedBytes:
    """Bytes that lie in frames which are opened one at a time; of all that was opened, the last frame is kept.

    Parameters
    ----------
    starts : the offset of each frame's first byte, ascending from 0
    size : of all frames together
    open_frame : gives the bytes of a frame by its number
    """

    __slots__ = ("_open_frame", "_opened", "_size", "_starts")

    def __init__(self, starts: Sequence[int], size: int, open_frame: Callable[[int], bytes]) -> None:
        self._starts = starts
        self._size = size
        self._open_frame = open_frame
        self._opened: tuple[int, bytes] = (-1, b"")

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, stretch: slice, /) -> bytes:
        position, stop, _ = stretch.indices(self._size)
        whole = BytesIO()  # unlike parts and their join it holds what is long only once
        while position < stop:
            number = bisect_right(self._starts, position) - 1
            first = position - self._starts[number]
            part = self._frame(number)[first : first + stop - position]
            if not part:
                break  # a frame shorter than was said, which whoever opened it has to notice
            position += whole.write(part)
        return whole.getvalue()

    def __bytes__(self) -> bytes:
        return self[:]

    def _frame(self, number: int) -> bytes:
        if self._opened[0] != number:
            self._opened = (-1, b"")  # two at once would be twice the memory
            self._opened = (number, self._open_frame(number))
        return self._opened[1]
