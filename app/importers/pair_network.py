"""A pair of foreign parts as an encoder-decoder of ours: members of the architecture, and tensors by our names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

import torch
from torch import Tensor

from app.importers.checkpoint import Tensors
from app.importers.layout import require
from app.importers.options import OptionValues
from app.importers.pair_attention import PairAttention
from app.importers.pair_options import NO_ATTENTION, contexts_of
from app.importers.pairs import Pair, Reader
from app.importers.parts import columns, decoder_of, embedded, linear, prefixed, reordered
from app.store.attention import Attention
from app.store.decoder import Decoder
from app.store.encoders import TextEncoder
from app.store.recurrence import Recurrence


@dataclass(frozen=True)
class PairNetwork:
    """`encoder` is None over images."""

    encoder: TextEncoder | None
    decoder: Decoder
    tensors: Tensors


def network_of(pair: Pair, values: OptionValues) -> PairNetwork:
    """Raises ImportFailed and ValidationError."""
    pair = replace(
        pair,
        encoder=None if pair.encoder is None else _with_function(pair.encoder, values),
        decoder=_with_function(pair.decoder, values),
    )
    readout = _chosen_readout(pair, values)
    gets = values.given.get("input", pair.gets[0])
    config, attention = _attention(pair, values, reads=gets == "context" or "context" in readout)
    recurrent = dict(pair.decoder.weights)
    members: dict[str, Any] = {"attention": config}
    if config.kind != "none":
        members["context"] = "input" if gets == "context" else "output"
    tensors: dict[str, Tensor] = {}
    recurrence = _inputs(pair, values, gets, recurrent, members, tensors)
    _outputs(pair, values, readout, members, tensors, is_fed=gets == "fed")
    bridge, bridged = _bridge(pair, values)
    members |= {"bridge": bridge, "input_feeding": gets == "fed"}
    if values.text("embedding_activation") == "relu":
        members["embedding_activation"] = "relu"
    decoder = decoder_of(pair.decoder.table, recurrence, **members)
    tensors |= prefixed(attention, "attention.") | bridged
    made = {
        **embedded("decoder", pair.decoder.table, recurrent),
        **prefixed(tensors, "decoder."),
    }
    if pair.encoder is None:
        return PairNetwork(None, decoder, made)
    encoder = TextEncoder.model_validate(
        {
            "vocabulary_size": pair.encoder.rows,
            "recurrence": pair.encoder.recurrence,
            "join": values.text("outputs") if pair.is_summed else "concatenate",
        }
    )
    return PairNetwork(encoder, decoder, embedded("encoder", pair.encoder.table, pair.encoder.weights) | made)


def _with_function(reader: Reader, values: OptionValues) -> Reader:
    if reader.recurrence.cell != "rnn_tanh" or values.given.get("nonlinearity") != "relu":
        return reader
    return replace(reader, recurrence=reader.recurrence.model_copy(update={"cell": "rnn_relu"}))


def _chosen_readout(pair: Pair, values: OptionValues) -> Sequence[str]:
    return values.given["readout"].split("_") if "readout" in values.given else pair.reads[0]


def _inputs(
    pair: Pair,
    values: OptionValues,
    gets: str,
    recurrent: dict[str, Tensor],
    members: dict[str, Any],
    tensors: dict[str, Tensor],
) -> Recurrence:
    """The decoder's recurrence over an embedding, followed by the context or what is fed. A layer before it without a
    function becomes a part of it."""
    recurrence, size = pair.decoder.recurrence, pair.embedding_size
    if gets == "nothing":
        return recurrence
    more = pair.memory if gets == "context" else recurrence.input_size - size
    is_last = values.text("input_order").startswith("embedding")

    def ordered(weight: Tensor) -> Tensor:
        return weight if is_last else reordered(weight, (more, size), (1, 0))

    if pair.combine is None:
        recurrent["weight_ih_l0"] = ordered(recurrent["weight_ih_l0"])
        return recurrence
    combine = linear(pair.combine.tensors, "")
    combine["weight"] = ordered(combine["weight"])
    if values.text("combine_activation") == "relu":
        members["input_size"] = len(combine["weight"])
        tensors |= prefixed(combine, "input.")
        return recurrence
    weight = recurrent["weight_ih_l0"].double()
    recurrent["bias_ih_l0"] = (recurrent["bias_ih_l0"].double() + weight @ combine["bias"].double()).float()
    recurrent["weight_ih_l0"] = (weight @ combine["weight"].double()).float()
    return recurrence.model_copy(update={"input_size": size + more})


def _outputs(
    pair: Pair,
    values: OptionValues,
    readout: Sequence[str],
    members: dict[str, Any],
    tensors: dict[str, Tensor],
    *,
    is_fed: bool,
) -> None:
    """The layers after the recurrence. Two layers without a function between them become one."""
    members["readout"] = tuple(readout)
    table = pair.decoder.table
    output = (
        linear(pair.output.tensors, "")
        if pair.output is not None
        else {"weight": table, "bias": table.new_zeros(len(table))}
    )
    if pair.readout is not None:
        layer = linear(pair.readout.tensors, "")
        if values.text("readout_activation") == "tanh":
            members["readout_size"] = len(layer["weight"])
            tensors |= prefixed(layer, "readout.")
        else:
            require(not is_fed, "a fed layer without tanh is not supported: set readout_activation=tanh")
            weight = output["weight"].double()
            output = {
                "weight": (weight @ layer["weight"].double()).float(),
                "bias": (weight @ layer["bias"].double() + output["bias"].double()).float(),
            }
    tensors |= prefixed(output, "output.")


def _attention(pair: Pair, values: OptionValues, *, reads: bool) -> tuple[Attention, dict[str, Tensor]]:
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


def _bridge(pair: Pair, values: OptionValues) -> tuple[str, dict[str, Tensor]]:
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
