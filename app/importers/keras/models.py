"""The base of the layouts of Keras: which model of the files answers, and what it is."""

from collections.abc import Sequence

from app.importers.checkpoint import Checkpoint
from app.importers.keras.pairs import understand_pair
from app.importers.keras.understood import Kind, Understood, understand
from app.importers.keras.words import described
from app.importers.layout import Layout, Understanding


class KerasLayout(Layout):
    """A layout for the kinds of networks in `kinds`, over texts or over series."""

    kinds: Sequence[Kind]
    reads_text: bool

    def understood(self, checkpoint: Checkpoint) -> Understood:
        """Raises ImportFailed with what is not supported."""
        return understood_in(checkpoint)

    def matches(self, checkpoint: Checkpoint) -> bool:
        if not checkpoint.keras:
            return False
        understood = self.understood(checkpoint)
        reads_text = understood.reads_text or understood.kind in ("language_model", "window_language_model")
        return understood.kind in self.kinds and reads_text == self.reads_text

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        return described(self.understood(checkpoint))


def understood_in(checkpoint: Checkpoint) -> Understood:
    """The model of the files, or the encoder and the decoder that were saved apart. Raises ImportFailed."""
    if len(checkpoint.keras) == 2:
        return understand_pair(*checkpoint.keras)
    return understand(checkpoint.keras[0])
