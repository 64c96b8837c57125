"""Loads the weights of a version into a network: safetensors only, never pickle."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from app.errors import FileDamaged, WeightsMismatch, printable
from app.store.model_store import WEIGHTS, Version
from app.store.regular_files import opened
from app.store.weights_header import Header, read_header

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}
_PIECE = 2**20  # numbers that are read at once
_RANDOM_FILLS = (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, Tensor.normal_, Tensor.uniform_)


def distinct_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, as stored on disk: of tied tensors only the first."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in network.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach()
    return tensors


class WithoutValues(TorchFunctionMode):
    """Random fills do nothing: the values come from a file. To fill tensors without memory, torch would even import its
    compiler for seconds."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if func in _RANDOM_FILLS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def check_weights(build: Callable[[], nn.Module], version: Version) -> None:
    """Compare the header of the weights with the network that `build` makes, before any of it takes memory. Raises
    FileDamaged or WeightsMismatch."""
    with opened(version.folder / WEIGHTS, root=version.root) as file:
        header = read_header(file, WEIGHTS)
    with torch.device("meta"), WithoutValues():
        needed = distinct_tensors(build())
    _check_match(header, needed)


def load_weights(network: nn.Module, version: Version) -> None:
    """Copy the weights into `network`, converted to its number type. Raises FileDamaged or WeightsMismatch."""
    for _ in load_in_pieces(network, version):
        pass


def load_in_pieces(network: nn.Module, version: Version) -> Iterator[None]:
    """`load_weights` in pieces of some milliseconds: it yields after each one."""
    needed = distinct_tensors(network)
    with opened(version.folder / WEIGHTS, root=version.root) as file:
        header = read_header(file, WEIGHTS)
        _check_match(header, needed)
        for name, tensor in needed.items():
            entry = header.tensors[name]
            dtype = _TYPES[entry.dtype]
            file.seek(header.start + entry.data_offsets[0])
            for part in torch.split(tensor.view(-1), _PIECE):
                numbers = bytearray(part.numel() * dtype.itemsize)
                if file.readinto(numbers) != len(numbers):
                    raise FileDamaged(f"{WEIGHTS} cannot be read: it became shorter meanwhile")
                part.copy_(torch.frombuffer(numbers, dtype=dtype))
                yield


def _check_match(header: Header, needed: Mapping[str, Tensor]) -> None:
    """Raises WeightsMismatch."""
    for name, tensor in needed.items():
        if name not in header.tensors:
            raise WeightsMismatch(f"{WEIGHTS} has no tensor {name}, which the architecture needs")
        entry = header.tensors[name]
        if entry.shape != tensor.shape:
            shapes = f"{entry.shape}, but the architecture needs {tuple(tensor.shape)}"
            raise WeightsMismatch(f"{WEIGHTS} has {name} of shape {shapes}")
        if _TYPES[entry.dtype].is_floating_point != tensor.is_floating_point():
            raise WeightsMismatch(
                f"{WEIGHTS} has {name} of type {entry.dtype}, but the architecture needs {tensor.dtype}"
            )
    if extra := sorted(header.tensors.keys() - needed.keys()):
        raise WeightsMismatch(f"{WEIGHTS} has a tensor {printable(extra[0])} that the architecture does not use")
