"""Memory that ends at a chosen allocation: where torch raises OutOfMemoryError, so does this mode."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_WITH_TEMPORARIES = ("index_put_", "scatter_", "masked_fill_", "index_copy_", "lift_fresh")  # allocate and return none


class FailingAllocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that allocate memory, from 1. `times` of them, from number `first` on, get none; 0 is
    never."""

    def __init__(self, first: int = 0, times: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0
        self._failing = range(first, first + times) if first else range(0)

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if _allocates(function):
            self.count += 1
            if self.count in self._failing:
                raise torch.OutOfMemoryError("no memory, as the test wants it")
        return function(*args, **(kwargs or {}))


@cache
def _allocates(function: Any) -> bool:
    """Whether an operation returns a tensor of its own, or needs one for a moment."""
    returns = function._schema.returns
    return function.overloadpacket.__name__ in _WITH_TEMPORARIES or any(
        one.alias_info is None and "Tensor" in str(one.type) for one in returns
    )
