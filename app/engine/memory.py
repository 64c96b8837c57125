"""Memory of unloaded models goes back to the system: without this, freed blocks stay with the process."""

import ctypes
from collections.abc import Callable
from functools import cache

import torch


def give_back_memory(device: torch.device) -> None:
    """Return free memory to the system: torch's cache of a GPU, and the heaps of the C library."""
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
