"""A pair of foreign parts as an encoder-decoder of ours: members of the architecture, and tensors by our names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from app.importers.checkpoint import Tensors
from app.importers.layout import require
from app.importers.options import OptionValues
from app.importers.pair_attending import attention_of
from app.importers.pair_bridges import bridge_of
from app.importers.pairs import Pair, Reader
from app.importers.parts import composed, decoder_of, embedded, linear, prefixed, reordered
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
    config, attention = attention_of(pair, values, reads=gets == "context" or "context" in readout)
    recurrent = dict(pair.decoder.weights)
    members: dict[str, Any] = {"attention": config}
    if config.kind != "none":
        members["context"] = "input" if gets == "context" else "output"
    tensors: dict[str, Tensor] = {}
    recurrence = _inputs(pair, values, gets, recurrent, members, tensors)
    _outputs(pair, values, readout, members, tensors, is_fed=gets == "fed")
    bridge, bridged = bridge_of(pair, values)
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
    reads = composed(combine, {"weight": recurrent["weight_ih_l0"], "bias": recurrent["bias_ih_l0"]})
    recurrent |= {"weight_ih_l0": reads["weight"], "bias_ih_l0": reads["bias"]}
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
            output = composed(layer, output)
    tensors |= prefixed(output, "output.")
