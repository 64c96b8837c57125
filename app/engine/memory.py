"""Memory of what was unloaded, back to the system: freed blocks stay with the process unless somebody asks."""

import ctypes
from collections.abc import Callable
from functools import cache

import torch


def give_back_memory(device: torch.device) -> None:
    """Return what is free to the system: torch's cache of a GPU, the C library's heaps."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim(3); None with another C library."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim
