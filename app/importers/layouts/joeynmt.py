"""joeynmt's recurrent translation models: one `model_state` with encoder, decoder and two embeddings.

A bidirectional encoder; the decoder attends with its new state (Luong et al. 2015, sections 3.1 and 3.3), scored by
Luong's `general` or by Bahdanau's network.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words, only, require
from app.importers.parts import has, is_recurrent, linear, placed, recurrence, recurrent_weights
from app.importers.vocabularies import index_of, word_vocabulary
from app.store.architecture import Attention, Decoder, EncoderDecoder, Recurrence, TextEncoder
from app.store.manifest import Decoding, TokenLimits

_EMBEDDINGS = ("src_embed.lut.weight", "trg_embed.lut.weight")
_BRIDGE = "decoder.bridge_layer."
_RULES = {"word": "spaces", "char": "joeynmt_characters"}
_VERSIONS = ("1", "2.0", "2.3")  # those that decode in ways of their own


class Joeynmt(Layout):
    """`*.ckpt` of a model whose encoder and decoder are of type `recurrent`."""

    name = "joeynmt"
    source = "joeynmt/joeynmt, recurrent models"
    words: Sequence[Role] = ("source", "target")

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return len(networks) == 1 and _is_recurrent(only(networks))

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        start = Option("init_hidden", "model: decoder: init_hidden", None, ("last", "zero"))
        return [
            Option("version", "of joeynmt, as it decodes: 2.0 to 2.2 are one", "2.3", _VERSIONS),
            Option("level", "data: src and trg: level", "word", tuple(_RULES)),
            Option("lowercase", "data: src: lowercase", "no", ("yes", "no")),
            Option("scale", "model: embeddings: scale", "no", ("yes", "no")),
            Option("activation", "model: decoder: activation", "tanh"),
            *([] if any(f"{_BRIDGE}weight" in tensors for tensors in networks.values()) else [start]),
            Option("beams", "testing: beam_size; 1 is greedy, as 0 is there", "5"),
            Option("beam_alpha", "testing: beam_alpha, the length penalty; 0 for none", "1.0"),
            Option("max_tokens", "testing: max_output_length", "30"),
        ]

    def convert(self, found: Found, answers: Answers) -> Converted:
        tensors = only(found.networks)
        source, target = found.words["source"], found.words["target"]
        scales = answers.text("scale") == "yes"
        source_embedding, target_embedding = (_embedding(tensors[key], scales) for key in _EMBEDDINGS)
        check_words(source, len(source_embedding), "source")
        check_words(target, len(target_embedding), "target")
        require(
            answers.text("activation") == "tanh",
            f"--set activation={answers.text('activation')}: only tanh can be taken over",
        )
        encoder, decoder = recurrence(tensors, "encoder.rnn."), recurrence(tensors, "decoder.rnn.")
        require(encoder.directions == 2, "the encoder reads in one direction, which joeynmt cannot decode either")
        kind, attention = _attention(tensors)
        bridge, bridge_tensors = _bridge(tensors, encoder, decoder, answers)
        lower = answers.text("lowercase") == "yes"
        rules, special = _RULES[answers.text("level")], _Special(target)
        return Converted(
            task="translation",
            architecture=EncoderDecoder(
                encoder=TextEncoder(vocabulary_size=len(source), recurrence=encoder),
                decoder=Decoder(
                    vocabulary_size=len(target),
                    embedding_size=target_embedding.shape[1],
                    cell=decoder.cell,
                    hidden_size=decoder.hidden_size,
                    layers=decoder.layers,
                    attention=kind,
                    context="output",
                    readout=("hidden", "context"),
                    readout_size=decoder.hidden_size,
                    input_feeding=_feeds(decoder, target_embedding.shape[1]),
                    bridge=bridge,
                ),
            ),
            tensors={
                "encoder.embedding.weight": source_embedding,
                **placed(recurrent_weights(tensors, "encoder.rnn."), "encoder.recurrence."),
                "decoder.embedding.weight": target_embedding,
                **placed(recurrent_weights(tensors, "decoder.rnn."), "decoder.recurrence."),
                **placed(attention, "decoder.attention."),
                **placed(bridge_tensors, "decoder."),
                **placed(linear(tensors, "decoder.att_vector_layer."), "decoder.readout."),
                **placed(linear(tensors, "decoder.output_layer."), "decoder.output."),
            },
            source=word_vocabulary(
                source, rules, unk="<unk>", lower=lower, append=(index_of(source, "</s>", "source"),)
            ),
            target=word_vocabulary(target, rules, unk="<unk>", hidden=(special.pad, special.bos)),
            decoding=_decoding(special, answers),
            limits=TokenLimits(source_tokens=1000, max_tokens=1000),
        )


class _Special:
    """Ids of the target vocabulary that are no words."""

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
    """Whether the attention vector is a part of the next input."""
    feeds = decoder.input_size == embedding_size + decoder.hidden_size
    require(
        feeds or decoder.input_size == embedding_size,
        f"the decoder reads {decoder.input_size} numbers, which is neither an embedding of {embedding_size} nor that "
        f"and an attention vector of {decoder.hidden_size}",
    )
    return feeds


def _attention(tensors: Tensors) -> tuple[Attention, Tensors]:
    """`bahdanau` has layers for query and energy, `luong` has neither."""
    prefix = "decoder.attention."
    key = tensors[f"{prefix}key_layer.weight"]
    if f"{prefix}energy_layer.weight" not in tensors:
        return Attention(kind="general"), {"key.weight": key}
    return Attention(kind="additive", size=len(key)), {
        **placed(linear(tensors, f"{prefix}key_layer."), "key."),
        **placed(linear(tensors, f"{prefix}query_layer."), "query."),
        "score.weight": tensors[f"{prefix}energy_layer.weight"],
    }


def _bridge(
    tensors: Tensors, encoder: Recurrence, decoder: Recurrence, answers: Answers
) -> tuple[Literal["zeros", "linear", "tanh"], Tensors]:
    """All layers of the decoder begin alike, and the cell of an LSTM as its hidden."""
    if f"{_BRIDGE}weight" in tensors:
        layer = linear(tensors, _BRIDGE)
    elif answers.text("init_hidden") == "zero":
        return "zeros", {}
    else:
        require(
            encoder.output_size in (decoder.hidden_size, 2 * decoder.hidden_size),
            f"--set init_hidden=last: a decoder of {decoder.hidden_size} cannot begin with the {encoder.output_size} "
            "numbers of the encoder",
        )
        first = torch.eye(decoder.hidden_size, encoder.output_size)  # of twice as many those that were read forwards
        layer = {"weight": first, "bias": torch.zeros(decoder.hidden_size)}
    repeated = {name: torch.cat([tensor] * decoder.layers) for name, tensor in layer.items()}
    parts = ("bridge_hidden.", "bridge_cell.") if decoder.cell == "lstm" else ("bridge_hidden.",)
    made = {part + name: tensor for part in parts for name, tensor in repeated.items()}
    return "tanh" if f"{_BRIDGE}weight" in tensors else "linear", made


def _decoding(special: _Special, answers: Answers) -> Decoding:
    version, beams = answers.text("version"), max(1, answers.number("beams"))
    require(
        version != "1" or beams == 1,
        "the beam search of joeynmt 1 may answer a sentence that it cut short, which is not taken over: say --set "
        "version=2.3 for that of later versions, or --set beams=1",
    )
    return Decoding(
        bos=special.bos,
        eos=special.eos,
        forbidden=(special.pad, special.bos) if version == "2.3" else (),
        min_tokens=0 if version == "1" else 1,
        max_tokens=answers.number("max_tokens"),
        beams=beams,
        length_penalty=max(0.0, answers.real("beam_alpha")),
        search="past_end",
        until="places",
    )
