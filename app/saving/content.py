"""Live objects as the plain data that importers read: modules, vocabularies, scalers, labels."""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, checkpoint_of
from app.importers.labels import read_labels
from app.importers.reading import ForeignObject, Plain, read
from app.importers.scalers import Scaler, scaler_of
from app.importers.vocabularies import BUILT_IN, Role, WordFile, read_words, words_of

_DEPTH = 4  # of objects inside of objects


def is_keras(module: object) -> bool:
    """Whether it is a model of any Keras, without importing one."""
    ours = any(
        kind.__module__.partition(".")[0] in ("keras", "tf_keras", "tensorflow") for kind in type(module).__mro__
    )
    return ours and hasattr(module, "get_config")


def checkpoint_in(module: Any) -> Checkpoint:
    """The tensors of a module; a model of Keras by way of a file, which has its settings, too."""
    if is_keras(module):
        return _of_keras(module)
    if not isinstance(module, nn.Module):
        raise ImportFailed(f"save() takes an nn.Module or a model of Keras, not {type(module).__name__}")
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
    floats = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    return checkpoint_of([floats], ["module"])


def _of_keras(model: Any) -> Checkpoint:
    with tempfile.TemporaryDirectory(prefix="unroll-save-") as folder:
        file = Path(folder) / "model.keras"
        try:
            model.save(file)
        except ValueError:  # Keras before 2.12 has no such format
            file = file.with_suffix(".h5")
            model.save(file)
        return checkpoint_of([read(file)], ["model"])


def vocabularies_in(vocabulary: Any) -> list[WordFile]:
    """`vocabulary` of `save`: one, or one for each role (`{"source": ..., "target": ...}`)."""
    if vocabulary is None:
        return []
    if isinstance(vocabulary, Mapping) and vocabulary and vocabulary.keys() <= {"source", "target"}:
        roles: list[Role] = ["source", "target"]
        return [_words(vocabulary[role], role) for role in roles if role in vocabulary]
    return [_words(vocabulary, None)]


def _words(vocabulary: Any, role: Role | None) -> WordFile:
    if isinstance(vocabulary, Path) or (
        isinstance(vocabulary, str) and (vocabulary in BUILT_IN or _is_file(vocabulary))
    ):
        return read_words(Path(vocabulary), role)
    content = plain_of(vocabulary)
    words = list(content) if isinstance(content, str) else words_of(content)
    if not words:
        raise ImportFailed(
            f"vocabulary= of type {type(vocabulary).__name__} has no words: give a list of words, word 0 first, a "
            "dictionary of words and their ids, a file, or an object that has one of these"
        )
    return WordFile(role, words, content, f"vocabulary of type {type(vocabulary).__name__}")


def labels_in(labels: Any) -> Sequence[str]:
    """`labels` of `save`: names in order, a dictionary of names and numbers, a LabelEncoder, or a file."""
    if isinstance(labels, str | Path):
        return read_labels(str(labels))
    labels = getattr(labels, "classes_", labels)
    if isinstance(labels, Mapping):
        return words_of(labels) or ()
    return [str(label) for label in labels]


def scalers_in(scaler: Any) -> tuple[dict[str, Scaler], list[tuple[str | None, str]]]:
    """`scaler` of `save`: fitted objects by name, and descriptions in words, with its role."""
    if scaler is None:
        return {}, []
    by_role = isinstance(scaler, Mapping) and scaler and scaler.keys() <= {"features", "targets"}
    roles: Iterable[tuple[str | None, Any]] = scaler.items() if by_role else [(None, scaler)]
    objects: dict[str, Scaler] = {}
    words: list[tuple[str | None, str]] = []
    for role, one in roles:
        if isinstance(one, str | Path):
            words.append((role or "features", str(one)))
            continue
        found = scaler_of(plain_of(one))
        if found is None:
            raise ImportFailed(
                f"scaler= of type {type(one).__name__} is no scaler: give one of sklearn, "
                '{"mean": [...], "std": [...]}, {"min": [...], "max": [...]}, or words such as "min-max:0,250"'
            )
        objects[f"scaler of {role}" if role else "scaler"] = found
    return objects, words


def plain_of(value: Any, depth: int = _DEPTH) -> Plain:
    """Plain data of a live object, as a reader would find it in a file. No code of the object runs, but for `to_json`
    of a Tokenizer of Keras and `get_itos` of torchtext."""
    if value is None or isinstance(value, str | int | float | bool | bytes | Tensor):
        return value
    if isinstance(value, Mapping) and type(value).__module__ in ("builtins", "collections"):
        return {key: plain_of(item, depth) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_of(item, depth) for item in value]
    if hasattr(value, "tolist") and hasattr(value, "dtype"):  # numpy, without importing it
        numbers = value.tolist()
        is_text = value.dtype.kind in "OUS"
        return numbers if is_text or not hasattr(value, "shape") else torch.as_tensor(numbers, dtype=torch.float64)
    if type(value).__name__ == "Tokenizer" and hasattr(value, "to_json"):
        return json.loads(value.to_json())
    if hasattr(value, "get_itos"):
        return list(value.get_itos())
    if not depth or not hasattr(value, "__dict__"):
        return None
    kind = type(value)
    state = {name: plain_of(item, depth - 1) for name, item in vars(value).items()}
    entries = {key: plain_of(item, depth - 1) for key, item in value.items()} if isinstance(value, Mapping) else {}
    return ForeignObject(f"{kind.__module__}.{kind.__qualname__}", state, entries=entries)


def _is_file(text: str) -> bool:
    try:
        return len(text) < 4096 and Path(text).is_file()
    except (OSError, ValueError):
        return False
