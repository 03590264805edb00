"""Bytes from one file to another that this process never sees: the kernel copies them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from dicom_nodes.errors import InstanceUnreadable

_AT_ONCE: Final = 1 << 30
_CHUNK: Final = 1 << 20
_NOT_HERE: Final = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})
"""What says that a way of copying does not work between these two files."""

Copy = Callable[[int, int, int, int], int]
"""Source, offset in it, bytes at most, target: copies to the target's position; how many bytes."""


def copy_stretch(source: int, offset: int, length: int, target: int) -> None:
    """Copy bytes of one descriptor's file to the position of another's; holes stay holes.

    Raises
    ------
    InstanceUnreadable : the source ends before the stretch does
    """
    position, end = offset, offset + length
    while position < end:
        data = _next_data(source, position, end)
        if data > position:
            os.lseek(target, data - position, os.SEEK_CUR)
        position = _end_of_data(source, data, end)
        _copy_data(source, data, position - data, target)
    # Where the last bytes were a hole nothing has made the file so long yet.
    length = os.lseek(target, 0, os.SEEK_CUR)
    if os.fstat(target).st_size < length:
        os.ftruncate(target, length)


def _next_data(source: int, position: int, end: int) -> int:
    try:
        return min(end, os.lseek(source, position, os.SEEK_DATA))
    except OSError as error:
        if error.errno != errno.ENXIO:
            return position  # a file system that does not tell
    # A hole to the end of the file, or beyond that end.
    if os.fstat(source).st_size < end:
        raise InstanceUnreadable("the file was cut short while it was read")
    return end


def _end_of_data(source: int, position: int, end: int) -> int:
    if position >= end:
        return end
    try:
        return min(end, os.lseek(source, position, os.SEEK_HOLE))
    except OSError:
        return end


def _copy_data(source: int, offset: int, length: int, target: int) -> None:
    ways: list[Copy] = [_by_range, _by_sendfile, _by_hand]
    while length:
        try:
            copied = ways[0](source, offset, length, target)
        except OSError as error:
            if error.errno not in _NOT_HERE or len(ways) == 1:
                raise
            copied = 0
        if not copied:
            # Some file systems say 0 where they mean that they cannot; the last way knows.
            del ways[0]
            if not ways:
                raise InstanceUnreadable("the file was cut short while it was read")
        offset += copied
        length -= copied


def _by_range(source: int, offset: int, length: int, target: int) -> int:
    return os.copy_file_range(source, target, min(length, _AT_ONCE), offset_src=offset)


def _by_sendfile(source: int, offset: int, length: int, target: int) -> int:
    return os.sendfile(target, source, offset, min(length, _AT_ONCE))


def _by_hand(source: int, offset: int, length: int, target: int) -> int:
    data = os.pread(source, min(length, _CHUNK), offset)
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)
