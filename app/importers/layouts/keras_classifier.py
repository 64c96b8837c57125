"""Keras models that label texts or series."""

from collections.abc import Mapping, Sequence

from app.importers.checkpoint import Checkpoint
from app.importers.keras.classifiers import classifier
from app.importers.keras.models import KerasLayout
from app.importers.keras.series import columns_of, read_as, series_input, series_options
from app.importers.keras.text import source_vocabulary, text_needs
from app.importers.keras.text_options import text_options
from app.importers.keras.understood import Kind
from app.importers.layout import Converted, Given, Needs
from app.importers.options import Option
from app.importers.vocabularies import Role

_TWO = ("negative", "positive")


class KerasTextClassifier(KerasLayout):
    """One output has a sigmoid, and is that of the second label."""

    name = "keras-text-classifier"
    source = "a Keras model from a text to a label"
    vocabularies: Sequence[Role] = ("source",)
    kinds: Sequence[Kind] = ("classifier",)
    reads_text = True

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return text_options(self.understood(checkpoint), checkpoint, imdb=True)

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        understood = self.understood(checkpoint)
        labels = max(2, understood.outputs)
        return Needs(text_needs(understood), labels=labels, usual_labels=_TWO if labels == 2 else ())

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        understood = self.understood(checkpoint)
        architecture, tensors = classifier(understood)
        return Converted(architecture, tensors, source=source_vocabulary(understood, given))


class KerasSeriesClassifier(KerasLayout):
    """One output has a sigmoid, and is that of the second label."""

    name = "keras-series-classifier"
    source = "a Keras model from a series to a label"
    kinds: Sequence[Kind] = ("classifier",)
    reads_text = False

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return series_options(self.understood(checkpoint))

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        understood = self.understood(checkpoint)
        return Needs(labels=max(2, understood.outputs), columns=columns_of(understood, chosen, forecasts=False))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        understood = self.understood(checkpoint)
        architecture, tensors = classifier(understood)
        architecture = read_as(architecture, understood, given)
        return Converted(architecture, tensors, series=series_input(understood, given))
