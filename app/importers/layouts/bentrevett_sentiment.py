"""bentrevett/pytorch-sentiment-analysis, notebooks 1 and 2: an RNN or a (bidirectional) LSTM, its last state, a layer.

Both vintages have the same shapes, but `rnn.` puts the forward half first and `lstm.` the backward half.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from app.errors import ImportFailed
from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words, only
from app.importers.parts import consists_of, linear, placed, recurrence, recurrent_weights, reordered, two_labels
from app.importers.vocabularies import word_vocabulary
from app.store.architecture import Classifier, TextEncoder


class _Notebook(Layout):
    """Embedding, recurrence and output layer; `part` is what the recurrence is called."""

    words: Sequence[Role] = ("source",)
    part: str
    tokenizer: str

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return len(networks) == 1 and consists_of(only(networks), "embedding.", self.part, "fc.")

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [
            Option(
                "tokenizer",
                "how texts were split into words",
                self.tokenizer,
                ("basic_english", "spacy:en", "spaces"),
            )
        ]

    def convert(self, found: Found, answers: Answers) -> Converted:
        tensors = only(found.networks)
        recurrent = recurrence(tensors, self.part)
        embedding = tensors["embedding.weight"]
        check_words(found.words["source"], len(embedding), "source")
        layer = self._output(tensors)
        width = layer["weight"].shape[1]
        if width != recurrent.output_size:
            raise ImportFailed(f"fc reads {width} features, but the recurrence ends in {recurrent.output_size}")
        if recurrent.directions == 2:
            layer["weight"] = self._forward_first(layer["weight"], recurrent.hidden_size)
        encoder = TextEncoder(vocabulary_size=len(embedding), recurrence=recurrent)
        return Converted(
            task="sentiment",
            architecture=Classifier(encoder=encoder, pooling=("last",), labels=len(layer["weight"])),
            tensors={
                "encoder.embedding.weight": embedding,
                **placed(recurrent_weights(tensors, self.part), "encoder.recurrence."),
                **placed(layer, "output."),
            },
            source=word_vocabulary(found.words["source"], answers.text("tokenizer"), unk="<unk>"),
        )

    def _output(self, tensors: Tensors) -> dict[str, Tensor]:
        one = len(tensors["fc.weight"]) == 1
        return two_labels(tensors, "fc.") if one else linear(tensors, "fc.")

    def _forward_first(self, weight: Tensor, hidden: int) -> Tensor:
        return weight


class Legacy(_Notebook):
    """2018 to 2023: notebooks 1 and 2."""

    name = "bentrevett-sentiment-legacy"
    source = "bentrevett/pytorch-sentiment-analysis, legacy notebooks 1 and 2"
    part = "rnn."
    tokenizer = "spacy:en"


class Present(_Notebook):
    """2024: notebook 2."""

    name = "bentrevett-sentiment-2024"
    source = "bentrevett/pytorch-sentiment-analysis, notebook 2 of 2024"
    part = "lstm."
    tokenizer = "basic_english"

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return super().matches(networks) and len(only(networks)["fc.weight"]) > 1  # one output is Udacity's

    def _forward_first(self, weight: Tensor, hidden: int) -> Tensor:
        return reordered(weight, (hidden, hidden), (1, 0))
