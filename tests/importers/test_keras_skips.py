"""Keras graphs that join steps with what recurrent layers make of them, converted, against the arithmetic of Keras in
numpy."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch

from app.errors import ImportFailed
from app.importers.keras.classifiers import classifier
from app.importers.keras.understood import understand
from app.importers.keras_model import KerasModel
from app.importers.layout import Converted
from app.importers.network import network_of
from app.models.networks import Classifier
from tests.importers.keras_numpy import Array, through
from tests.importers.keras_stacks import IDS, STEPS, Stack, functional

JOINED = {  # what is joined, by number: 0 the embedding, then each recurrent layer
    "one layer": (1, (0, 1)),
    "the other order": (1, (1, 0)),
    "two layers": (2, (0, 1, 2)),
    "two layers, in another order": (2, (2, 0, 1)),
    "without the layer between": (2, (2, 0)),
    "without the embedding": (3, (1, 3)),
}


def _stack(seed: int, layers: int, *, keras: int) -> Stack:
    stack = Stack(seed, keras=keras, features=None)
    stack.embed(mask=seed % 2 == 0)
    for _ in range(layers):
        stack.recur(whole=True)
    return stack


def _joined(stack: Stack, parts: Sequence[int], pooling: str, kind: str = "Concatenate") -> KerasModel:
    """The stack with Concatenate or Add before its last layers: a pooling and a Dense."""
    names = [layer["config"]["name"] for layer in stack.layers]
    config = functional(stack.layers, 2)
    inputs = [[names[part], 0, 0, {}] for part in parts]
    joined = {"class_name": kind, "name": "joined", "config": {"name": "joined", "axis": -1}}
    layers: list[Any] = config["config"]["layers"]
    place = next(number for number, layer in enumerate(layers) if layer["class_name"] == pooling)
    layers[place]["inbound_nodes"] = [[["joined", 0, 0, {}]]]
    layers.insert(place, {**joined, "inbound_nodes": [inputs]})
    weights = {
        name: [torch.from_numpy(array).float() for array in arrays]
        for name, arrays in zip(names, stack.arrays, strict=True)
    }
    return KerasModel("3.9.0" if stack.keras == 3 else "2.11.0", config, weights)


def _answer(stack: Stack, parts: Sequence[int], ids: Array, kind: str = "Concatenate") -> Array:
    x, mask = ids, None
    made: list[Array] = []
    *steps, pooling, dense = zip(stack.layers, stack.arrays, strict=True)
    for layer, arrays in steps:
        x, mask = through(layer, arrays, x, mask, stack.keras)
        made.append(x)
    joined = [made[part] for part in parts]
    x = np.sum(joined, 0) if kind == "Add" else np.concatenate(joined, -1)
    for layer, arrays in (pooling, dense):
        x, mask = through(layer, arrays, x, mask, stack.keras)
    return x


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", JOINED)
def test_steps_beside_what_is_made_of_them(name: str, seed: int) -> None:
    layers, parts = JOINED[name]
    stack = _stack(seed, layers, keras=2 + seed // 2)
    sizes = [4]
    for layer in stack.layers[1:]:
        config = layer["config"]
        sizes.append(8 if config.get("merge_mode") == "concat" else 4)
    stack.size = sum(sizes[part] for part in parts)
    _check(stack, parts, seed)


@pytest.mark.parametrize("seed", range(4))
def test_residual_connections(seed: int) -> None:
    _check(_stack(seed, 1, keras=3), (0, 1), seed, "Add")


def test_steps_of_other_sizes_are_not_added() -> None:
    stack = next(stack for seed in count() if (stack := _stack(seed, 1, keras=3)).size == 8)
    with pytest.raises(ImportFailed, match="it adds steps of 4 and 8 features"):
        _check(stack, (0, 1), 0, "Add")


def _check(stack: Stack, parts: Sequence[int], seed: int, kind: str = "Concatenate") -> None:
    pooling = ("GlobalMaxPooling1D", "GlobalAveragePooling1D")[seed // 2 % 2]
    stack.add(pooling)
    stack.dense(3, "softmax")
    ids = np.random.default_rng(seed).integers(1, IDS, (4, STEPS))
    ids[0, :3] = ids[1, 5:] = ids[2, 2:4] = 0
    architecture, tensors = classifier(understand(_joined(stack, parts, pooling, kind)))
    network = network_of(Converted(architecture, tensors))
    assert isinstance(network, Classifier)
    with torch.no_grad():
        logits = network(torch.from_numpy(ids), torch.full((4,), STEPS))
        np.testing.assert_allclose(
            network.probabilities(logits).numpy(), _answer(stack, parts, ids, kind), rtol=1e-5, atol=1e-6
        )


def test_layers_between_that_are_not_recurrent_are_refused() -> None:
    stack = _stack(1, 1, keras=3)
    stack.dense(4, "tanh")
    stack.size = 8
    stack.add("GlobalMaxPooling1D")
    stack.dense(3, "softmax")
    with pytest.raises(ImportFailed, match="joins several sequences"):
        classifier(understand(_joined(stack, (0, 2), "GlobalMaxPooling1D")))
