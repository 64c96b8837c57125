"""The settings of a Keras model whose file has weights alone, as far as shapes show them: a stack of an embedding,
recurrent layers and dense layers. The rest is taken as it usually is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras_model import KerasModel

_ASSUMED = (
    "a file of weights has no settings: the last output of the last recurrent layer is taken, tanh and sigmoid in the "
    "cells, relu between dense layers, {end} at the end, and no mask. model.to_json() has the settings: "
    "add its file as another --checkpoint"
)
OTHER_READING: Mapping[str, str] = {
    "forecaster": "whether the output is a forecast, or the label of a series (--layout keras-series-classifier), is "
    "not in a file of weights",
    "classifier": "whether the outputs are labels, or a forecast (--layout keras-series-forecaster), is not in a file "
    "of weights",
}
_CELLS = {4: "LSTM", 3: "GRU", 1: "SimpleRNN"}
_KINDS = ("embedding", "bidirectional", "lstm", "gru", "simple_rnn", "dense")


def with_usual_settings(model: KerasModel) -> KerasModel:
    """Raises ImportFailed for arrays that are no such stack."""
    groups = {name: list(arrays) for name, arrays in model.weights.items() if arrays}
    kinds = {name: _kind(name) for name in groups}
    unknown = sorted(name for name, kind in kinds.items() if kind is None)
    if unknown or not groups:
        what = f"layers such as {unknown[0]!r}, whose place in the network" if unknown else "nothing that"
        raise ImportFailed(f"the file has {what} is not in a file of weights. Add the file of model.to_json()")
    ordered = sorted(groups, key=_number)
    embeddings = [name for name in ordered if kinds[name] == "embedding"]
    dense = [name for name in ordered if kinds[name] == "dense"]
    recurrent = _chained([name for name in ordered if name not in (*embeddings, *dense)], groups, embeddings)
    layers: list[dict[str, Any]] = []
    if embeddings:
        rows, size = groups[embeddings[0]][0].shape
        layers.append(
            _layer(embeddings[0], "Embedding", input_dim=rows, output_dim=size, batch_input_shape=[None, None])
        )
    layers += [_recurrent(name, groups[name], is_last=name == recurrent[-1]) for name in recurrent]
    if recurrent and not embeddings:
        layers[0]["config"]["batch_input_shape"] = [None, None, groups[recurrent[0]][0].shape[0]]
    for name in dense:
        units = groups[name][0].shape[1]
        last = "softmax" if units > 1 else "sigmoid" if embeddings else "linear"  # one number of a series is a forecast
        layers.append(_layer(name, "Dense", units=units, activation=last if name == dense[-1] else "relu"))
    config = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    return replace(model, config=config)


def assumed(*, reads_text: bool) -> str:
    """The assumptions about such a network, in a sentence."""
    return _ASSUMED.format(end="sigmoid or softmax" if reads_text else "no function or softmax")


def _kind(name: str) -> str | None:
    return next((kind for kind in _KINDS if re.fullmatch(rf"{kind}(_\d+)?", name)), None)


def _number(name: str) -> int:
    found = re.search(r"_(\d+)$", name)
    return int(found[1]) if found else 0


def _chained(names: Sequence[str], groups: Mapping[str, Sequence[Tensor]], embeddings: Sequence[str]) -> list[str]:
    """Recurrent layers in their order: each reads what the one before gives."""
    size = groups[embeddings[0]][0].shape[1] if embeddings else None
    left, made = list(names), []
    while left:
        fitting = [name for name in left if size is None or groups[name][0].shape[0] == size]
        if not fitting:
            raise ImportFailed("the order of the recurrent layers is not in the file: add that of model.to_json()")
        name = fitting[0]
        left.remove(name)
        made.append(name)
        size = groups[name][1].shape[0] * (2 if len(groups[name]) > 3 else 1)
    return made


def _recurrent(name: str, arrays: Sequence[Tensor], *, is_last: bool) -> dict[str, Any]:
    units, columns = arrays[1].shape
    cell = _CELLS.get(columns // units)
    if cell is None:
        raise ImportFailed(f"{name} has a kernel of {units} x {columns}: no shape of an LSTM, GRU or SimpleRNN")
    settings = {
        "units": units,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "return_sequences": not is_last,
        "reset_after": cell == "GRU" and arrays[-1].ndim == 2,
    }
    if len(arrays) <= 3:
        return _layer(name, cell, **settings)
    return _layer(name, "Bidirectional", merge_mode="concat", layer=_layer("forward", cell, **settings))


def _layer(name: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}
