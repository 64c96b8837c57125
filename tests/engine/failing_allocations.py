"""Memory that ends at a chosen allocation: where torch raises OutOfMemoryError, so does this mode."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_WITH_TEMPORARIES = ("index_put_", "scatter_", "masked_fill_", "index_copy_", "lift_fresh")  # allocate and return none


class FailingAllocations(TorchDispatchMode):
    """Counts the operations that allocate memory, from 1. `times` of them, from number `first` on, get none; 0 is
    never."""

    def __init__(self, first: int = 0, times: int = 1) -> None:
        super().__init__()
        self.count = 0
        self._failing = range(first, first + times) if first else range(0)

    @property
    def has_failed(self) -> bool:
        return bool(self._failing) and self.count >= self._failing.start

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function.overloadpacket.__name__ in _WITH_TEMPORARIES:
            self._allocate()
            return function(*args, **(kwargs or {}))
        result = function(*args, **(kwargs or {}))
        if _storages(result) - _storages((args, kwargs)):
            self._allocate()  # the operation changes none of its arguments, so its result alone is dropped
        return result

    def _allocate(self) -> None:
        self.count += 1
        if self.count in self._failing:
            raise torch.OutOfMemoryError("no memory, as the test wants it")


def _storages(values: object) -> set[int]:
    return {value.untyped_storage()._cdata for value in tree_leaves(values) if isinstance(value, torch.Tensor)}
