"""The switch of torch for TF32: one for the process, while models with and without it run in several threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_changed = threading.Condition()
_users = 0  # threads that compute


@contextmanager
def products_in_tf32(allowed: bool) -> Iterator[None]:
    """Around products of float32 numbers on a GPU: whether they round their factors to TF32, 10 bits of mantissa, which
    is about ten times as fast. Threads that agree run at the same time; others wait for each other."""
    global _users
    with _changed:
        _changed.wait_for(lambda: _users == 0 or torch.backends.cudnn.allow_tf32 == allowed)
        if _users == 0:
            torch.backends.cuda.matmul.allow_tf32 = allowed
            torch.backends.cudnn.allow_tf32 = allowed
        _users += 1
    try:
        yield
    finally:
        with _changed:
            _users -= 1
            _changed.notify_all()
