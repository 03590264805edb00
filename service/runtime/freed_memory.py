"""What the allocator does with memory that was freed.

glibc gives blocks of some hundred KiB back to the kernel as soon as they are freed, and gets fresh pages for the next
object of the same size, zeroed and mapped one by one: for half a MiB that takes several times as long as the copying.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_MEBIBYTE: Final = 1024 * 1024
KEPT_BYTES: Final = 32 * _MEBIBYTE
"""Free memory at the end of the heap that a process keeps for what comes next."""
FROM_HEAP_BYTES: Final = 4 * _MEBIBYTE
"""Larger blocks are mapped for themselves, and given back when they are freed."""


def keep_freed_memory() -> bool:
    """Keep some of it for the next objects, here and in forks of this process; False where there is no ``mallopt``."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; musl has none
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, FROM_HEAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))
