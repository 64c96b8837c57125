"""Encoder-decoders of Keras as networks of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.bridges import bridge_of
from app.importers.keras.encoders import encoder_of
from app.importers.keras.heads import for_rows, output_tensors
from app.importers.keras.pairs import Pair
from app.importers.keras.stacking import forward_recurrence
from app.importers.keras.values import Attended, Linear
from app.importers.layout import require
from app.importers.parts import decoder_of, prefixed
from app.importers.stacks import widened_output
from app.store.attention import Attention
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder

Tensors = Mapping[str, Tensor]


def encoder_decoder(pair: Pair, *, zero_row: bool = False) -> tuple[EncoderDecoder, Tensors]:
    """The network. `zero_row` gives one-hot sources one more id, whose row is zeros.

    Raises ImportFailed for what ours has no place for."""
    if zero_row:
        rows = pair.encoder.table
        pair = replace(pair, source=torch.cat((rows, rows.new_zeros(1, rows.shape[1]))))
    recurrence = forward_recurrence(pair.decoder.pieces)
    attention, tensors = _attention(pair)
    readout = _readout(pair)
    layers, readout_size = _layers(pair.linear)
    mine = dict(recurrence.tensors)
    if pair.repeats is None:
        bridge, encoded = bridge_of(pair, recurrence)
        embedding, context = pair.decoder.table, "output"
    else:  # the summary is the input of each step, whatever was decoded before
        bridge, encoded = "zeros", encoder_of(pair.encoder, embedding=pair.embedding)
        embedding, context = torch.zeros(len(layers[-1].bias), 1), "input"
        name = "recurrence.weight_ih_l0"
        mine[name] = torch.cat((mine[name].new_zeros(len(mine[name]), 1), mine[name]), 1)
    assert isinstance(encoded.config, TextEncoder)
    sizes = [pair.decoder.size if name == "hidden" else pair.encoder.size for name in readout]
    layers[0] = _spread(layers[0], readout, sizes, recurrence.recurrence.hidden_size)
    output = for_rows(layers[-1], len(embedding))
    architecture = EncoderDecoder(
        encoder=encoded.config,
        decoder=decoder_of(
            embedding,
            recurrence.recurrence,
            attention=attention,
            context=context,
            readout=readout,
            readout_size=readout_size,
            bridge=bridge,
        ),
    )
    tensors = {
        **prefixed(encoded.tensors, "encoder."),
        **prefixed(tensors, "decoder.attention."),
        **prefixed(mine, "decoder."),
        "decoder.embedding.weight": embedding,
        **prefixed(output_tensors(output), "decoder."),
    }
    if readout_size is not None:
        tensors |= {"decoder.readout.weight": layers[0].weight, "decoder.readout.bias": layers[0].bias}
    return architecture, tensors


def _attention(pair: Pair) -> tuple[Attention, Tensors]:
    if pair.repeats is not None:
        return Attention(kind="fixed"), {}
    attended = pair.attended
    if attended is None:
        return Attention(), {}
    if len(attended.memory.pieces) != len(pair.encoder.pieces):
        raise attended.layer.refuse("it must attend to the outputs of the last layer of the encoder")
    size = attended.memory.size
    if attended.kind == "additive":
        scale = torch.ones(size) if attended.scale is None else attended.scale.flatten()
        one, zero = torch.eye(size), torch.zeros(size)
        tensors = {"key.weight": one, "key.bias": zero, "query.weight": one.clone(), "query.bias": zero.clone()}
        return Attention(kind="additive", size=size), {**tensors, "score.weight": scale.unsqueeze(0)}
    if attended.scale is None:
        return Attention(kind="dot"), {}
    return Attention(kind="general"), {"key.weight": torch.eye(size) * attended.scale.flatten()[0]}


def _readout(pair: Pair) -> tuple[str, ...]:
    """What the first layer after the decoder reads, in its order."""
    names = tuple("context" if isinstance(part, Attended) else "hidden" for part in pair.parts)
    require(len(set(names)) == len(names), "a decoder with several outputs side by side is not supported")
    return names


def _layers(linear: Sequence[Linear]) -> tuple[list[Linear], int | None]:
    """The output layer, perhaps after one with tanh, whose size is the readout's."""
    layers = list(linear)
    while len(layers) > 1 and layers[0].free:
        first, second = layers[:2]
        joined = Linear(second.weight @ first.weight, second.weight @ first.bias + second.bias, second.function)
        layers = [joined, *layers[2:]]
    if len(layers) == 1:
        return layers, None
    if len(layers) == 2 and layers[0].function.activation == "tanh":
        return layers, len(layers[0].bias)
    functions = " and ".join(layer.function.activation for layer in layers[:-1])
    raise ImportFailed(
        f"between the recurrence of a decoder and its output only one Dense layer with tanh is supported, not "
        f"{functions}"
    )


def _spread(layer: Linear, readout: Sequence[str], sizes: Sequence[int], hidden: int) -> Linear:
    """The layer for a decoder that is wider than Keras'."""
    parts = []
    for name, part in zip(readout, torch.split(layer.weight, list(sizes), 1), strict=True):
        parts.append(widened_output(part, hidden) if name == "hidden" else part)
    return replace(layer, weight=torch.cat(parts, 1))
