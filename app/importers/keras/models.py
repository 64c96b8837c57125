"""The base of the layouts of Keras: which model of the files answers, and what it is."""

from collections.abc import Sequence
from dataclasses import replace

from app.importers.checkpoint import Checkpoint
from app.importers.keras.textgenrnn import is_textgenrnn, textgenrnn_settings
from app.importers.keras.two_models import understand_pair
from app.importers.keras.understood import Kind, Understood, understand
from app.importers.keras.values import Vector
from app.importers.keras.weights_alone import OTHER_READING, assumed, with_usual_settings
from app.importers.keras.words import described
from app.importers.keras_model import KerasModel
from app.importers.layout import Layout, Understanding


class KerasLayout(Layout):
    """A layout for the kinds of networks in `kinds`, over texts or over series."""

    kinds: Sequence[Kind]
    reads_text: bool

    def understood(self, checkpoint: Checkpoint) -> Understood:
        """Raises ImportFailed with what is not supported."""
        return checkpoint.once(understood_in)

    def matches(self, checkpoint: Checkpoint) -> bool:
        if not checkpoint.keras:
            return False
        if any(is_textgenrnn(model) for model in checkpoint.keras):
            return False  # a layout of its own
        understood = self.understood(checkpoint)
        reads_text = understood.reads_text or understood.kind in ("language_model", "window_language_model")
        return understood.kind in self.kinds and reads_text == self.reads_text

    def fits(self, checkpoint: Checkpoint) -> bool:
        if self.matches(checkpoint):
            return True
        if self.reads_text or not checkpoint.keras or any(model.config for model in checkpoint.keras):
            return False
        understood = self.understood(checkpoint)  # weights alone do not tell numbers from labels
        both = {*self.kinds, understood.kind} == {"classifier", "forecaster"}
        return both and not understood.reads_text and isinstance(understood.output, Vector)

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        understood = self.understood(checkpoint)
        understanding = described(understood)
        doubts = []
        if not all(model.config for model in checkpoint.keras):
            doubts = [assumed(reads_text=understood.reads_text)]
            if not understood.reads_text and understood.kind in OTHER_READING:
                doubts.insert(0, OTHER_READING[understood.kind])
        return Understanding(understanding.facts, [*understanding.unsure, *doubts])


def understood_in(checkpoint: Checkpoint) -> Understood:
    """The model of the files, or the encoder and the decoder that were saved apart. Raises ImportFailed."""
    models = [model if model.config is not None else _with_settings(model) for model in checkpoint.keras]
    return understand_pair(*models) if len(models) == 2 else understand(models[0])


def _with_settings(model: KerasModel) -> KerasModel:
    if is_textgenrnn(model):
        return replace(model, config=textgenrnn_settings(model))
    return with_usual_settings(model)
