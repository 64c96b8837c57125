"""The settings of a network of textgenrnn, of which its files have the weights alone (model.py there): an embedding,
recurrent layers, both side by side, their weighted average over time, and a softmax."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from app.importers.keras_model import KerasModel

_LSTM = {"activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": True}
_ONE_WAY = 3  # arrays of an LSTM


def is_textgenrnn(model: KerasModel) -> bool:
    """Whether a file of weights alone has the layers of textgenrnn. It may also have `context_output`, which answers
    only where a context is given."""
    groups = {name for name, arrays in model.weights.items() if arrays} - {"context_output"}
    rnns = _rnns(model.weights)
    return model.config is None and bool(rnns) and groups == {"embedding", *rnns, "attention", "output"}


def textgenrnn_settings(model: KerasModel) -> dict[str, Any]:
    """What `model.to_json()` would write."""
    weights = model.weights
    rows, size = weights["embedding"][0].shape
    rnns = _rnns(weights)
    chain = ["input", "embedding", *rnns]
    layers = [
        _layer("input", "InputLayer", [], batch_input_shape=[None, None]),
        _layer("embedding", "Embedding", chain[:1], input_dim=rows, output_dim=size),
        *(_recurrent(name, weights[name], before) for name, before in zip(rnns, chain[1:], strict=False)),
        _layer("rnn_concat", "Concatenate", chain[1:], axis=-1),
        _layer("attention", "AttentionWeightedAverage", ["rnn_concat"]),
        _layer("output", "Dense", ["attention"], units=len(weights["output"][1]), activation="softmax"),
    ]
    places = {"input_layers": [["input", 0, 0]], "output_layers": [["output", 0, 0]]}
    return {"class_name": "Model", "config": {"name": "textgenrnn", "layers": layers, **places}}


def _rnns(weights: Mapping[str, Sequence[Tensor]]) -> list[str]:
    names: list[str] = []
    while f"rnn_{len(names) + 1}" in weights:
        names.append(f"rnn_{len(names) + 1}")
    return names


def _recurrent(name: str, arrays: Sequence[Tensor], before: str) -> dict[str, Any]:
    """An LSTM in one direction or two. What a GPU trained has the form of CuDNNLSTM: two biases."""
    units = arrays[1].shape[0]
    kind = "CuDNNLSTM" if arrays[2].numel() == 2 * arrays[1].shape[1] else "LSTM"
    settings = {"units": units, **_LSTM}
    if len(arrays) == _ONE_WAY:
        return _layer(name, kind, [before], **settings)
    inner = {"class_name": kind, "config": {"name": f"forward_{name}", **settings}}
    return _layer(name, "Bidirectional", [before], merge_mode="concat", layer=inner)


def _layer(name: str, kind: str, inputs: Sequence[str], **config: Any) -> dict[str, Any]:
    nodes = [[[before, 0, 0, {}] for before in inputs]] if inputs else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}
