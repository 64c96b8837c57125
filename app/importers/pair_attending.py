"""The attention of a foreign decoder as ours: its kind, and tensors by our names."""

from typing import assert_never

import torch
from torch import Tensor

from app.importers.layout import require
from app.importers.options import OptionValues
from app.importers.pair_attention import PairAttention
from app.importers.pair_options import NO_ATTENTION, contexts_of
from app.importers.pairs import Pair
from app.importers.parts import columns, linear, prefixed
from app.store.attention import Attention


def attention_of(pair: Pair, values: OptionValues, *, reads: bool) -> tuple[Attention, dict[str, Tensor]]:
    found = pair.attention
    if found is None:
        kind = values.given.get("attention") or next(iter(contexts_of(pair)), NO_ATTENTION)
        require(
            reads or kind == NO_ATTENTION, f"--set attention={kind}: the decoder reads no context with this readout"
        )
        require(
            not reads or kind != NO_ATTENTION, "--set attention=none: the decoder reads a context with this readout"
        )
        return Attention.model_validate({"kind": kind}), {}
    match found.form:
        case "general" | "projected":
            return Attention(kind="general"), {"key.weight": _general(pair, found, values)}
        case "location":
            layer = found.layers[0]
            return Attention(kind="location", size=layer.outputs), prefixed(linear(layer.tensors, ""), "score.")
        case "concat" | "energy" | "separate":
            return _additive(pair, found, values)
        case _:
            assert_never(found.form)


def _general(pair: Pair, found: PairAttention, values: OptionValues) -> Tensor:
    """The weight (hidden, memory) between both."""
    if found.form == "general":
        (layer,) = found.layers
        on_memory = (
            values.given.get("attention_layer", "memory" if layer.inputs == pair.memory else "hidden") == "memory"
        )
        _require_no_bias(layer.tensors.get("bias") if not on_memory else None, layer.name)
        return layer.weight if on_memory else layer.weight.t().contiguous()
    query, key = _query_and_key(found, values)
    _require_no_bias(query.get("bias"), "the layer on the hidden state")
    return (query["weight"].double().t() @ key["weight"].double()).float()


def _require_no_bias(bias: Tensor | None, name: str) -> None:
    require(
        bias is None or not bool(bias.any()),
        f"{name} of the attention has a bias on the hidden state, which is not supported",
    )


def _query_and_key(found: PairAttention, values: OptionValues) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    one, other = (linear(layer.tensors, "") for layer in found.layers)
    return (one, other) if values.given.get("attention_layer", "hidden") == "hidden" else (other, one)


def _additive(pair: Pair, found: PairAttention, values: OptionValues) -> tuple[Attention, dict[str, Tensor]]:
    if found.form == "separate":
        query, key = _query_and_key(found, values)
    else:
        layer = linear(found.layers[0].tensors, "")
        hidden, memory = pair.hidden_size, pair.memory
        if values.text("attention_order") == "hidden_memory":
            ours, theirs = columns(layer["weight"], (hidden, memory))
        else:
            theirs, ours = columns(layer["weight"], (memory, hidden))
        query = {"weight": ours, "bias": layer["bias"]}
        key = {"weight": theirs, "bias": torch.zeros_like(layer["bias"])}
    size = len(query["weight"])
    score = torch.ones(1, 1) if found.score is None else found.score.weight  # softmax drops the bias of a score
    tensors = {**prefixed(query, "query."), **prefixed(key, "key."), "score.weight": score}
    kind = "additive" if found.gate is None else "gated"
    if found.gate is not None:
        tensors |= prefixed(linear(found.gate.tensors, ""), "gate.")
    config = {"kind": kind, "size": size, "activation": values.text("attention_activation")}
    return Attention.model_validate(config), tensors
