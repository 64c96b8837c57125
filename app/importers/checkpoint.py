"""The networks and the vocabularies in the files of a user, at any place in the nested data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from app.errors import ImportFailed
from app.importers.reading import ForeignObject, Plain, state_dict_of
from app.importers.vocabularies import words_of

Tensors = Mapping[str, Tensor]
_PARALLEL = "module."  # what `nn.DataParallel` puts before every key
_NOT_NETWORKS = ("optim", "sched", "_opt", "amp")


@dataclass(frozen=True)
class Checkpoint:
    """The content of the files: state dicts and lists of words, each by its path. `0.encoder` is the entry `encoder` of
    the first file. `files` is the whole content of each, for layouts that need more than tensors."""

    networks: Mapping[str, Tensors] = field(default_factory=dict)
    vocabularies: Mapping[str, list[str]] = field(default_factory=dict)
    files: Sequence[Plain] = ()

    @property
    def single(self) -> Tensors | None:
        """The state dict, if there is exactly one."""
        return next(iter(self.networks.values())) if len(self.networks) == 1 else None

    @property
    def network(self) -> Tensors:
        """The state dict of a checkpoint that has exactly one."""
        (network,) = self.networks.values()
        return network


def checkpoint_of(files: Sequence[Plain]) -> Checkpoint:
    """Raises ImportFailed if there is no state dict."""
    networks: dict[str, Tensors] = {}
    vocabularies: dict[str, list[str]] = {}
    for number, content in enumerate(files):
        for path, value in _walk(content, str(number)):
            if isinstance(value, Mapping):
                networks[path] = _unwrapped(value)
            else:
                vocabularies[path] = value
    if not networks:
        raise ImportFailed("these files contain no weights: give a file of `torch.save(model.state_dict(), ...)`")
    return Checkpoint(networks, vocabularies, files)


def _walk(plain: Plain, path: str) -> Iterator[tuple[str, Mapping[str, Tensor] | list[str]]]:
    if isinstance(plain, ForeignObject) and (weights := state_dict_of(plain)):
        yield path, weights
    elif isinstance(plain, Mapping) and _is_state_dict(plain):
        yield path, plain
    elif words := words_of(plain):
        yield path, words
    elif isinstance(plain, Mapping):
        for key, value in plain.items():
            if not any(word in str(key).lower() for word in _NOT_NETWORKS):
                yield from _walk(value, f"{path}.{key}")
    elif isinstance(plain, list | tuple):
        for index, value in enumerate(plain):
            yield from _walk(value, f"{path}.{index}")


def _is_state_dict(mapping: Mapping[Any, Any]) -> bool:
    return (
        bool(mapping)
        and all(isinstance(key, str) for key in mapping)
        and all(isinstance(value, Tensor) for value in mapping.values())
    )


def _unwrapped(tensors: Tensors) -> Tensors:
    if all(key.startswith(_PARALLEL) for key in tensors):
        return {key.removeprefix(_PARALLEL): tensor for key, tensor in tensors.items()}
    return tensors
