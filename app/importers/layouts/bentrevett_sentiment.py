"""bentrevett/pytorch-sentiment-analysis, notebooks 1 and 2: an RNN or a (bidirectional) LSTM, its last state, a layer.

Both vintages have the same shapes, but `rnn.` puts the forward half first and `lstm.` the backward half. A network of
one's own often has these names, too, so an import asks for the order of the halves.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Converted, Given, Layout, Needs, Understanding
from app.importers.options import Option
from app.importers.parts import (
    consists_of,
    embedded,
    is_recurrent,
    linear,
    prefixed,
    recurrence,
    recurrent_weights,
    reordered,
    two_labels,
)
from app.importers.text_options import LENGTHS, has_tokenizer
from app.importers.tokenizer import check_words, word_vocabulary
from app.importers.vocabularies import Role
from app.store.classifier import Classifier
from app.store.encoders import TextEncoder


class _Notebook(Layout):
    """Embedding, recurrence and output layer. `part` is the prefix of the recurrence."""

    vocabularies: Sequence[Role] = ("source",)
    part: str
    tokenizer: str
    pooling: str  # of two directions

    def matches(self, checkpoint: Checkpoint) -> bool:
        if checkpoint.setting(*LENGTHS) is not None or has_tokenizer(checkpoint):  # they read whole texts, by torchtext
            return False
        if not checkpoint.is_state_dict_alone or not consists_of(checkpoint.network, "embedding.", self.part, "fc."):
            return False
        tensors = checkpoint.network
        if not is_recurrent(tensors, self.part) or "fc.weight" not in tensors or tensors["fc.weight"].dim() != 2:
            return False
        outputs, inputs = tensors["fc.weight"].shape
        predicts_words = "embedding.weight" in tensors and outputs == len(tensors["embedding.weight"])
        return not predicts_words and inputs == recurrence(tensors, self.part).output_size

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        return Understanding(
            unsure=[
                "a network of your own often has these names. This layout reads the last state, one of the labels "
                "holds, and texts are neither cut nor padded: if yours does otherwise, use --layout text-classifier"
            ]
        )

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        tensors = checkpoint.single
        both = tensors is None or recurrence(tensors, self.part).directions == 2
        return [
            *([_pooling(self.pooling)] if both else []),
            Option(
                "tokenizer",
                "how texts were split into words",
                self.tokenizer,
                ("basic_english", "spacy:en", "spaces"),
            ),
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        labels = max(2, len(checkpoint.network["fc.weight"]))
        rows = len(checkpoint.network["embedding.weight"])
        return Needs(self.vocabularies, labels=labels, rows={"source": rows})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        tensors = checkpoint.network
        recurrent = recurrence(tensors, self.part)
        embedding = tensors["embedding.weight"]
        check_words(words["source"], len(embedding), "source")
        layer = self._output(tensors)
        width = layer["weight"].shape[1]
        if width != recurrent.output_size:
            raise ImportFailed(f"fc has {width} inputs, but the recurrence has {recurrent.output_size} outputs")
        pooling = values.given.get("pooling", "last")
        if pooling == "last_backward_first":
            layer["weight"] = reordered(layer["weight"], (recurrent.hidden_size, recurrent.hidden_size), (1, 0))
        encoder = TextEncoder(vocabulary_size=len(embedding), recurrence=recurrent)
        return Converted(
            task="sentiment",
            architecture=Classifier(
                encoder=encoder,
                pooling=("last_output" if pooling == "last_output" else "last",),
                labels=len(layer["weight"]),
            ),
            tensors={
                **embedded("encoder", embedding, recurrent_weights(tensors, self.part)),
                **prefixed(layer, "output."),
            },
            source=word_vocabulary(words["source"], values.text("tokenizer"), unk="<unk>"),
        )

    def _output(self, tensors: Tensors) -> dict[str, Tensor]:
        output = linear(tensors, "fc.")
        return two_labels(output) if len(output["weight"]) == 1 else output


def _pooling(usual: str) -> Option:
    names = ("last", "last_backward_first", "last_output")
    return Option(
        "pooling",
        "the halves that fc reads; last: cat(h[-2], h[-1]), last_backward_first: cat(h[-1], h[-2]), last_output: "
        "output[:, -1]",
        usual,
        names,
        depends="a network of your own with the same names may read them in another order: look at its forward()",
        readings=names,
    )


class Legacy(_Notebook):
    """2018 to 2023: notebooks 1 and 2."""

    name = "bentrevett-sentiment-legacy"
    source = "bentrevett/pytorch-sentiment-analysis, legacy notebooks 1 and 2"
    part = "rnn."
    pooling = "last"
    tokenizer = "spacy:en"


class Present(_Notebook):
    """2024: notebook 2."""

    name = "bentrevett-sentiment-2024"
    source = "bentrevett/pytorch-sentiment-analysis, notebook 2 of 2024"
    part = "lstm."
    pooling = "last_backward_first"
    tokenizer = "basic_english"

    def matches(self, checkpoint: Checkpoint) -> bool:
        return super().matches(checkpoint) and len(checkpoint.network["fc.weight"]) > 1  # one output is Udacity's
