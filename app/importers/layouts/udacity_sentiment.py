"""Udacity's deep learning course, sentiment-rnn: embedding, LSTM, one output and a sigmoid.

Sources are padded on the left with 0 to one length and nothing masks that, so the length is part of the model.
"""

from collections.abc import Mapping, Sequence

from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words, only
from app.importers.parts import consists_of, placed, recurrence, recurrent_weights, two_labels
from app.importers.vocabularies import word_vocabulary
from app.store.architecture import Classifier, TextEncoder


class Udacity(Layout):
    """`vocab_to_int` numbers words from 1; 0 is padding, and every unknown word."""

    name = "udacity-sentiment"
    source = "udacity/deep-learning-v2-pytorch, sentiment-rnn"
    words: Sequence[Role] = ("source",)

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        if len(networks) != 1 or not consists_of(only(networks), "embedding.", "lstm.", "fc."):
            return False
        tensors = only(networks)
        return len(tensors["fc.weight"]) == 1 and recurrence(tensors, "lstm.").directions == 1

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [Option("seq_length", "the length that all reviews were padded or cut to", "200")]

    def convert(self, found: Found, answers: Answers) -> Converted:
        tensors = only(found.networks)
        words = found.words["source"]
        check_words(words, len(tensors["embedding.weight"]), "source")
        length = answers.number("seq_length")
        encoder = TextEncoder(vocabulary_size=len(words), recurrence=recurrence(tensors, "lstm."))
        return Converted(
            task="sentiment",
            architecture=Classifier(encoder=encoder, pooling=("last",), labels=2),
            tensors={
                "encoder.embedding.weight": tensors["embedding.weight"],
                **placed(recurrent_weights(tensors, "lstm."), "encoder.recurrence."),
                **placed(two_labels(tensors, "fc."), "output."),
            },
            source=word_vocabulary(words, "udacity", unk=None, unknown=0, left_pad={"to": length, "id": 0}),
            labels=("negative", "positive"),
        )
