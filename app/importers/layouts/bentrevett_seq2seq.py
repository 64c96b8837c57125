"""bentrevett/pytorch-seq2seq, notebooks 1 to 4, of both vintages: one state dict with `encoder.` and `decoder.`.

1: LSTM without attention (Sutskever et al. 2014). 2: GRU that reads the same context in each step (Cho et al. 2014).
3 and 4: additive attention (Bahdanau et al. 2015); 4 also packs and masks, without effect on a single source.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Converted, Given, Layout, Needs, Understanding
from app.importers.options import Option
from app.importers.parts import (
    columns,
    consists_of,
    decoder_of,
    embedded,
    has,
    linear,
    prefixed,
    recurrence,
    recurrent_weights,
    under,
)
from app.importers.text_options import CHARACTERS, usual_rules
from app.importers.tokenizer import check_words, index_of, word_vocabulary
from app.importers.vocabularies import Role
from app.store.attention import Attention
from app.store.decoder import Decoder
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder

_MOST_TOKENS = 1000
_OUTPUTS = ("decoder.fc_out.", "decoder.out.")
_ENCODER = ("encoder.embedding.", "encoder.rnn.")
_DECODER = ("decoder.embedding.", "decoder.rnn.")
_SCORES = ("decoder.attention.v.", "decoder.attention.v_fc.")
_ENERGIES = ("decoder.attention.attn.", "decoder.attention.attn_fc.")


class _Notebook(Layout):
    """All notebooks: vocabularies with start and end, greedy decoding."""

    vocabularies: Sequence[Role] = ("source", "target")

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        return Understanding(
            unsure=[
                "a network of your own often has these names. This layout reads words as the notebooks do, between "
                "<sos> and <eos>, neither cut nor padded: if yours does otherwise, use --layout encoder-decoder"
            ]
        )

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        rules = ("spacy:de", "spacy:en", "spaces", "spaces_lower")
        return [
            Option("tokenizer", "how sources were split into words, lowercased", "spacy:de", rules),
            Option(
                "max_tokens",
                "steps after which decoding ends: 25 in 2024, 50 before",
                "25",
                kind="whole",
                most=_MOST_TOKENS,
            ),
            Option("reverse", "whether sources were read from the last word to the first", "no", ("yes", "no")),
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        source, target = (len(checkpoint.network[f"{side}.embedding.weight"]) for side in ("encoder", "decoder"))
        return Needs(self.vocabularies, rows={"source": source, "target": target})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        tensors = checkpoint.network
        source, target = words["source"], words["target"]
        check_words(source, len(tensors["encoder.embedding.weight"]), "source")
        check_words(target, len(tensors["decoder.embedding.weight"]), "target")
        bos, eos = (index_of(target, word, "target") for word in ("<sos>", "<eos>"))
        first, last = (index_of(source, word, "source") for word in ("<sos>", "<eos>"))
        decoder, weights = self._decoder(tensors)
        architecture = EncoderDecoder(
            encoder=TextEncoder(vocabulary_size=len(source), recurrence=recurrence(tensors, "encoder.rnn.")),
            decoder=decoder,
        )
        return Converted(
            task="translation",
            architecture=architecture,
            tensors={
                **embedded("encoder", tensors["encoder.embedding.weight"], recurrent_weights(tensors, "encoder.rnn.")),
                **embedded("decoder", tensors["decoder.embedding.weight"], recurrent_weights(tensors, "decoder.rnn.")),
                **prefixed(_output(tensors), "decoder.output."),
                **prefixed(weights, "decoder."),
            },
            source=word_vocabulary(
                source,
                values.text("tokenizer"),
                unk="<unk>",
                lower=True,
                prepend=(first,),
                append=(last,),
                reverse=values.text("reverse") == "yes",
            ),
            target=word_vocabulary(target, "spaces", unk="<unk>"),
            decoding=Decoding(bos=bos, eos=eos, max_tokens=values.number("max_tokens")),
            limits=TokenLimits(source_tokens=1000, max_tokens=_MOST_TOKENS),
        )

    @abstractmethod
    def _decoder(self, tensors: Tensors) -> tuple[Decoder, dict[str, Tensor]]:
        """The decoder, and its weights beside embedding, recurrence and output layer."""


def _output(tensors: Tensors) -> dict[str, Tensor]:
    (prefix,) = [prefix for prefix in _OUTPUTS if under(tensors, prefix)]
    return linear(tensors, prefix)


def _decoder_of(tensors: Tensors, **others: Any) -> Decoder:
    return decoder_of(tensors["decoder.embedding.weight"], recurrence(tensors, "decoder.rnn."), **others)


def _is_whole(checkpoint: Checkpoint, *more: str) -> bool:
    """Whether it is one network of encoder, decoder and these parts, over words."""
    tensors = checkpoint.single
    if any(usual_rules(words) == CHARACTERS for words in (*checkpoint.vocabularies.values(), *checkpoint.given)):
        return False
    return tensors is not None and any(consists_of(tensors, *_ENCODER, *_DECODER, output, *more) for output in _OUTPUTS)


def _other_inputs(checkpoint: Checkpoint) -> int:
    """Inputs of the decoder's recurrence beside the embedding."""
    tensors = checkpoint.network
    return int(tensors["decoder.rnn.weight_ih_l0"].shape[1] - tensors["decoder.embedding.weight"].shape[1])


