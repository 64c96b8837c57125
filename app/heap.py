"""The heap of this process, as the C library keeps it. Does nothing with another library than glibc."""

import ctypes
from functools import cache

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # mallopt(3)
_LARGE = 256 * 1024  # bytes


def share_heap() -> None:
    """Let the threads that start from now on share the heap of the first one.

    By default each thread has a heap of its own, and what it frees stays there: memory grows with the number of threads
    that have ever read a long text or unpacked a body.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_M_ARENA_MAX, 1)


def keep_large_blocks_apart() -> None:
    """Let large blocks return to the system at once.

    By default they move into the heap after the first was freed, and small blocks between them keep it from shrinking.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)


def give_back_memory() -> None:
    """Return free memory to the system: after a crowd of requests, or an unloaded model, the C library keeps it."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
        return library if hasattr(library, "malloc_trim") else None
    except OSError:
        return None
