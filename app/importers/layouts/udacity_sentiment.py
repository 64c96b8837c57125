"""Udacity's deep learning course, sentiment-rnn: embedding, LSTM, one output and a sigmoid.

Sources are padded on the left with 0 to one length without a mask, so the length is part of the model.
"""

from collections.abc import Mapping, Sequence

from app.importers.checkpoint import Checkpoint
from app.importers.layout import Converted, Given, Layout, Needs
from app.importers.options import Option
from app.importers.parts import consists_of, embedded, linear, prefixed, recurrence, recurrent_weights, two_labels
from app.importers.tokenizer import check_words, word_vocabulary
from app.importers.vocabularies import Role
from app.store.classifier import Classifier
from app.store.encoders import TextEncoder


class Udacity(Layout):
    """`vocab_to_int` numbers words from 1; 0 is padding, and every unknown word."""

    name = "udacity-sentiment"
    source = "udacity/deep-learning-v2-pytorch, sentiment-rnn"
    vocabularies: Sequence[Role] = ("source",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        tensors = checkpoint.single
        if (
            tensors is None
            or not checkpoint.is_state_dict_alone
            or not consists_of(tensors, "embedding.", "lstm.", "fc.")
        ):
            return False
        return len(tensors["fc.weight"]) == 1 and recurrence(tensors, "lstm.").directions == 1

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [Option("seq_length", "the length that all reviews were padded or cut to", "200", kind="whole")]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(self.vocabularies, rows={"source": len(checkpoint.network["embedding.weight"])})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        tensors = checkpoint.network
        source = words["source"]
        check_words(source, len(tensors["embedding.weight"]), "source")
        length = values.number("seq_length")
        encoder = TextEncoder(vocabulary_size=len(source), recurrence=recurrence(tensors, "lstm."))
        return Converted(
            task="sentiment",
            architecture=Classifier(encoder=encoder, pooling=("last",), labels=2),
            tensors={
                **embedded("encoder", tensors["embedding.weight"], recurrent_weights(tensors, "lstm.")),
                **prefixed(two_labels(linear(tensors, "fc.")), "output."),
            },
            source=word_vocabulary(source, "udacity", unk=None, unknown=0, length={"to": length, "pad": 0}),
            labels=("negative", "positive"),
        )
