"""joeynmt's recurrent translation models: one `model_state` with encoder, decoder and two embeddings.

A bidirectional encoder; the query of attention is the decoder's new state (Luong et al. 2015, sections 3.1 and 3.3).
The score is Luong's `general` or Bahdanau's network.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Converted, Given, Layout, Needs, require
from app.importers.options import Option, OptionValues
from app.importers.parts import (
    decoder_of,
    embedded,
    has,
    is_recurrent,
    linear,
    prefixed,
    recurrence,
    recurrent_weights,
)
from app.importers.tokenizer import check_words, index_of, word_vocabulary
from app.importers.vocabularies import Role
from app.store.attention import Attention
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder
from app.store.recurrence import CELLS, Recurrence

_EMBEDDINGS = ("src_embed.lut.weight", "trg_embed.lut.weight")
_BRIDGE = "decoder.bridge_layer."
_RULES = {"word": "spaces", "char": "joeynmt_characters"}
_MOST_TOKENS = 1000
_VERSIONS = ("1", "2.0", "2.3")  # each decodes differently


class Joeynmt(Layout):
    """`*.ckpt` of a model whose encoder and decoder are of type `recurrent`."""

    name = "joeynmt"
    source = "joeynmt/joeynmt, recurrent models"
    vocabularies: Sequence[Role] = ("source", "target")

    def matches(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.single is not None and _is_recurrent(checkpoint.single)

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        start = Option("init_hidden", "model: decoder: init_hidden", None, ("last", "zero"))
        return [
            Option("version", "of joeynmt, for decoding: 2.0 to 2.2 decode alike", "2.3", _VERSIONS),
            Option("level", "data: src and trg: level", "word", tuple(_RULES)),
            Option("lowercase", "data: src: lowercase", "no", ("yes", "no")),
            Option("scale", "model: embeddings: scale", "no", ("yes", "no")),
            Option("activation", "model: decoder: activation", "tanh"),
            *([] if any(f"{_BRIDGE}weight" in tensors for tensors in checkpoint.networks.values()) else [start]),
            Option("beams", "testing: beam_size; 1 is greedy, as 0 is there", "5", kind="whole", least=0, most=16),
            Option(
                "beam_alpha",
                "testing: beam_alpha, the length penalty; 0 for none",
                "1.0",
                kind="real",
                least=-10,
                most=10,
            ),
            Option("max_tokens", "testing: max_output_length", "30", kind="whole", most=_MOST_TOKENS),
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        source, target = (len(checkpoint.network[key]) for key in _EMBEDDINGS)
        return Needs(self.vocabularies, rows={"source": source, "target": target})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        tensors = checkpoint.network
        source, target = words["source"], words["target"]
        scales = values.text("scale") == "yes"
        source_embedding, target_embedding = (_embedding(tensors[key], scales) for key in _EMBEDDINGS)
        check_words(source, len(source_embedding), "source")
        check_words(target, len(target_embedding), "target")
        require(
            values.text("activation") == "tanh",
            f"--set activation={values.text('activation')}: only tanh is supported",
        )
        encoder, decoder = recurrence(tensors, "encoder.rnn."), recurrence(tensors, "decoder.rnn.")
        require(encoder.directions == 2, "the encoder has one direction, which joeynmt cannot decode either")
        kind, attention = _attention(tensors)
        bridge, bridge_tensors = _bridge(tensors, encoder, decoder, values)
        lower = values.text("lowercase") == "yes"
        rules, special = _RULES[values.text("level")], _Special(target)
        return Converted(
            task="translation",
            architecture=EncoderDecoder(
                encoder=TextEncoder(vocabulary_size=len(source), recurrence=encoder),
                decoder=decoder_of(
                    target_embedding,
                    decoder,
                    attention=kind,
                    context="output",
                    readout=("hidden", "context"),
                    readout_size=decoder.hidden_size,
                    input_feeding=_feeds(decoder, target_embedding.shape[1]),
                    bridge=bridge,
                ),
            ),
            tensors={
                **embedded("encoder", source_embedding, recurrent_weights(tensors, "encoder.rnn.")),
                **embedded("decoder", target_embedding, recurrent_weights(tensors, "decoder.rnn.")),
                **prefixed(attention, "decoder.attention."),
                **prefixed(bridge_tensors, "decoder."),
                **prefixed(linear(tensors, "decoder.att_vector_layer."), "decoder.readout."),
                **prefixed(linear(tensors, "decoder.output_layer."), "decoder.output."),
            },
            source=word_vocabulary(
                source, rules, unk="<unk>", lower=lower, append=(index_of(source, "</s>", "source"),)
            ),
            target=word_vocabulary(target, rules, unk="<unk>", hidden=(special.pad, special.bos)),
            decoding=_decoding(special, values),
            limits=TokenLimits(source_tokens=1000, max_tokens=_MOST_TOKENS),
        )


class _Special:
    """Ids of pad, bos and eos in the target vocabulary."""

    def __init__(self, words: Sequence[str]) -> None:
        self.pad, self.bos, self.eos = (index_of(words, word, "target") for word in ("<pad>", "<s>", "</s>"))


def _is_recurrent(tensors: Tensors) -> bool:
    """Whether it is a recurrent encoder and a recurrent decoder of joeynmt."""
    return (
        has(tensors, *_EMBEDDINGS, "decoder.att_vector_layer.weight", "decoder.output_layer.weight")
        and has(tensors, "decoder.attention.key_layer.weight")
        and is_recurrent(tensors, "encoder.rnn.")
        and is_recurrent(tensors, "decoder.rnn.")
    )


def _embedding(weight: Tensor, scales: bool) -> Tensor:
    return weight * math.sqrt(weight.shape[1]) if scales else weight


def _feeds(decoder: Recurrence, embedding_size: int) -> bool:
    """Whether the attention vector is part of the next input."""
    feeds = decoder.input_size == embedding_size + decoder.hidden_size
    require(
        feeds or decoder.input_size == embedding_size,
        f"the decoder has {decoder.input_size} inputs; expected are an embedding of {embedding_size}, or that and an "
        f"attention vector of {decoder.hidden_size}",
    )
    return feeds


def _attention(tensors: Tensors) -> tuple[Attention, Tensors]:
    """`bahdanau` has layers for query and energy, `luong` has neither."""
    prefix = "decoder.attention."
    key = tensors[f"{prefix}key_layer.weight"]
    if f"{prefix}energy_layer.weight" not in tensors:
        return Attention(kind="general"), {"key.weight": key}
    return Attention(kind="additive", size=len(key)), {
        **prefixed(linear(tensors, f"{prefix}key_layer."), "key."),
        **prefixed(linear(tensors, f"{prefix}query_layer."), "query."),
        "score.weight": tensors[f"{prefix}energy_layer.weight"],
    }


def _bridge(
    tensors: Tensors, encoder: Recurrence, decoder: Recurrence, values: OptionValues
) -> tuple[Literal["zeros", "linear", "tanh"], Tensors]:
    """All layers of the decoder start from the same values, and so do hidden and cell."""
    if f"{_BRIDGE}weight" in tensors:
        layer = linear(tensors, _BRIDGE)
    elif values.text("init_hidden") == "zero":
        return "zeros", {}
    else:
        require(
            encoder.output_size in (decoder.hidden_size, 2 * decoder.hidden_size),
            f"--set init_hidden=last: a decoder of size {decoder.hidden_size} cannot start from the "
            f"{encoder.output_size} outputs of the encoder",
        )
        first = torch.eye(decoder.hidden_size, encoder.output_size)  # of two directions the forward one
        layer = {"weight": first, "bias": torch.zeros(decoder.hidden_size)}
    repeated = {name: torch.cat([tensor] * decoder.layers) for name, tensor in layer.items()}
    parts = ("bridge_hidden.", "bridge_cell.") if CELLS[decoder.cell].has_cell else ("bridge_hidden.",)
    made = {part + name: tensor for part in parts for name, tensor in repeated.items()}
    return "tanh" if f"{_BRIDGE}weight" in tensors else "linear", made


def _decoding(special: _Special, values: OptionValues) -> Decoding:
    version, beams = values.text("version"), max(1, values.number("beams"))
    require(
        version != "1" or beams == 1,
        "the beam search of joeynmt 1 is not supported, because it may return a sentence that was cut short: use --set "
        "version=2.3 for the search of later versions, or --set beams=1",
    )
    return Decoding(
        bos=special.bos,
        eos=special.eos,
        forbidden=(special.pad, special.bos) if version == "2.3" else (),
        min_tokens=0 if version == "1" else 1,
        max_tokens=values.number("max_tokens"),
        beams=beams,
        length_penalty=max(0.0, values.real("beam_alpha")),
        search="past_end",
        until="places",
    )
