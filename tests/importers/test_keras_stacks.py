"""Random stacks of Keras layers, converted, against the arithmetic of Keras in numpy."""

import numpy as np
import pytest
import torch

from app.importers.keras.classifiers import classifier
from app.importers.keras.forecasters import forecaster
from app.importers.keras.understood import understand
from app.importers.keras_model import KerasModel
from app.importers.layout import Converted
from app.importers.network import network_of
from app.models.networks import Classifier
from tests.importers.keras_numpy import Array, through, unroll
from tests.importers.keras_stacks import IDS, STEPS, Stack, functional, tensor


def _answer(stack: Stack, x: Array) -> Array:
    mask = None
    for layer, arrays in zip(stack.layers, stack.arrays, strict=True):
        x, mask = through(layer, arrays, x, mask, stack.keras)
    return x


def _stack(seed: int, *, text: bool, outputs: int, last: str) -> Stack:
    draw = np.random.default_rng(seed)
    stack = Stack(seed, keras=int(draw.integers(2, 4)), features=None if text else 3)
    masked = bool(draw.random() < 0.5)
    if text:
        stack.embed(mask=masked)
    elif masked:
        stack.add("Masking", mask_value=0.0)
    if not masked and draw.random() < 0.5:
        stack.convolve()
    for _ in range(int(draw.integers(0, 3))):
        stack.recur(whole=True)
        if draw.random() < 0.4:
            stack.normalise()
        if draw.random() < 0.3:
            stack.dense(5, "tanh")
    if draw.random() < 0.5:
        stack.recur(whole=False)
    else:
        stack.recur(whole=True)
        stack.add(str(draw.choice(["GlobalMaxPooling1D", "GlobalAveragePooling1D"])))
    if seed % 4 == 3:
        stack.normalise_features()
    if draw.random() < 0.5:
        stack.dense(6, str(draw.choice(["relu", "elu", "sigmoid"])))
        stack.normalise()
    stack.add("Dropout", rate=0.5)
    stack.dense(outputs, last)
    return stack


def _padded(rows: Array, fill: float) -> Array:
    rows = rows.copy()
    rows[0, :3] = fill
    rows[1, 5:] = fill
    rows[2, 2:4] = fill
    return rows


@pytest.mark.parametrize("seed", range(30))
def test_classifiers_of_texts(seed: int) -> None:
    outputs, last = ((1, "sigmoid"), (3, "softmax"), (4, "sigmoid"))[seed % 3]
    stack = _stack(seed, text=True, outputs=outputs, last=last)
    ids = _padded(np.random.default_rng(seed).integers(1, IDS, (4, STEPS)), 0)
    architecture, tensors = classifier(understand(stack.model))
    network = network_of(Converted(architecture, tensors))
    with torch.no_grad():
        logits = network(torch.from_numpy(ids), torch.full((4,), STEPS))
    assert isinstance(network, Classifier)
    answer = network.probabilities(logits).numpy()
    expected = _answer(stack, ids)
    if outputs == 1:
        expected = np.concatenate([1 - expected, expected], 1)
    np.testing.assert_allclose(answer, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(100, 120))
def test_forecasters(seed: int) -> None:
    stack = _stack(seed, text=False, outputs=2, last=("linear", "tanh")[seed % 2])
    rows = _padded(np.random.default_rng(seed).normal(size=(4, STEPS, 3)), 0.0)
    architecture, tensors = forecaster(understand(stack.model), targets=1)
    network = network_of(Converted(architecture, tensors))
    with torch.no_grad():
        answer = network(torch.from_numpy(rows).float(), torch.full((4,), STEPS)).numpy()
    np.testing.assert_allclose(answer[:, :, 0], _answer(stack, rows), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [("hidden", "cell"), ("cell", "hidden")])
def test_both_states_of_an_lstm_side_by_side(order: tuple[str, str]) -> None:
    """`Concatenate()([h, c])`, normalised."""
    stack = Stack(3, keras=3, features=3)
    stack.add("LSTM", (3, 16), (4, 16), (16,), units=4, activation="tanh", recurrent_activation="sigmoid")
    stack.layers[-1]["config"] |= {"return_state": True, "return_sequences": False}
    stack.size = 8
    stack.normalise_features()
    stack.dense(2, "linear")
    lstm, norm, dense = stack.layers
    config = functional(stack.layers, 3)
    name = lstm["config"]["name"]
    states = [tensor(name, 1 + ("hidden", "cell").index(which)) for which in order]
    joined = {"class_name": "Concatenate", "name": "joined", "config": {"name": "joined", "axis": -1}}
    config["config"]["layers"].insert(2, {**joined, "inbound_nodes": [{"args": [states], "kwargs": {}}]})
    config["config"]["layers"][3]["inbound_nodes"] = [{"args": [tensor("joined")], "kwargs": {}}]
    weights = {
        layer["config"]["name"]: [torch.from_numpy(array).float() for array in arrays]
        for layer, arrays in zip(stack.layers, stack.arrays, strict=True)
    }
    rows = np.random.default_rng(3).normal(size=(4, STEPS, 3))
    architecture, tensors = forecaster(understand(KerasModel("3.9.0", config, weights)), targets=1)
    network = network_of(Converted(architecture, tensors))
    with torch.no_grad():
        answer = network(torch.from_numpy(rows).float(), torch.full((4,), STEPS)).numpy()
    _, (hidden, cell) = unroll("LSTM", lstm["config"], stack.arrays[0], rows, None, 3)
    side = np.concatenate([{"hidden": hidden, "cell": cell}[which] for which in order], 1)
    for layer, arrays in ((norm, stack.arrays[1]), (dense, stack.arrays[2])):
        side, _ = through(layer, arrays, side, None, 3)
    np.testing.assert_allclose(answer[:, :, 0], side, rtol=1e-5, atol=1e-5)
