"""Answers over numbers, frames and tags, one request at a time, by plain PyTorch: what the engine is compared with."""

import torch
from torch import Tensor

from app.engine.protocol import Embed, Frames, Series, Source, Table, Tokens
from app.models.encoders import ImageEncoder
from app.models.forecaster import Forecaster
from app.models.networks import Classifier, Tagger
from app.models.pieces import at_once
from app.models.pooling import pooled
from training.recipe import Shipped


def series(rows: Tensor) -> Series:
    """rows (steps, features) as a source."""
    return Series(Table(rows.shape[1], rows.contiguous().numpy().tobytes()))


def frames(images: Tensor) -> Frames:
    """images (frames, side, side, 3) of uint8 as a source."""
    return Frames(images.shape[1], len(images), images.contiguous().numpy().tobytes())


def rows_of(table: Table) -> Tensor:
    """The numbers of a message (rows, columns)."""
    return torch.frombuffer(bytearray(table.numbers), dtype=torch.float32).view(-1, table.columns)


def batch_of_one(source: Source) -> tuple[Tensor, Tensor]:
    """A source as a network reads it, and its length."""
    match source:
        case Tokens():
            values = torch.tensor(source.ids)
        case Series():
            values = rows_of(source.rows)
        case Frames():
            values = torch.frombuffer(bytearray(source.data), dtype=torch.uint8)
            values = values.view(source.count, source.size, source.size, 3)
        case _:
            raise NotImplementedError
    return values.unsqueeze(0), torch.tensor([len(values)])


@torch.inference_mode()
def scores_alone(shipped: Shipped, source: Source) -> Tensor:
    """The probability of each label."""
    assert isinstance(shipped.network, Classifier)
    scores: Tensor = shipped.network(*batch_of_one(source)).softmax(1)[0]
    return scores


@torch.inference_mode()
def forecast_alone(shipped: Shipped, source: Series, horizon: int) -> Tensor:
    """The rows of a forecast (horizon, targets)."""
    network, described = shipped.network, shipped.manifest.series
    assert isinstance(network, Forecaster)
    assert described is not None
    rows, lengths = batch_of_one(source)
    names = [feature.name for feature in described.features]
    places = [names.index(target.name) for target in described.targets if target.name in names]
    forecast: Tensor = network(rows, lengths, rows[:, -1, places], horizon)
    return forecast[0, :horizon]


@torch.inference_mode()
def outputs_alone(shipped: Shipped, source: Source) -> Tensor:
    """The outputs of the top layer (steps, memory)."""
    assert not isinstance(shipped.network.encoder, ImageEncoder)
    memory: Tensor = shipped.network.encoder(*batch_of_one(source)).memory[0]
    return memory


@torch.inference_mode()
def embedded_alone(shipped: Shipped, source: Source, how: Embed) -> Tensor:
    """The state of a layer (width,)."""
    encoder = shipped.network.encoder
    assert not isinstance(encoder, ImageEncoder)
    layers = None if how.layer is None else how.layer + 1
    encoded = encoder(*batch_of_one(source), layers=layers)._replace(branch=None)
    return pooled((how.pooling,), encoded)[0]


@torch.inference_mode()
def tags_alone(shipped: Shipped, source: Tokens) -> tuple[list[int], Tensor]:
    """The label of each token, and the probability of each label (tokens, labels)."""
    assert isinstance(shipped.network, Tagger)
    tokens, lengths = batch_of_one(source)
    logits = shipped.network(tokens, lengths).float()
    labels, scores = shipped.network.labels(logits, lengths), shipped.network.probabilities(logits, lengths)
    return at_once(labels)[0].tolist(), at_once(scores)[0]
