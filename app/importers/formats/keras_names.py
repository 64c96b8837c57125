"""Which arrays belong to which layer of a Keras model.

Keras 3 stores arrays by the class of the layer and a number (`lstm`, `lstm_1`), not by its name. The numbers follow the
order of the layers of one class in the settings; TensorFlow 2.12 leaves some out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.importers.formats.refusals import Unreadable


def named(model: Any, groups: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The arrays by name of the layer; those of a layer inside of a model inside have the key `outer/inner`.

    `model` is what `to_json` writes; the keys of `groups` are those of the file. Raises Unreadable if they do not fit.
    """
    made: dict[str, Sequence[Any]] = {}
    below = _below(groups)
    numbered = _by_kind(below)
    for kind, layers in _by_class(layers_of(model)).items():
        found = numbered.get(kind, [])
        if len(found) != len(layers):
            found = [key for key in found if any(below[key].values())]
        if found and len(found) != len(layers):
            raise Unreadable(
                f"its settings have {len(layers)} layers of class {layers[0]['class_name']}, and it has the arrays of "
                f"{len(found)}: the settings are those of another model"
            )
        for layer, key in zip(layers, found, strict=False):
            name, inside = name_of(layer), {path: arrays for path, arrays in below[key].items() if path}
            if below[key].get(""):
                made[name] = below[key][""]
            inner = named(layer, inside) if layers_of(layer) else inside
            made |= {f"{name}/{path}": arrays for path, arrays in inner.items()}
    return made


def layers_of(model: Any) -> list[dict[str, Any]]:
    """The layers in the settings of a model or of a layer."""
    config = model.get("config") if isinstance(model, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else config
    return (
        [layer for layer in layers or () if isinstance(layer, dict) and "class_name" in layer]
        if isinstance(layers, list)
        else []
    )


def name_of(layer: Mapping[str, Any]) -> str:
    config = layer.get("config")
    return str((config.get("name") if isinstance(config, dict) else None) or layer.get("name") or layer["class_name"])


def snake_case(name: str) -> str:
    """As Keras names the groups of a class."""
    name = re.sub(r"\W+", "", name.rpartition(">")[2])
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def _by_class(layers: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    made: dict[str, list[dict[str, Any]]] = {}
    for layer in layers:
        made.setdefault(snake_case(str(layer["class_name"])), []).append(layer)
    return made


def _below(groups: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By the first part of the key: the arrays by the rest of it."""
    made: dict[str, dict[str, Any]] = {}
    for key, arrays in groups.items():
        first, _, rest = key.partition("/")
        made.setdefault(first, {})[rest] = arrays
    return made


def _by_kind(keys: Iterable[str]) -> dict[str, list[str]]:
    """The keys of each class in the order of their numbers: `lstm`, `lstm_1`. A class may end in a number itself."""
    made: dict[str, dict[int, str]] = {}
    for key in keys:
        made.setdefault(key, {})[0] = key
        if match := re.fullmatch(r"(.+)_(\d{1,9})", key):
            made.setdefault(match[1], {})[int(match[2])] = key
    return {kind: [numbers[number] for number in sorted(numbers)] for kind, numbers in made.items()}
