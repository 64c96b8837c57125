"""Models of Keras as HDF5 files: whole ones, weights of Keras 2, weights of Keras 3 and of TensorFlow 2.12."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.importers.formats.hdf5 import Group, Numbers
from app.importers.formats.keras_names import layers_of, name_of, named
from app.importers.formats.refusals import Refused, TooLarge, Unreadable
from app.importers.formats.storages import TensorView
from app.importers.formats.stubs import Stub

ROOTS = ("layers", "_layer_checkpoint_dependencies")
_NO_LAYERS = re.compile(r"optimizer.*|metrics|vars|.*seed_generator|.*random_generator|loss_tracker|top_level.*")
_FIRST = {"vars": 0, "cell": 1, "forward_layer": 2, "backward_layer": 3, "layer": 4}
_MOST_GROUPS = 5_000

Arrays = dict[str, list[TensorView]]


def model(
    weights: Mapping[str, Any],
    *,
    named: bool,
    version: str | None = None,
    config: Any = None,
    training: Any = None,
    assets: Any = None,
) -> Stub:
    stub = Stub()
    stub.name = "keras.Model"
    stub.state = {
        "version": version,
        "config": config,
        "compile": training,
        "weights": dict(weights),
        "named": named,
        "assets": assets or {},
    }
    return stub


def from_hdf5(root: Group) -> Any:
    """A model, or for HDF5 files of other origin a dictionary of arrays."""
    config = settings(root.text("model_config"), "model_config")
    whole = root.group("model_weights")
    if config is not None and whole is not None:
        version = root.text("keras_version") or whole.text("keras_version")
        training = settings(root.text("training_config"), "training_config")
        return model(by_layer(whole, config), named=True, version=version, config=config, training=training)
    if root.texts("layer_names") is not None:
        return model(by_layer(root), named=True, version=root.text("keras_version"))
    if any(root.group(name) for name in ROOTS) or root.group("vars"):
        return model(by_class(root), named=False, version=None)
    return _arrays(root)


def by_layer(root: Group, config: Any = None) -> Arrays:
    """Arrays by the name of the layer, as Keras 2 stores them: each group lists its arrays in order.

    With the settings, the arrays of a model inside of the model go to its own layers.
    """
    inside = {name_of(layer): layer for layer in layers_of(config) if layers_of(layer)}
    made: Arrays = {}
    for name in root.texts("layer_names") or ():
        group = root.group(name)
        if group is None:
            raise Unreadable(f"it has no group for its layer {name!r}")
        for path in group.texts("weight_names") or ():
            found = group.get(path)
            if not isinstance(found, Numbers):
                raise Unreadable(f"it has no array {path!r} of its layer {name!r}")
            parts = [name, *_inner(inside.get(name), path.split("/"))]
            made.setdefault("/".join(parts), []).append(found.tensor())
    return made


def _inner(layer: Any, path: list[str]) -> list[str]:
    """The names of the layers inside of a layer on the path to an array."""
    known = {name_of(inner): inner for inner in layers_of(layer)}
    for place, part in enumerate(path):
        if part in known:
            return [part, *_inner(known[part], path[place + 1 :])]
    return []


def by_class(root: Group) -> Arrays:
    """Arrays by group, as Keras 3 and TensorFlow 2.12 store them. A group without arrays is listed, too: it counts."""
    layers = next((found for name in ROOTS if (found := root.group(name)) is not None), root)
    return dict(_groups(layers, "", [_MOST_GROUPS]))


def _groups(layers: Group, prefix: str, left: list[int]) -> Iterator[tuple[str, list[TensorView]]]:
    for name, group in layers.groups():
        if _NO_LAYERS.fullmatch(name):
            continue
        inner = next((found for root in ROOTS if (found := group.group(root)) is not None), None)
        if inner is not None:
            yield from _groups(inner, f"{prefix}{name}/", left)
        yield prefix + name, list(_variables(group, left))


def _variables(group: Group, left: list[int]) -> Iterator[TensorView]:
    """The arrays of a layer in the order of Keras: its own, then those of its cell, or of both directions."""
    left[0] -= 1
    if left[0] < 0:
        raise TooLarge(f"it has more than {_MOST_GROUPS} groups")
    if (own := group.group("vars")) is not None:
        for _, numbers in sorted(own.datasets(), key=lambda pair: _natural(pair[0])):
            yield numbers.tensor()
    parts = [name for name in group.names() if name not in ROOTS and not _NO_LAYERS.fullmatch(name)]
    for name in sorted(parts, key=lambda name: (_FIRST.get(name, 9), _natural(name))):
        if (part := group.group(name)) is not None:
            yield from _variables(part, left)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d{0,9})", name)]


def _arrays(root: Group, prefix: str = "", left: list[int] | None = None) -> dict[str, TensorView]:
    left = left or [_MOST_GROUPS]
    left[0] -= 1
    if left[0] < 0:
        raise TooLarge(f"it has more than {_MOST_GROUPS} groups")
    made = {prefix + name: numbers.tensor() for name, numbers in root.datasets()}
    for name, group in root.groups():
        made |= _arrays(group, f"{prefix}{name}/", left)
    if not made and not prefix:
        raise Unreadable("it is an HDF5 file without arrays")
    return made


def settings(text: str | None, what: str) -> Any:
    """Settings in JSON. Raises Refused if one of the layers is a Lambda."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"its {what} is not valid JSON: {error}") from error
    programs = sorted(set(_programs(found)))
    if programs:
        raise Refused(
            f"its layer {programs[0]!r} is a Lambda, which holds a Python program; nothing of it was run. Replace it "
            "with a layer of Keras, copy the weights with new.set_weights(old.get_weights()), and save again"
        )
    return found


def _programs(model: Any) -> Iterator[str]:
    for layer in layers_of(model):
        if layer["class_name"] == "Lambda":
            yield name_of(layer)
        config = layer.get("config")
        inner = config.get("layer") if isinstance(config, dict) else None  # of TimeDistributed
        if isinstance(inner, dict) and inner.get("class_name") == "Lambda":
            yield name_of(inner)
        yield from _programs(layer)


def from_archive(root: Group, config: Any, version: str | None, assets: Mapping[str, dict[str, str]]) -> Stub:
    """The parts of a `.keras` file."""
    groups = by_class(root)
    training = config.pop("compile_config", None) if isinstance(config, dict) else None
    if not layers_of(config):
        return model(groups, named=False, version=version, config=config, training=training, assets=assets)
    texts = named(config, {key: [assets[key]] if key in assets else [] for key in {*groups, *assets}})
    return model(
        named(config, groups),
        named=True,
        version=version,
        config=config,
        training=training,
        assets={layer: found[0] for layer, found in texts.items()},
    )
