"""What the files of a user hold: state dicts and vocabularies, wherever in the nested data they lie."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from app.errors import ImportFailed
from app.importers.formats.torch_files import Plain, Stub, state_dict_of
from app.importers.layout import Role, Tensors
from app.importers.vocabularies import words_of

_PARALLEL = "module."  # what `nn.DataParallel` puts before every key
_NOT_NETWORKS = ("optim", "sched", "_opt", "amp")
_HINTS: Mapping[Role, Sequence[str]] = {
    "source": ("source", "src", "input", "lang1", "de_vocab"),
    "target": ("target", "trg", "tgt", "output", "lang2", "en_vocab"),
}


def find(checkpoints: Sequence[Plain]) -> tuple[dict[str, Tensors], dict[str, list[str]]]:
    """State dicts and lists of words, each by where it lies: `0.encoder` is the entry `encoder` of the first file."""
    networks: dict[str, Tensors] = {}
    words: dict[str, list[str]] = {}
    for number, checkpoint in enumerate(checkpoints):
        for path, thing in _walk(checkpoint, str(number)):
            if isinstance(thing, Mapping):
                networks[path] = _unwrapped(thing)
            else:
                words[path] = thing
    if not networks:
        raise ImportFailed("there are no weights in these files: give what `torch.save(model.state_dict(), ...)` wrote")
    return networks, words


def _walk(plain: Plain, path: str) -> Iterator[tuple[str, Mapping[str, Tensor] | list[str]]]:
    if isinstance(plain, Stub) and (weights := state_dict_of(plain)):
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


def vocabularies(
    wanted: Sequence[Role], given: Sequence[tuple[Role | None, list[str]]], inside: Mapping[str, list[str]]
) -> dict[Role, Sequence[str]]:
    """The words of each role that a layout needs: as the user named them, else from inside the checkpoint.

    Raises ImportFailed naming what is missing and how to give it.
    """
    words: dict[Role, Sequence[str]] = {role: found for role, found in given if role is not None}
    nameless = [found for role, found in given if role is None]
    open_roles = [role for role in wanted if role not in words]
    if nameless and len(nameless) == len(open_roles) == 1:
        words[open_roles[0]] = nameless[0]
    elif nameless:
        raise ImportFailed(
            f"{len(nameless)} vocabularies without a role, but {len(open_roles)} are open: say which is which, "
            + " ".join(f"--vocab {role}=FILE" for role in wanted)
        )
    for role in wanted:
        if role not in words:
            words[role] = _inside(role, wanted, inside)
    return words


def _inside(role: Role, wanted: Sequence[Role], inside: Mapping[str, list[str]]) -> list[str]:
    hinted = [found for path, found in inside.items() if any(hint in path.lower() for hint in _HINTS[role])]
    if len(hinted) == 1:
        return hinted[0]
    if len(inside) == len(wanted) == 1:
        return next(iter(inside.values()))
    raise ImportFailed(f"no {role} vocabulary: these checkpoints hold only weights, so add --vocab {role}=FILE")
