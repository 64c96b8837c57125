"""Training of text classifiers, for the sentiment recipes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from app.models.networks import Classifier
from app.store.classifier import Classifier as Architecture
from app.store.decoding import TokenLimits
from app.store.encoder_part import Pooling
from app.store.encoders import TextEncoder
from app.store.listing import newest_version
from app.store.manifest import Manifest
from app.store.model_store import WEIGHTS
from app.store.recurrence import CellKind, Recurrence
from app.store.text_input import TokenizerUse
from app.store.training_facts import Training
from app.text.tokenizer import TextTokenizer
from training.calibration import calibrate
from training.data import Rated
from training.loop import (
    UNK,
    Pool,
    Schedule,
    batches_by_length,
    best_device,
    device_of,
    drawn,
    fit,
    pad_rows,
    random_windows,
    sorted_batches,
)
from training.recipe import STORE

Row = tuple[list[int], float]  # token ids and the target, a probability of label 1


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of a sentiment recipe. It starts from `start`, a model of the store: the tokenizer and the weights
    of the same shape. `start` is a language model, or an earlier version of the classifier."""

    start: str
    cell: CellKind = "lstm"
    embedding: int = 192
    hidden: int = 384
    directions: Literal[1, 2] = 1
    vocabulary: int = 12000
    pooling: tuple[Pooling, ...] = ("max", "mean")
    dropout: float = 0.4
    token_dropout: float = 0.1  # share of tokens replaced by unk in training
    crop: int  # longest training window in subwords; a longer text gives a random window per epoch
    tokens_per_batch: int = 5600
    slow_encoder: float = 1.0  # factor on the learning rate of the language model's weights
    kept: float = 0.0  # share of the weights of `start` in the published ones, which are a mean then
    seed: int = 1
    schedule: Schedule

    def architecture(self) -> Architecture:
        recurrence = Recurrence(
            cell=self.cell, input_size=self.embedding, hidden_size=self.hidden, directions=self.directions
        )
        encoder = TextEncoder(vocabulary_size=self.vocabulary, recurrence=recurrence)
        return Architecture(encoder=encoder, pooling=self.pooling, labels=2)


def draft_manifest(
    config: Config,
    *,
    name: str,
    language: Literal["en", "ko"],
    description: str,
    licence: str,
    minutes: int,
    default: bool = True,
    precision: Literal["auto", "int8"] = "auto",
) -> Manifest:
    """The manifest of a sentiment model before training."""
    return Manifest(
        name=name,
        version=1,
        task="sentiment",
        description=description,
        default=default,
        precision=precision,
        source_language=language,
        architecture=config.architecture(),
        tokenizer=TokenizerUse(white_space="plain"),
        labels=("negative", "positive"),
        limits=TokenLimits(source_tokens=8192),
        parameters=1,
        files={},
        licence=licence,
        training=Training(recipe=f"python -m training.{name.replace('-', '_')}", minutes=minutes),
    )


def target_of(rated: Rated) -> float:
    """The target probability of `positive`: between 0.02 and 0.98, nearer to these for more extreme ratings."""
    return 0.5 + 0.48 * float(torch.tanh(torch.tensor(3 * rated.degree)))


def encode(tokenizer: Tokenizer, rated: Sequence[Rated]) -> list[Row]:
    """Token ids and target of each text that has tokens."""
    encodings = tokenizer.encode_batch([row.text for row in rated])
    return [(encoding.ids, target_of(row)) for encoding, row in zip(encodings, rated, strict=True) if encoding.ids]


def polarities(network: Classifier, tokenizer: TextTokenizer, rated: Sequence[Rated]) -> Tensor:
    """Polarity from -1 to 1 of each text, with the tokenizer of the service."""
    return 2 * positive_logit(network, [tokenizer.encode(row.text) or [UNK] for row in rated]).sigmoid() - 1


def polarity_accuracy(polarity: Tensor, rated: Sequence[Rated]) -> float:
    """Share of texts on the right side of 0."""
    labels = torch.tensor([row.label for row in rated])
    return float(((polarity > 0) == (labels == 1)).float().mean())


