"""The tutorial of pytorch.org "NLP from scratch: translation with a sequence to sequence network and attention".

It saves nothing itself; its readers save two state dicts or whole modules. 2023 and later: a GRU decoder with additive
attention (Bahdanau et al. 2015), or without attention and with a relu after the embedding. 2017 to 2022: attention that
scores positions from embedding and hidden state alone, over as many slots as the longest sentence had.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from app.errors import ImportFailed
from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words
from app.importers.parts import consists_of, linear, pair, placed, recurrence, recurrent_weights
from app.importers.vocabularies import word_vocabulary
from app.store.architecture import Attention, Decoder, EncoderDecoder, TextEncoder
from app.store.manifest import Decoding, TokenLimits

_SOS, _EOS = 0, 1


class _Tutorial(Layout):
    """An encoder and a decoder, each a state dict of its own; `parts` are those of the decoder."""

    words: Sequence[Role] = ("source", "target")
    parts: Sequence[str]
    tokenizer = "pytorch_tutorial"

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return self._split(networks) is not None

    def _split(self, networks: Mapping[str, Tensors]) -> tuple[Tensors, Tensors] | None:
        """Encoder and decoder."""
        return pair(
            networks,
            lambda encoder: consists_of(encoder, "embedding.", "gru."),
            lambda decoder: consists_of(decoder, "embedding.", "gru.", *self.parts),
        )

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        rules = ("pytorch_tutorial", "pytorch_tutorial_2017", "spaces", "spaces_lower")
        return [
            Option("tokenizer", "how sentences were normalised and split", self.tokenizer, rules),
            Option("max_length", "MAX_LENGTH: the most steps, and words of a source", "10"),
        ]

    def convert(self, found: Found, answers: Answers) -> Converted:
        parts = self._split(found.networks)
        assert parts is not None
        encoder, decoder = parts
        source, target = found.words["source"], found.words["target"]
        check_words(source, len(encoder["embedding.weight"]), "source")
        check_words(target, len(decoder["embedding.weight"]), "target")
        recurrent = recurrence(decoder, "gru.")
        config, weights = self._decoder(decoder)
        limit = self._limit(decoder, answers)
        return Converted(
            task="translation",
            architecture=EncoderDecoder(
                encoder=TextEncoder(vocabulary_size=len(source), recurrence=recurrence(encoder, "gru.")),
                decoder=Decoder.model_validate(
                    {
                        "vocabulary_size": len(target),
                        "embedding_size": decoder["embedding.weight"].shape[1],
                        "cell": "gru",
                        "hidden_size": recurrent.hidden_size,
                        "layers": recurrent.layers,
                        "bridge": "copy",
                        **config,
                    }
                ),
            ),
            tensors={
                **placed({"weight": encoder["embedding.weight"]}, "encoder.embedding."),
                **placed(recurrent_weights(encoder, "gru."), "encoder.recurrence."),
                **placed({"weight": decoder["embedding.weight"]}, "decoder.embedding."),
                **placed(recurrent_weights(decoder, "gru."), "decoder.recurrence."),
                **placed(linear(decoder, "out."), "decoder.output."),
                **placed(weights, "decoder."),
            },
            source=word_vocabulary(source, answers.text("tokenizer"), unk=None, append=(_EOS,)),
            target=word_vocabulary(target, "spaces", unk=None),
            decoding=Decoding(bos=_SOS, eos=_EOS, max_tokens=limit),
            limits=TokenLimits(source_tokens=max(limit, 2), max_tokens=limit),
        )

    def _decoder(self, tensors: Tensors) -> tuple[dict[str, object], dict[str, Tensor]]:
        """What the decoder is beside its recurrence, and its weights beside those that all have."""
        raise NotImplementedError

    def _limit(self, decoder: Tensors, answers: Answers) -> int:
        return answers.number("max_length")


class Plain(_Tutorial):
    """2023 and later, `DecoderRNN`."""

    name = "pytorch-tutorial-plain"
    source = "pytorch.org seq2seq translation tutorial, DecoderRNN"
    parts = ("out.",)

    def _decoder(self, tensors: Tensors) -> tuple[dict[str, object], dict[str, Tensor]]:
        return {"embedding_activation": "relu"}, {}


class Attentive(_Tutorial):
    """2023 and later, `AttnDecoderRNN`."""

    name = "pytorch-tutorial-attention"
    source = "pytorch.org seq2seq translation tutorial of 2023 and later, AttnDecoderRNN"
    parts = ("attention.Wa.", "attention.Ua.", "attention.Va.", "out.")

    def _decoder(self, tensors: Tensors) -> tuple[dict[str, object], dict[str, Tensor]]:
        score = tensors["attention.Va.weight"]  # its bias is the same for all positions, which the softmax drops
        return {"attention": Attention(kind="additive", size=score.shape[1]), "context": "input"}, {
            **placed(linear(tensors, "attention.Wa."), "attention.query."),
            **placed(linear(tensors, "attention.Ua."), "attention.key."),
            "attention.score.weight": score,
        }


class Positional(_Tutorial):
    """2017 to 2022, `AttnDecoderRNN`: its slots are as many as `attn` has rows."""

    name = "pytorch-tutorial-2017"
    source = "pytorch.org seq2seq translation tutorial of 2017 to 2022, AttnDecoderRNN"
    parts = ("attn.", "attn_combine.", "out.")
    tokenizer = "pytorch_tutorial_2017"

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [option for option in super().options(networks) if option.name != "max_length"]

    def _limit(self, decoder: Tensors, answers: Answers) -> int:
        return len(decoder["attn.weight"])

    def _decoder(self, tensors: Tensors) -> tuple[dict[str, object], dict[str, Tensor]]:
        combine = linear(tensors, "attn_combine.")
        hidden = tensors["gru.weight_hh_l0"].shape[1]
        if combine["weight"].shape[1] != tensors["embedding.weight"].shape[1] + hidden:
            raise ImportFailed("attn_combine does not read an embedding and a context")
        return {
            "attention": Attention(kind="location", size=len(tensors["attn.weight"])),
            "context": "input",
            "input_size": len(combine["weight"]),
        }, {
            **placed(linear(tensors, "attn."), "attention.score."),
            **placed(combine, "input."),
        }
