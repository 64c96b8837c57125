"""The tutorial of pytorch.org "NLP from scratch: translation with a sequence to sequence network and attention".

The tutorial saves nothing; its readers save two state dicts or whole modules. 2023 and later: a GRU decoder with
additive attention (Bahdanau et al. 2015), or without attention and with a relu after the embedding. 2017 to 2022:
attention that scores a fixed number of positions from embedding and hidden state alone.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Converted, Given, Layout, Needs
from app.importers.options import Option, OptionValues
from app.importers.parts import (
    consists_of,
    decoder_of,
    embedded,
    linear,
    pair,
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

_SOS, _EOS = 0, 1


class _Tutorial(Layout):
    """Two state dicts, of an encoder and a decoder. `parts` are the decoder's, beside embedding and GRU."""

    vocabularies: Sequence[Role] = ("source", "target")
    parts: Sequence[str]
    tokenizer = "pytorch_tutorial"

    def matches(self, checkpoint: Checkpoint) -> bool:
        return self._split(checkpoint) is not None

    def _split(self, checkpoint: Checkpoint) -> tuple[Tensors, Tensors] | None:
        """Encoder and decoder."""
        return pair(
            checkpoint,
            lambda encoder: consists_of(encoder, "embedding.", "gru."),
            lambda decoder: consists_of(decoder, "embedding.", "gru.", *self.parts),
        )

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        rules = ("pytorch_tutorial", "pytorch_tutorial_2017", "spaces", "spaces_lower")
        return [
            Option("tokenizer", "how sentences were normalised and split", self.tokenizer, rules),
            Option("max_length", "MAX_LENGTH: the most steps, and words of a source", "10", kind="whole", least=2),
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        parts = self._split(checkpoint)
        assert parts is not None
        source, target = (len(part["embedding.weight"]) for part in parts)
        return Needs(self.vocabularies, rows={"source": source, "target": target})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        parts = self._split(checkpoint)
        assert parts is not None
        encoder, decoder = parts
        source, target = words["source"], words["target"]
        check_words(source, len(encoder["embedding.weight"]), "source")
        check_words(target, len(decoder["embedding.weight"]), "target")
        config, weights = self._decoder(decoder)
        limit = self._limit(decoder, values)
        return Converted(
            task="translation",
            architecture=EncoderDecoder(
                encoder=TextEncoder(vocabulary_size=len(source), recurrence=recurrence(encoder, "gru.")),
                decoder=decoder_of(decoder["embedding.weight"], recurrence(decoder, "gru."), bridge="copy", **config),
            ),
            tensors={
                **embedded("encoder", encoder["embedding.weight"], recurrent_weights(encoder, "gru.")),
                **embedded("decoder", decoder["embedding.weight"], recurrent_weights(decoder, "gru.")),
                **prefixed(linear(decoder, "out."), "decoder.output."),
                **prefixed(weights, "decoder."),
            },
            source=word_vocabulary(source, values.text("tokenizer"), unk=None, append=(_EOS,)),
            target=word_vocabulary(target, "spaces", unk=None),
            decoding=Decoding(bos=_SOS, eos=_EOS, max_tokens=limit),
            limits=TokenLimits(source_tokens=max(limit, 2), max_tokens=limit),
        )

    @abstractmethod
    def _decoder(self, tensors: Tensors) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Members of the decoder's configuration, and its weights beside embedding, recurrence and output layer."""

    def _limit(self, decoder: Tensors, values: OptionValues) -> int:
        return values.number("max_length")


class Plain(_Tutorial):
    """2023 and later, `DecoderRNN`."""

    name = "pytorch-tutorial-plain"
    source = "pytorch.org seq2seq translation tutorial, DecoderRNN"
    parts = ("out.",)

    def _decoder(self, tensors: Tensors) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {"embedding_activation": "relu"}, {}


class Attentive(_Tutorial):
    """2023 and later, `AttnDecoderRNN`."""

    name = "pytorch-tutorial-attention"
    source = "pytorch.org seq2seq translation tutorial of 2023 and later, AttnDecoderRNN"
    parts = ("attention.Wa.", "attention.Ua.", "attention.Va.", "out.")

    def _decoder(self, tensors: Tensors) -> tuple[dict[str, Any], dict[str, Tensor]]:
        score = tensors["attention.Va.weight"]  # softmax drops its bias, equal for all positions
        return {"attention": Attention(kind="additive", size=score.shape[1]), "context": "input"}, {
            **prefixed(linear(tensors, "attention.Wa."), "attention.query."),
            **prefixed(linear(tensors, "attention.Ua."), "attention.key."),
            "attention.score.weight": score,
        }


class Positional(_Tutorial):
    """2017 to 2022, `AttnDecoderRNN`: `attn` has one row per position."""

    name = "pytorch-tutorial-2017"
    source = "pytorch.org seq2seq translation tutorial of 2017 to 2022, AttnDecoderRNN"
    parts = ("attn.", "attn_combine.", "out.")
    tokenizer = "pytorch_tutorial_2017"

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [option for option in super().options(checkpoint) if option.name != "max_length"]

    def _limit(self, decoder: Tensors, values: OptionValues) -> int:
        return len(decoder["attn.weight"])

    def _decoder(self, tensors: Tensors) -> tuple[dict[str, Any], dict[str, Tensor]]:
        combine = linear(tensors, "attn_combine.")
        hidden = tensors["gru.weight_hh_l0"].shape[1]
        if combine["weight"].shape[1] != tensors["embedding.weight"].shape[1] + hidden:
            raise ImportFailed("the inputs of attn_combine are not an embedding and a context")
        return {
            "attention": Attention(kind="location", size=len(tensors["attn.weight"])),
            "context": "input",
            "input_size": len(combine["weight"]),
        }, {
            **prefixed(linear(tensors, "attn."), "attention.score."),
            **prefixed(combine, "input."),
        }