class Plain(_Notebook):
    """Notebook 1."""

    name = "bentrevett-seq2seq-1"
    source = "bentrevett/pytorch-seq2seq, notebook 1 (2024: tut1, legacy: reversed sources)"

    def matches(self, checkpoint: Checkpoint) -> bool:
        return _is_whole(checkpoint) and _other_inputs(checkpoint) == 0

    def _decoder(self, tensors: Tensors) -> tuple[Decoder, dict[str, Tensor]]:
        return _decoder_of(tensors, bridge="copy"), {}


class Context(_Notebook):
    """Notebook 2."""

    name = "bentrevett-seq2seq-2"
    source = "bentrevett/pytorch-seq2seq, notebook 2"

    def matches(self, checkpoint: Checkpoint) -> bool:
        return _is_whole(checkpoint) and _other_inputs(checkpoint) > 0

    def _decoder(self, tensors: Tensors) -> tuple[Decoder, dict[str, Tensor]]:
        decoder = _decoder_of(
            tensors,
            bridge="copy",
            attention=Attention(kind="fixed"),
            context="input",
            readout=("embedding", "hidden", "context"),
        )
        return decoder, {}


class Attentive(_Notebook):
    """Notebooks 3 and 4."""

    name = "bentrevett-seq2seq-3"
    source = "bentrevett/pytorch-seq2seq, notebooks 3 and 4"

    def matches(self, checkpoint: Checkpoint) -> bool:
        return any(_is_whole(checkpoint, "encoder.fc.", energy, score) for energy in _ENERGIES for score in _SCORES)

    def _decoder(self, tensors: Tensors) -> tuple[Decoder, dict[str, Tensor]]:
        memory = recurrence(tensors, "encoder.rnn.").output_size
        hidden = recurrence(tensors, "decoder.rnn.").hidden_size
        energy = next(linear(tensors, prefix) for prefix in _ENERGIES if has(tensors, f"{prefix}weight"))
        score = next(tensors[f"{prefix}weight"] for prefix in _SCORES if has(tensors, f"{prefix}weight"))
        query, key = columns(energy["weight"], (hidden, memory))
        decoder = _decoder_of(
            tensors,
            bridge="tanh",
            attention=Attention(kind="additive", size=len(query)),
            context="input",
            readout=("hidden", "context", "embedding"),
        )
        return decoder, {
            **prefixed(linear(tensors, "encoder.fc."), "bridge_hidden."),
            "attention.query.weight": query,
            "attention.query.bias": energy["bias"],
            "attention.key.weight": key,
            "attention.key.bias": energy["bias"].new_zeros(len(key)),
            "attention.score.weight": score.view(1, -1),
        }
