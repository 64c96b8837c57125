"""Keras models that label each word of a text."""

from collections.abc import Mapping, Sequence

from app.importers.checkpoint import Checkpoint
from app.importers.keras.classifiers import tagger
from app.importers.keras.models import KerasLayout
from app.importers.keras.text import source_vocabulary, text_needs
from app.importers.keras.text_options import text_options
from app.importers.keras.understood import Kind
from app.importers.layout import Converted, Given, Needs
from app.importers.options import Option
from app.importers.vocabularies import Role


class KerasTagger(KerasLayout):
    """Texts are usually padded at the end without a mask, so their length is part of the model."""

    name = "keras-tagger"
    source = "a Keras model from a text to a label for each word"
    vocabularies: Sequence[Role] = ("source",)
    kinds: Sequence[Kind] = ("tagger",)
    reads_text = True

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return text_options(self.understood(checkpoint), checkpoint, padding="post", rules="spaces")

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        understood = self.understood(checkpoint)
        return Needs(text_needs(understood), labels=understood.outputs)

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        understood = self.understood(checkpoint)
        architecture, tensors = tagger(understood)
        return Converted(architecture, tensors, source=source_vocabulary(understood, given))
