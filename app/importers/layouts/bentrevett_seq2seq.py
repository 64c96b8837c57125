"""bentrevett/pytorch-seq2seq, notebooks 1 to 4, of both vintages: one state dict with `encoder.` and `decoder.`.

1: LSTM without attention (Sutskever et al. 2014). 2: GRU that reads the same context in each step (Cho et al. 2014).
3 and 4: additive attention (Bahdanau et al. 2015); 4 packs and masks, which changes nothing for one source at a time.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words, only
from app.importers.parts import (
    columns,
    consists_of,
    has,
    linear,
    placed,
    recurrence,
    recurrent_weights,
    under,
)
from app.importers.vocabularies import index_of, word_vocabulary
from app.store.architecture import Attention, Decoder, EncoderDecoder, TextEncoder
from app.store.manifest import Decoding, TokenLimits

_OUTPUTS = ("decoder.fc_out.", "decoder.out.")
_ENCODER = ("encoder.embedding.", "encoder.rnn.")
_DECODER = ("decoder.embedding.", "decoder.rnn.")
_SCORES = ("decoder.attention.v.", "decoder.attention.v_fc.")
_ENERGIES = ("decoder.attention.attn.", "decoder.attention.attn_fc.")


class _Notebook(Layout):
    """What all notebooks share: vocabularies, start and end, and greedy decoding."""

    words: Sequence[Role] = ("source", "target")

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        rules = ("spacy:de", "spacy:en", "spaces", "spaces_lower")
        return [
            Option("tokenizer", "how sources were split into words, lowercased", "spacy:de", rules),
            Option("max_tokens", "steps after which decoding ends: 25 in 2024, 50 before", "25"),
            Option("reverse", "whether sources were read from the last word to the first", "no", ("yes", "no")),
        ]

    def convert(self, found: Found, answers: Answers) -> Converted:
        tensors = only(found.networks)
        source, target = found.words["source"], found.words["target"]
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
                "encoder.embedding.weight": tensors["encoder.embedding.weight"],
                **placed(recurrent_weights(tensors, "encoder.rnn."), "encoder.recurrence."),
                "decoder.embedding.weight": tensors["decoder.embedding.weight"],
                **placed(weights, "decoder."),
            },
            source=word_vocabulary(
                source,
                answers.text("tokenizer"),
                unk="<unk>",
                lower=True,
                prepend=(first,),
                append=(last,),
                reverse=answers.text("reverse") == "yes",
            ),
            target=word_vocabulary(target, "spaces", unk="<unk>"),
            decoding=Decoding(bos=bos, eos=eos, max_tokens=answers.number("max_tokens")),
            limits=TokenLimits(source_tokens=1000, max_tokens=1000),
        )

    def _decoder(self, tensors: Tensors) -> tuple[Decoder, dict[str, Tensor]]:
        raise NotImplementedError


def _output(tensors: Tensors) -> dict[str, Tensor]:
    (prefix,) = [prefix for prefix in _OUTPUTS if under(tensors, prefix)]
    return linear(tensors, prefix)


def _common(tensors: Tensors) -> dict[str, object]:
    """What the shapes of a decoder tell in all notebooks."""
    recurrent = recurrence(tensors, "decoder.rnn.")
    vocabulary, embedding = tensors["decoder.embedding.weight"].shape
    return {
        "vocabulary_size": vocabulary,
        "embedding_size": embedding,
        "cell": recurrent.cell,
        "hidden_size": recurrent.hidden_size,
        "layers": recurrent.layers,
    }


def _is_whole(networks: Mapping[str, Tensors], *more: str) -> bool:
    """Whether it is one network of encoder, decoder and these parts."""
    if len(networks) != 1:
        return False
    tensors = only(networks)
    return any(consists_of(tensors, *_ENCODER, *_DECODER, output, *more) for output in _OUTPUTS)


class Plain(_Notebook):
    """Notebook 1."""

    name = "bentrevett-seq2seq-1"
    source = "bentrevett/pytorch-seq2seq, notebook 1 (2024: tut1, legacy: reversed sources)"

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return _is_whole(networks) and _reads(networks) == 0

    def _decoder(self, tensors: Tensors) -> tuple[Decoder, dict[str, Tensor]]:
        decoder = Decoder.model_validate(_common(tensors) | {"bridge": "copy"})
        return decoder, {
            **placed(recurrent_weights(tensors, "decoder.rnn."), "recurrence."),
            **placed(_output(tensors), "output."),
        }


class Context(_Notebook):
    """Notebook 2."""

    name = "bentrevett-seq2seq-2"
    source = "bentrevett/pytorch-seq2seq, notebook 2"

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return _is_whole(networks) and _reads(networks) > 0

    def _decoder(self, tensors: Tensors) -> tuple[Decoder, dict[str, Tensor]]:
        decoder = Decoder.model_validate(
            _common(tensors)
            | {
                "bridge": "copy",
                "attention": Attention(kind="fixed"),
                "context": "input",
                "readout": ("embedding", "hidden", "context"),
            }
        )
        return decoder, {
            **placed(recurrent_weights(tensors, "decoder.rnn."), "recurrence."),
            **placed(_output(tensors), "output."),
        }


def _reads(networks: Mapping[str, Tensors]) -> int:
    """Features that the decoder's recurrence reads beside the embedding."""
    tensors = only(networks)
    return int(tensors["decoder.rnn.weight_ih_l0"].shape[1] - tensors["decoder.embedding.weight"].shape[1])


class Attentive(_Notebook):
    """Notebooks 3 and 4."""

    name = "bentrevett-seq2seq-3"
    source = "bentrevett/pytorch-seq2seq, notebooks 3 and 4"

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return any(_is_whole(networks, "encoder.fc.", energy, score) for energy in _ENERGIES for score in _SCORES)

    def _decoder(self, tensors: Tensors) -> tuple[Decoder, dict[str, Tensor]]:
        common = _common(tensors)
        hidden, embedding = int(str(common["hidden_size"])), int(str(common["embedding_size"]))
        memory = recurrence(tensors, "encoder.rnn.").output_size
        energy = next(linear(tensors, prefix) for prefix in _ENERGIES if has(tensors, f"{prefix}weight"))
        score = next(tensors[f"{prefix}weight"] for prefix in _SCORES if has(tensors, f"{prefix}weight"))
        query, key = columns(energy["weight"], (hidden, memory))
        decoder = Decoder.model_validate(
            common
            | {
                "bridge": "tanh",
                "attention": Attention(kind="additive", size=len(query)),
                "context": "input",
                "readout": ("hidden", "context", "embedding"),
            }
        )
        recurrent = recurrent_weights(tensors, "decoder.rnn.")
        assert recurrent["weight_ih_l0"].shape[1] == embedding + memory
        return decoder, {
            **placed(recurrent, "recurrence."),
            **placed(_output(tensors), "output."),
            **placed(linear(tensors, "encoder.fc."), "bridge_hidden."),
            "attention.query.weight": query,
            "attention.query.bias": energy["bias"],
            "attention.key.weight": key,
            "attention.key.bias": energy["bias"].new_zeros(len(key)),
            "attention.score.weight": score.view(1, -1),
        }
