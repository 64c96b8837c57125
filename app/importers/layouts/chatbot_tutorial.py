"""The chatbot tutorial of pytorch.org: one dictionary with encoder `en`, decoder `de`, `embedding` and `voc_dict`.

A bidirectional GRU; the outputs of its directions are added. The decoder starts from the first rows of its last state
(both directions of the lowest layer) and has attention after Luong et al. (2015).
"""

from collections.abc import Sequence

from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Converted, Given, Layout
from app.importers.options import Option
from app.importers.parts import (
    columns,
    consists_of,
    decoder_of,
    embedded,
    linear,
    prefixed,
    recurrence,
    recurrent_weights,
)
from app.importers.tokenizer import check_words, word_vocabulary
from app.importers.vocabularies import Role
from app.store.attention import Attention
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder

_PAD, _SOS, _EOS = 0, 1, 2
_ATTENTIONS = ((), ("attn.attn.",), ("attn.attn.", "attn.v"))  # dot, general, concat


class Chatbot(Layout):
    """Decoding always takes all steps. Tokens after an end are part of the answer."""

    name = "pytorch-chatbot"
    source = "pytorch.org chatbot tutorial"
    vocabularies: Sequence[Role] = ("source",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        return _split(checkpoint) is not None

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [Option("max_length", "MAX_LENGTH: the steps of decoding, and words of a question", "10", kind="whole")]

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        parts = _split(checkpoint)
        assert parts is not None
        encoder, decoder = parts
        source = words["source"]
        check_words(source, len(encoder["embedding.weight"]), "source")
        recurrent = recurrence(decoder, "gru.")
        attention, weights = _attention(decoder, recurrent.hidden_size)
        limit = values.number("max_length")
        readout = linear(decoder, "concat.")
        return Converted(
            task="translation",
            architecture=EncoderDecoder(
                encoder=TextEncoder(vocabulary_size=len(source), recurrence=recurrence(encoder, "gru."), join="sum"),
                decoder=decoder_of(
                    decoder["embedding.weight"],
                    recurrent,
                    attention=attention,
                    context="output",
                    readout=("hidden", "context"),
                    readout_size=len(readout["weight"]),
                    bridge="first",
                ),
            ),
            tensors={
                **embedded("encoder", encoder["embedding.weight"], recurrent_weights(encoder, "gru.")),
                **embedded("decoder", decoder["embedding.weight"], recurrent_weights(decoder, "gru.")),
                **prefixed(weights, "decoder.attention."),
                **prefixed(readout, "decoder.readout."),
                **prefixed(linear(decoder, "out."), "decoder.output."),
            },
            source=word_vocabulary(source, "chatbot", unk=None, append=(_EOS,)),
            target=word_vocabulary(source, "spaces", unk=None, hidden=(_PAD, _EOS)),
            decoding=Decoding(bos=_SOS, eos=_EOS, fixed_steps=True, max_tokens=limit),
            limits=TokenLimits(source_tokens=max(limit, 2), max_tokens=limit),
        )


def _split(checkpoint: Checkpoint) -> tuple[Tensors, Tensors] | None:
    """Encoder and decoder of three state dicts; the third is the embedding that they share."""
    networks = checkpoint.networks.values()
    encoders = [tensors for tensors in networks if consists_of(tensors, "embedding.", "gru.")]
    decoders = [
        tensors
        for tensors in networks
        if any(consists_of(tensors, "embedding.", "gru.", "concat.", "out.", *more) for more in _ATTENTIONS)
    ]
    return (encoders[0], decoders[0]) if len(encoders) == len(decoders) == 1 else None


def _attention(tensors: Tensors, hidden: int) -> tuple[Attention, dict[str, Tensor]]:
    if "attn.v" in tensors:
        energy = linear(tensors, "attn.attn.")
        query, key = columns(energy["weight"], (hidden, energy["weight"].shape[1] - hidden))
        return Attention(kind="additive", size=len(query)), {
            "query.weight": query,
            "query.bias": energy["bias"],
            "key.weight": key,
            "key.bias": energy["bias"].new_zeros(len(key)),
            "score.weight": tensors["attn.v"].view(1, -1),
        }
    if "attn.attn.weight" in tensors:  # softmax drops its bias, equal for all positions
        return Attention(kind="general"), {"key.weight": tensors["attn.attn.weight"]}
    return Attention(kind="dot"), {}
