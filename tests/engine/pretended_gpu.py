"""A device that is not there: tensors on it have their numbers on the host, but only operations of torch reach them.

It counts what a GPU would wait for. Torch calls the device "meta", where it computes nothing itself.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("meta")
_DEPENDS_ON_VALUES = {"nonzero", "masked_select", "_unique2", "unique_consecutive", "repeat_interleave"}
_CUDNN = {"lstm", "gru", "rnn_tanh", "rnn_relu"}


class OnDevice(Tensor):
    """A tensor on the device; `numbers` is the same one on the host."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "OnDevice":
        with torch.inference_mode(False):  # else a view could not be written to
            made: OnDevice = Tensor._make_wrapper_subclass(
                cls, numbers.shape, strides=numbers.stride(), dtype=numbers.dtype, device=DEVICE
            )
        made.numbers = numbers
        return made

    def tolist(self) -> Any:
        return self.cpu().tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise AssertionError(f"{func} runs after the device is gone")


class PretendedGpu(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """`reads`: how often the host waited for a value, by the name of the operation. `blocking`: how often it waited for
    a copy to the device. Mixing host and device is an error, as on a GPU."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reads: list[str] = []
        self.blocking: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.__name__.partition(".")[0]
        leaves = pytree.tree_leaves((args, kwargs))
        here = [leaf for leaf in leaves if isinstance(leaf, OnDevice)]
        elsewhere = [
            leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, OnDevice) and leaf.dim()
        ]
        target = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
        wrappers = {id(leaf.numbers): leaf for leaf in here}
        waits = not self._option(func, args, kwargs, "non_blocking")
        if here and elsewhere:
            assert name == "copy_", f"{func} mixes the device and the host"
            (self.blocking if isinstance(args[0], OnDevice) else self.reads).extend([name] * waits)
        if elsewhere and target == DEVICE and waits:
            self.blocking.append(name)
        if here and (name in _DEPENDS_ON_VALUES or (name == "index" and _by_mask(args[1]))):
            self.reads.append(name)
        if here and name == "where" and "Scalar" in func.__name__:  # torch copies the number to the GPU, and waits
            self.blocking.append(name)
        if here and name in _CUDNN:
            assert all(state.is_contiguous() for state in pytree.tree_leaves(args[1])), f"{name}: hx is not contiguous"
        result = func(*pytree.tree_map(_on_host, args), **pytree.tree_map(_on_host, kwargs))
        if here and (target == torch.device("cpu") or not isinstance(result, Tensor | list | tuple | None)):
            self.reads.append(name)
            return result
        if (here and target != torch.device("cpu")) or target == DEVICE:
            return pytree.tree_map_only(
                Tensor, lambda one: wrappers[id(one)] if id(one) in wrappers else OnDevice(one), result
            )
        return result

    @staticmethod
    def _option(func: Any, args: Any, kwargs: Any, name: str) -> Any:
        names = [argument.name for argument in func._schema.arguments]
        return (dict(zip(names, args, strict=False)) | kwargs).get(name, False)


def _on_host(leaf: Any) -> Any:
    if isinstance(leaf, OnDevice):
        return leaf.numbers
    return torch.device("cpu") if leaf == DEVICE and isinstance(leaf, torch.device) else leaf


def _by_mask(indices: Any) -> bool:
    return any(isinstance(index, Tensor) and index.dtype == torch.bool for index in indices)
