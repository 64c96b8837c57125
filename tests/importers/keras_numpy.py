"""The arithmetic of Keras' layers in numpy, written from its documentation: each layer makes (x, mask) of (x, mask).
No code of the importers is used."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Settings = dict[str, Any]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


FUNCTIONS: dict[str, Any] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "softmax": lambda x: (
        np.exp(x - x.max(-1, keepdims=True)) / np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)
    ),
    "hard_sigmoid_2": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "hard_sigmoid_3": lambda x: np.clip(x / 6 + 0.5, 0, 1),
}


def function(name: str, keras: int) -> Any:
    return FUNCTIONS[f"hard_sigmoid_{keras}" if name == "hard_sigmoid" else name]


def step(kind: str, config: Settings, arrays: list[Array], x: Array, state: list[Array], keras: int) -> list[Array]:
    """One step of a cell: x (batch, features) and states to the next states, hidden first."""
    kernel, recurrent, *rest = arrays
    units = config["units"]
    act = function(config["activation"], keras)
    bias = rest[0] if rest else np.zeros(kernel.shape[1])
    h = state[0]
    if kind == "SimpleRNN":
        return [act(x @ kernel + bias + h @ recurrent)]
    gate = function(config["recurrent_activation"], keras)
    if kind == "LSTM":
        i, f, c, o = np.split(x @ kernel + h @ recurrent + bias, 4, 1)
        cell = gate(f) * state[1] + gate(i) * act(c)
        return [gate(o) * act(cell), cell]
    if bias.ndim == 2:
        a, b = np.split(x @ kernel + bias[0], 3, 1), np.split(h @ recurrent + bias[1], 3, 1)
        z, r = gate(a[0] + b[0]), gate(a[1] + b[1])
        n = act(a[2] + r * b[2])
    else:
        a = np.split(x @ kernel + bias, 3, 1)
        z, r = (gate(a[k] + h @ recurrent[:, k * units : (k + 1) * units]) for k in (0, 1))
        n = act(a[2] + (r * h) @ recurrent[:, 2 * units :])
    return [z * h + (1 - z) * n]


def unroll(
    kind: str,
    config: Settings,
    arrays: list[Array],
    x: Array,
    mask: Array | None,
    keras: int,
    *,
    zeros: bool = False,
    state: list[Array] | None = None,
) -> tuple[Array, list[Array]]:
    """All outputs in the order of reading, and the last states."""
    if config.get("go_backwards"):
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    state = state or [np.zeros((len(x), config["units"])) for _ in range(2 if kind == "LSTM" else 1)]
    outputs, last = [], np.zeros_like(state[0])
    for t in range(x.shape[1]):
        new = step(kind, config, arrays, x[:, t], state, keras)
        if mask is not None:
            m = mask[:, t, None]
            output = np.where(m, new[0], 0 if zeros else last)
            new = [np.where(m, a, b) for a, b in zip(new, state, strict=True)]
        else:
            output = new[0]
        last, state = output, new
        outputs.append(output)
    return np.stack(outputs, 1), state


def recurrent(layer: Settings, arrays: list[Array], x: Array, mask: Array | None, keras: int) -> tuple[Array, Any]:
    kind, config = layer["class_name"], layer["config"]
    if kind != "Bidirectional":
        outputs, state = unroll(kind, config, arrays, x, mask, keras)
        return (outputs, mask) if config["return_sequences"] else (state[0], None)
    inner = config["layer"]
    half = len(arrays) // 2
    ahead, first = unroll(inner["class_name"], inner["config"], arrays[:half], x, mask, keras, zeros=True)
    flipped = {**inner["config"], "go_backwards": True}
    back, last = unroll(inner["class_name"], flipped, arrays[half:], x, mask, keras, zeros=True)
    whole = inner["config"]["return_sequences"]
    one, other = (ahead, back[:, ::-1]) if whole else (first[0], last[0])
    merged: dict[str, Array] = {
        "concat": np.concatenate([one, other], -1),
        "sum": one + other,
        "ave": (one + other) / 2,
        "mul": one * other,
    }
    return merged[config["merge_mode"]], mask if whole else None


def convolved(config: Settings, arrays: list[Array], x: Array, keras: int) -> Array:
    kernel, bias = arrays
    width, dilation, stride = len(kernel), config["dilation_rate"], config["strides"]
    reach = (width - 1) * dilation + 1
    before = after = 0
    if config["padding"] == "causal":
        before = reach - 1
    elif config["padding"] == "same":
        total = max((-(-x.shape[1] // stride) - 1) * stride + reach - x.shape[1], 0)
        before, after = total // 2, total - total // 2
    x = np.pad(x, ((0, 0), (before, after), (0, 0)))
    places = range(0, x.shape[1] - reach + 1, stride)
    rows = [sum(x[:, p + k * dilation] @ kernel[k] for k in range(width)) + bias for p in places]
    made: Array = function(config["activation"], keras)(np.stack(rows, 1))
    return made


def through(layer: Settings, arrays: list[Array], x: Array, mask: Array | None, keras: int) -> tuple[Array, Any]:
    kind, config = layer["class_name"], layer["config"]
    match kind:
        case "Embedding":
            return arrays[0][x], (x != 0) if config["mask_zero"] else None
        case "Masking":
            read = (x != config["mask_value"]).any(2)
            return x * read[:, :, None], read
        case "Dense":
            bias = arrays[1] if len(arrays) > 1 else 0
            return function(config["activation"], keras)(x @ arrays[0] + bias), mask
        case "LayerNormalization":
            scale, shift = arrays
            apart = x - x.mean(-1, keepdims=True)
            deviation = np.sqrt((apart**2).mean(-1, keepdims=True) + config["epsilon"])
            return apart / deviation * scale + shift, mask
        case "BatchNormalization":
            gamma, beta, mean, variance = arrays
            return (x - mean) / np.sqrt(variance + config["epsilon"]) * gamma + beta, mask
        case "Conv1D":
            return convolved(config, arrays, x, keras), None
        case "MaxPooling1D":
            size = config["pool_size"]
            places = range(0, x.shape[1] - size + 1, config["strides"] or size)
            return np.stack([x[:, p : p + size].max(1) for p in places], 1), None
        case "GlobalMaxPooling1D":
            return x.max(1), None
        case "GlobalAveragePooling1D":
            if mask is None:
                return x.mean(1), None
            return (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True), None
        case "Flatten":
            return x.reshape(len(x), -1), None
        case "Dropout":
            return x, mask
        case _:
            return recurrent(layer, arrays, x, mask, keras)
