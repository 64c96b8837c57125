"""The chatbot tutorial of pytorch.org: one dictionary with encoder `en`, decoder `de`, `embedding` and `voc_dict`.

A bidirectional GRU whose directions are added; the decoder starts from the first rows of its last state, which are both
directions of the lowest layer, and attends after Luong et al. (2015).
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words
from app.importers.parts import columns, consists_of, linear, placed, recurrence, recurrent_weights
from app.importers.vocabularies import word_vocabulary
from app.store.architecture import Attention, Decoder, EncoderDecoder, TextEncoder
from app.store.manifest import Decoding, TokenLimits

_PAD, _SOS, _EOS = 0, 1, 2
_ATTENTIONS = ((), ("attn.attn.",), ("attn.attn.", "attn.v"))  # dot, general, concat


class Chatbot(Layout):
    """Decoding always takes all steps, and what comes after an end is part of the answer."""

    name = "pytorch-chatbot"
    source = "pytorch.org chatbot tutorial"
    words: Sequence[Role] = ("source",)

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return _split(networks) is not None

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [Option("max_length", "MAX_LENGTH: the steps of decoding, and words of a question", "10")]

    def convert(self, found: Found, answers: Answers) -> Converted:
        parts = _split(found.networks)
        assert parts is not None
        encoder, decoder = parts
        words = found.words["source"]
        check_words(words, len(encoder["embedding.weight"]), "source")
        recurrent = recurrence(decoder, "gru.")
        attention, weights = _attention(decoder, recurrent.hidden_size)
        limit = answers.number("max_length")
        readout = linear(decoder, "concat.")
        return Converted(
            task="translation",
            architecture=EncoderDecoder(
                encoder=TextEncoder(vocabulary_size=len(words), recurrence=recurrence(encoder, "gru."), join="sum"),
                decoder=Decoder(
                    vocabulary_size=len(words),
                    embedding_size=decoder["embedding.weight"].shape[1],
                    cell="gru",
                    hidden_size=recurrent.hidden_size,
                    layers=recurrent.layers,
                    attention=attention,
                    context="output",
                    readout=("hidden", "context"),
                    readout_size=len(readout["weight"]),
                    bridge="first",
                ),
            ),
            tensors={
                "encoder.embedding.weight": encoder["embedding.weight"],
                **placed(recurrent_weights(encoder, "gru."), "encoder.recurrence."),
                "decoder.embedding.weight": decoder["embedding.weight"],
                **placed(recurrent_weights(decoder, "gru."), "decoder.recurrence."),
                **placed(weights, "decoder.attention."),
                **placed(readout, "decoder.readout."),
                **placed(linear(decoder, "out."), "decoder.output."),
            },
            source=word_vocabulary(words, "chatbot", unk=None, append=(_EOS,)),
            target=word_vocabulary(words, "spaces", unk=None, hidden=(_PAD, _EOS)),
            decoding=Decoding(bos=_SOS, eos=_EOS, fixed_steps=True, max_tokens=limit),
            limits=TokenLimits(source_tokens=max(limit, 2), max_tokens=limit),
        )


def _split(networks: Mapping[str, Tensors]) -> tuple[Tensors, Tensors] | None:
    """Encoder and decoder, of three state dicts: the shared embedding lies beside them."""
    encoders = [tensors for tensors in networks.values() if consists_of(tensors, "embedding.", "gru.")]
    decoders = [
        tensors
        for tensors in networks.values()
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
    if "attn.attn.weight" in tensors:  # its bias is the same for all positions, which the softmax drops
        return Attention(kind="general"), {"key.weight": tensors["attn.attn.weight"]}
    return Attention(kind="dot"), {}
