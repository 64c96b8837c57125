"""Encoders of our networks from what the walk found, alone or with what pools their outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from app.errors import ImportFailed
from app.importers.keras.stacking import stacked
from app.importers.keras.values import Piece, Pooled, Source, Steps, Vector
from app.importers.parts import prefixed
from app.store.encoder_part import Pooling
from app.store.encoders import SeriesEncoder, TextEncoder
from app.store.pooled import AttentionPooling
from app.store.stages import LayerNorm, RecurrenceStage


@dataclass(frozen=True)
class Encoder:
    """An encoder and its tensors by our names, without `encoder.` before them."""

    config: TextEncoder | SeriesEncoder
    tensors: Mapping[str, Tensor]


def source_of(steps: Steps) -> Source:
    """The input that steps are made of. Raises ImportFailed."""
    if not isinstance(steps.origin, Source):
        raise ImportFailed("the Keras model joins several sequences before its last recurrence, which is not supported")
    return steps.origin


def encoder_of(steps: Steps, *, embedding: Tensor | None = None, layers: Sequence[Piece] | None = None) -> Encoder:
    """The encoder of steps. `embedding` takes the place of their own, for one-hot rows; `layers` that of their stages.

    Raises ImportFailed if there is no recurrence."""
    source_of(steps)
    pieces = stacked(steps.pieces) if layers is None else list(layers)
    places = [number for number, piece in enumerate(pieces) if isinstance(piece.stage, RecurrenceStage)]
    if not places:
        raise ImportFailed(
            "the Keras model has no recurrent layer over its input (LSTM, GRU, SimpleRNN): Unroll serves recurrent "
            "networks"
        )
    place = places[-1]
    stage = pieces[place].stage
    assert isinstance(stage, RecurrenceStage)
    front, back = pieces[:place], pieces[place + 1 :]
    parts = {
        "front": tuple(piece.stage for piece in front),
        "recurrence": stage.recurrence,
        "join": stage.join,
        "masked_outputs": stage.masked_outputs,
        "keeps_input": stage.keeps_input,
        "back": tuple(piece.stage for piece in back),
    }
    tensors = {
        **pieces[place].tensors,
        **_numbered("front", front),
        **_numbered("back", back),
    }
    mask = steps.mask if steps.read else None
    embedding = steps.embedding if embedding is None else embedding
    config: TextEncoder | SeriesEncoder
    if embedding is None:
        features, transposed = _columns(steps)
        config = SeriesEncoder(features=features, transposed=transposed, mask_value=mask, **parts)
    else:
        config = TextEncoder(
            vocabulary_size=len(embedding),
            embedding_size=embedding.shape[1] if front else None,
            mask_id=None if mask is None else int(mask),
            **parts,
        )
        tensors["embedding.weight"] = embedding
    return Encoder(config, tensors)


def _columns(steps: Steps) -> tuple[int, int | None]:
    """Features of a series and, if they are the steps, its window."""
    shape = source_of(steps).shape
    features = int(shape[1] or 1)
    return features, int(shape[0] or 1) if steps.is_transposed else None


def _numbered(where: str, pieces: Sequence[Piece]) -> dict[str, Tensor]:
    return {
        f"{where}.{number}.{name}": tensor
        for number, piece in enumerate(pieces)
        for name, tensor in piece.tensors.items()
    }


@dataclass(frozen=True)
class PooledNetwork:
    """The encoder of a vector, how its outputs are pooled, and the tensors of both by our names."""

    steps: Steps
    pooling: tuple[Pooling, ...]
    attention: AttentionPooling | None
    tensors: Mapping[str, Tensor]
    encoder: TextEncoder | SeriesEncoder
    norm: LayerNorm | None = None

    @property
    def members(self) -> dict[str, Any]:
        """What an architecture has of it."""
        return {
            "encoder": self.encoder,
            "pooling": self.pooling,
            "attention": self.attention,
            "window": self.window,
            "norm": self.norm,
        }

    @property
    def window(self) -> int | None:
        """The length of each source, where pooling needs it."""
        return source_length(self.steps) if "flatten" in self.pooling else None


def source_length(steps: Steps) -> int | None:
    """The number of steps of the source; None if it may have any."""
    source = source_of(steps)
    if source.vectorization is not None:
        found = source.vectorization.config.get("output_sequence_length")
        return int(found) if found else None
    return source.shape[0] if source.shape else None


def pooled_network(vector: Vector, *, embedding: Tensor | None = None) -> PooledNetwork:
    """Raises ImportFailed if its parts are not made of the same outputs."""
    steps = max((part.steps for part in vector.parts), key=lambda steps: len(steps.pieces))
    for part in vector.parts:
        _check_same(part, steps)
    steps = replace(steps, read=any(part.steps.read for part in vector.parts))
    encoder = encoder_of(steps, embedding=embedding)
    attention = next((part.attention for part in vector.parts if part.attention), None)
    tensors = prefixed(encoder.tensors, "encoder.")
    if attention is not None:
        tensors |= prefixed(attention[1], "attention.")
    pooling = tuple(part.pooling for part in vector.parts)
    norm = None
    if vector.norm is not None:
        tensors |= prefixed(vector.norm.tensors, "head.norm.")
        assert isinstance(vector.norm.stage, LayerNorm)
        norm = vector.norm.stage
    return PooledNetwork(steps, pooling, attention[0] if attention else None, tensors, encoder.config, norm)


def _check_same(part: Pooled, steps: Steps) -> None:
    mine, all_ = part.steps.pieces, steps.pieces
    same = part.steps.origin == steps.origin and all(a is b for a, b in zip(mine, all_, strict=False))
    if part.pooling in ("last", "last_cell"):
        same = same and part.steps.recurrences == steps.recurrences
    else:
        same = same and len(mine) == len(all_)
    if not same:
        raise ImportFailed(
            "the Keras model joins branches that read its input in different ways, which is not supported"
        )