def positive_logit(network: Classifier, rows: Sequence[list[int]], *, tokens_per_batch: int = 16000) -> Tensor:
    """The log-odds of label 1 for each row of token ids."""
    found = torch.empty(len(rows))
    for part in sorted_batches(rows, budget=tokens_per_batch):
        tokens, lengths = pad_rows([rows[index] for index in part], device_of(network))
        logits = network(tokens, lengths).float()
        found[part] = (logits[:, 1] - logits[:, 0]).cpu()
    return found


def start_from(network: Classifier, folder: Path) -> list[str]:
    """Copy the embedding of a version in the store, its recurrence if the shapes are equal, and a classifier's head.
    Returns the copied names."""
    stored = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    own = network.state_dict()
    taken = {name: stored[name] for name in own if name in stored and stored[name].shape == own[name].shape}
    is_same = all(name in taken for name in own if name.startswith("encoder.recurrence.") and "reverse" not in name)
    if not is_same:
        taken = {name: tensor for name, tensor in taken.items() if ".recurrence." not in name}
    network.load_state_dict(own | taken)
    return sorted(taken)


def mean_with(network: Classifier, folder: Path, share: float) -> None:
    """Make the weights of a network a mean, with a share of those of a version in the store, from which its training
    started: such a mean is often better than both (Wortsman et al. 2022, "Model soups")."""
    stored = load_file(folder / WEIGHTS)
    mean = {name: (1 - share) * own + share * stored[name].to(own) for name, own in network.state_dict().items()}
    network.load_state_dict(mean)


def train_classifier(
    config: Config, folder: Path, *, train: Sequence[Pool[Rated]], dev: Sequence[Rated], epochs: int | None = None
) -> None:
    """Write a tokenizer and averaged, calibrated weights into `folder`."""
    torch.manual_seed(config.seed)
    start = STORE / config.start / str(newest_version(STORE, config.start))
    folder.mkdir(parents=True, exist_ok=True)
    subwords = folder / "tokenizer.json"
    subwords.write_bytes(start.joinpath("tokenizer.json").read_bytes())
    tokenizer = Tokenizer.from_file(str(subwords))
    pools = [(share, encode(tokenizer, texts)) for share, texts in train]
    dev_rows = encode(tokenizer, dev)
    device = best_device()
    network = Classifier(config.architecture(), dropout=config.dropout)
    taken = start_from(network, start)
    network.to(device)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    click.echo(f"{sum(len(rows) for _, rows in pools)} texts, {parameters} parameters")
    click.echo(f"from {start}: {', '.join(taken)}")

    def batches(epoch: int) -> list[list[Row]]:
        generator = torch.Generator().manual_seed(config.seed + epoch)
        rows = drawn(pools, generator)
        windows = random_windows([tokens for tokens, _ in rows], config.crop, generator)
        cropped = list(zip(windows, (target for _, target in rows), strict=True))
        return batches_by_length(cropped, lambda row: len(row[0]), budget=config.tokens_per_batch, generator=generator)

    def loss(batch: list[Row]) -> Tensor:
        tokens, lengths = pad_rows([tokens for tokens, _ in batch], device)
        dropped = torch.rand(tokens.shape, device=device) < config.token_dropout
        logits = network(tokens.masked_fill(dropped, UNK), lengths).float()
        targets = torch.tensor([target for _, target in batch], device=device)
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], targets)

    labels = torch.tensor([target > 0.5 for _, target in dev_rows])

    def score(averaged: nn.Module) -> float:
        assert isinstance(averaged, Classifier)
        logits = positive_logit(averaged, [tokens for tokens, _ in dev_rows])
        return float(((logits > 0) == labels).float().mean())

    best = fit(
        network,
        config.schedule.for_trial(epochs),
        batches=batches,
        loss=loss,
        score=score,
        folder=folder,
        rate_of=lambda name: config.slow_encoder if name in taken else 1.0,
    )
    assert isinstance(best, Classifier)
    if config.kept:
        mean_with(best, start, config.kept)
    with torch.no_grad():
        logits = positive_logit(best, [tokens for tokens, _ in dev_rows])
    temperature = calibrate(logits, labels)
    click.echo(f"temperature {temperature:.3f}")
    with torch.no_grad():
        best.output.weight.div_(temperature)
        best.output.bias.div_(temperature)
    torch.save(best.state_dict(), folder / "best.pt")
