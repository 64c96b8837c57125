"""How a foreign decoder starts from the last states of its encoder, as a bridge of ours."""

from collections.abc import Sequence

import torch
from torch import Tensor

from app.importers.checkpoint import Tensors
from app.importers.layout import require
from app.importers.options import OptionValues
from app.importers.pairs import Pair
from app.importers.parts import linear, reordered


def bridge_of(pair: Pair, values: OptionValues) -> tuple[str, dict[str, Tensor]]:
    chosen, recurrence = values.text("bridge"), pair.decoder.recurrence
    states = ["hidden", "cell"] if recurrence.cell == "lstm" else ["hidden"]
    is_turned = values.given.get("bridge_order") == "backward_forward"
    if not pair.bridge:
        half = {"sum": (1.0, 1.0), "mean": (0.5, 0.5), "backward": (0.0, 1.0)}.get(chosen)
        if half is None and not (chosen == "join" and is_turned):
            return chosen, {}
        width = pair.encoder.recurrence.hidden_size if pair.encoder is not None else 0
        eye, zero = torch.eye(width), torch.zeros(width, width)
        rows = [torch.cat((zero, eye), 1), torch.cat((eye, zero), 1)]
        weight = torch.cat(rows) if half is None else torch.cat([share * eye for share in half], 1)
        fixed = {"weight": weight, "bias": torch.zeros(len(weight))}
        return "layerwise", _bridged([fixed] * len(states), states)
    layers = [linear(group.tensors, "") for group in pair.bridge]
    if len(layers) == 2:
        layers = _hidden_first(pair, layers)
    elif len(states) == 2:
        is_same = values.text("bridge_cell") == "same"
        zeros = {name: torch.zeros_like(tensor) for name, tensor in layers[0].items()}
        layers = [layers[0], dict(layers[0]) if is_same else zeros]
    if is_turned:
        for layer in layers:
            half_size = layer["weight"].shape[1] // 2
            layer["weight"] = reordered(layer["weight"], (half_size, half_size), (1, 0))
    encoder = None if pair.encoder is None else pair.encoder.recurrence
    width = len(layers[0]["weight"])
    if (
        encoder is not None
        and encoder.layers == recurrence.layers
        and encoder.cell == recurrence.cell
        and width == recurrence.hidden_size
    ):
        return ("layerwise" if chosen == "linear" else "layerwise_tanh"), _bridged(layers, states)
    require(
        not pair.is_summed or encoder is None, "a layer on the states of both directions needs outputs side by side"
    )
    require(
        encoder is None or recurrence.cell != "lstm",
        "a layer on the last states that starts an LSTM needs an encoder of as many layers with the same cell",
    )
    if width == recurrence.hidden_size and recurrence.layers > 1:
        layers = [{name: torch.cat([tensor] * recurrence.layers) for name, tensor in layer.items()} for layer in layers]
    return chosen, _bridged(layers, states)


def _hidden_first(pair: Pair, layers: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """The layer of the hidden state before that of the cell, which its name says."""
    is_cell = ["cell" in group.prefix.lower() or group.prefix.lower().endswith(("_c.", ".c.")) for group in pair.bridge]
    return layers[::-1] if is_cell == [True, False] else layers


def _bridged(layers: Sequence[Tensors], states: Sequence[str]) -> dict[str, Tensor]:
    return {
        f"bridge_{state}.{name}": tensor
        for state, layer in zip(states, layers, strict=True)
        for name, tensor in layer.items()
    }
