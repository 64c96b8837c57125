"""Encoder-decoders, from the training models that are saved: an encoder whose last states start a decoder, perhaps with
attention between their outputs; or a decoder that reads the encoder's summary in each step (RepeatVector)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.heads import over_steps
from app.importers.keras.understood import Understood
from app.importers.keras.values import Attended, Beside, Linear, Repeat, Steps
from app.importers.layout import require


@dataclass(frozen=True)
class Pair:
    """Encoder and decoder of a model, before their conversion. `parts` are what the layers of `linear` read; the steps
    of `decoder` are the recurrence alone. `source` takes the place of the encoder's embedding."""

    encoder: Steps
    decoder: Steps
    parts: Sequence[Steps | Attended]
    linear: Sequence[Linear]
    repeats: int | None = None
    source: Tensor | None = None

    @property
    def embedding(self) -> Tensor:
        """The embedding of the source."""
        return self.encoder.table if self.source is None else self.source

    @property
    def attended(self) -> Attended | None:
        return next((part for part in self.parts if isinstance(part, Attended)), None)

    @property
    def rows(self) -> tuple[int, int]:
        """Ids that the encoder and the decoder read."""
        return len(self.encoder.table), len(self.linear[-1].bias)


def pair_of(understood: Understood) -> Pair:
    """Raises ImportFailed if the parts are not those of an encoder-decoder."""
    output = understood.steps
    before, linear = over_steps(output)
    if isinstance(output.origin, Repeat):
        vector = output.origin.vector
        if not vector.is_plain or [part.pooling for part in vector.parts] != ["last"]:
            raise ImportFailed("RepeatVector must repeat the last output of an encoder")
        return Pair(vector.parts[0].steps, before, (before,), linear, output.origin.count)
    parts: Sequence[Steps | Attended] = (before,)
    decoder = before
    if isinstance(before.origin, Beside):
        require(not before.pieces, "only Dense layers may follow the attention of a decoder")
        parts = before.origin.parts
        decoder = next(part if isinstance(part, Steps) else part.query for part in parts)
    if not decoder.started_by:
        raise ImportFailed("the decoder of the Keras model does not start from the last states of an encoder")
    encoder = max((state.steps for state in decoder.started_by), key=lambda steps: len(steps.pieces))
    return Pair(encoder, decoder, parts, linear)
