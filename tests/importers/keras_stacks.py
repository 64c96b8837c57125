"""Random stacks of Keras layers: their settings in the dialects of Keras 2 and 3, and their arrays."""

import random
from typing import Any

import numpy as np
import torch

from app.importers.keras_model import KerasModel
from tests.importers.keras_numpy import Array, Settings

FUNCTIONS = ("linear", "relu", "tanh", "sigmoid", "softsign", "elu")
IDS, STEPS = 9, 8


class Stack:
    """Layers with random arrays, for inputs with `features`, or for ids."""

    def __init__(self, seed: int, *, keras: int, features: int | None) -> None:
        self._draw, self._numbers = random.Random(seed), np.random.default_rng(seed)
        self.keras, self.features, self.size = keras, features, features or 0
        self.layers: list[Settings] = []
        self.arrays: list[list[Array]] = []

    def add(self, kind: str, *shapes: tuple[int, ...], **config: Any) -> None:
        config["name"] = f"{kind.lower()}_{len(self.layers)}"
        if not self.layers:
            shape = [None, STEPS] if self.features is None else [None, STEPS, self.features]
            config["batch_shape" if self.keras == 3 else "batch_input_shape"] = shape
        self.layers.append({"class_name": kind, "config": config})
        self.arrays.append([self._numbers.normal(size=shape) * 0.6 for shape in shapes])

    def embed(self, *, mask: bool) -> None:
        self.size = 4
        self.add("Embedding", (IDS, 4), input_dim=IDS, output_dim=4, mask_zero=mask)

    def dense(self, units: int, activation: str) -> None:
        self.add("Dense", (self.size, units), (units,), units=units, activation=activation)
        self.size = units

    def normalise(self) -> None:
        size = self.size
        self.add("BatchNormalization", *[(size,)] * 4, epsilon=1e-3, axis=-1)
        self.arrays[-1][3] = np.abs(self.arrays[-1][3]) + 0.3

    def normalise_features(self) -> None:
        self.add("LayerNormalization", (self.size,), (self.size,), epsilon=1e-3, axis=-1)

    def convolve(self) -> None:
        width, units = self._draw.randint(1, 3), 5
        padding = self._draw.choice(("same", "causal", "valid"))
        strides, dilation = self._draw.choice(((1, 1), (2, 1), (1, 2)))
        settings = {"padding": padding, "strides": strides, "dilation_rate": dilation, "activation": "relu"}
        self.add("Conv1D", (width, self.size, units), (units,), **settings)
        self.size = units

    def recur(self, *, whole: bool) -> None:
        draw, units = self._draw, 4
        kind, blocks = draw.choice((("LSTM", 4), ("GRU", 3), ("SimpleRNN", 1)))
        after = draw.random() < 0.5
        bias = (2, 3 * units) if kind == "GRU" and after else (blocks * units,)
        shapes = [(self.size, blocks * units), (units, blocks * units), bias]
        settings = {
            "units": units,
            "activation": draw.choice(("tanh", "relu", "softsign", "sigmoid")),
            "recurrent_activation": draw.choice(("sigmoid", "hard_sigmoid")),
            "return_sequences": whole,
            "reset_after": after,
            "go_backwards": False,
        }
        if draw.random() < 0.5:
            settings["go_backwards"] = draw.random() < 0.3
            self.add(kind, *shapes, **settings)
            self.size = units
            return
        mode = draw.choice(("concat", "sum", "ave", "mul"))
        self.add("Bidirectional", *shapes, *shapes, merge_mode=mode, layer={"class_name": kind, "config": settings})
        self.size = units * (2 if mode == "concat" else 1)

    @property
    def model(self) -> KerasModel:
        layers = self.layers
        config: Settings = {"class_name": "Sequential", "config": {"name": "stack", "layers": layers}}
        if self._draw.random() < 0.5:
            config = functional(layers, self.keras)
        weights = {
            layer["config"]["name"]: [torch.from_numpy(array).float() for array in arrays]
            for layer, arrays in zip(layers, self.arrays, strict=True)
        }
        return KerasModel("3.9.0" if self.keras == 3 else "2.11.0", config, weights)


def tensor(name: str, output: int = 0) -> Settings:
    """A tensor in the dialect of Keras 3."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, output]}}


def functional(layers: list[Settings], keras: int) -> Settings:
    """The stack as a functional graph."""
    first = layers[0]["config"]
    shape = first.get("batch_shape") or first.get("batch_input_shape")
    source = {"name": "source", "batch_shape" if keras == 3 else "batch_input_shape": shape}
    made: list[Settings] = [{"class_name": "InputLayer", "config": source, "name": "source", "inbound_nodes": []}]
    before = "source"
    for layer in layers:
        name = layer["config"]["name"]
        node: Any = [[before, 0, 0, {}]] if keras == 2 else {"args": [tensor(before)], "kwargs": {}}
        made.append({**layer, "name": name, "inbound_nodes": [node]})
        before = name
    config = {"layers": made, "input_layers": [["source", 0, 0]], "output_layers": [[before, 0, 0]]}
    return {"class_name": "Functional" if keras == 3 else "Model", "config": config}
