"""Training of sequence classifiers: what the sentiment recipes share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from app.models.networks import Classifier
from app.store.architecture import Classifier as Architecture
from app.store.architecture import Pooling, Recurrence, TextEncoder
from app.store.manifest import Limits, Manifest, TokenizerUse, Training
from app.text.tokenizer import SubwordTokenizer
from training.data import Rated
from training.loop import UNK, Schedule, batches_by_length, fit, pad_rows
from training.subwords import train_subwords

Row = tuple[list[int], int]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that can be turned in a sentiment recipe."""

    vocabulary: int
    lowercase: bool
    embedding: int
    hidden: int
    pooling: tuple[Pooling, ...] = ("max", "mean")
    dropout: float
    token_dropout: float  # share of tokens replaced by unk in training
    crop: int  # longest training window in subwords; longer texts give a random window per epoch
    tokens_per_batch: int
    label_smoothing: float = 0.05
    seed: int = 1
    schedule: Schedule

    def architecture(self) -> Architecture:
        recurrence = Recurrence(cell="lstm", input_size=self.embedding, hidden_size=self.hidden, directions=2)
        encoder = TextEncoder(vocabulary_size=self.vocabulary, recurrence=recurrence)
        return Architecture(encoder=encoder, pooling=self.pooling, labels=2)


def draft_manifest(
    config: Config, *, name: str, language: Literal["en", "ko"], description: str, licence: str, minutes: int
) -> Manifest:
    """The manifest of a sentiment model, before it is trained."""
    return Manifest(
        name=name,
        version=1,
        task="sentiment",
        description=description,
        default=True,
        source_language=language,
        architecture=config.architecture(),
        tokenizer=TokenizerUse(),
        labels=("negative", "positive"),
        limits=Limits(source_tokens=8192),
        parameters=1,
        files={},
        licence=licence,
        training=Training(recipe=f"python -m training.{name.replace('-', '_')}", minutes=minutes),
    )


def encode(tokenizer: Tokenizer, rated: Sequence[Rated]) -> list[Row]:
    """Token ids and label of each text that has any token."""
    encodings = tokenizer.encode_batch([row.text for row in rated])
    return [(encoding.ids, row.label) for encoding, row in zip(encodings, rated, strict=True) if encoding.ids]


def polarities(network: Classifier, tokenizer: SubwordTokenizer, rated: Sequence[Rated]) -> Tensor:
    """Polarity from -1 to 1 of each text, in the order given, with the tokenizer that serves."""
    return 2 * positive_probability(network, [tokenizer.encode(row.text) or [UNK] for row in rated]) - 1


def polarity_accuracy(polarity: Tensor, rated: Sequence[Rated]) -> float:
    """Share of texts on the right side of 0."""
    labels = torch.tensor([row.label for row in rated])
    return float(((polarity > 0) == (labels == 1)).float().mean())


def positive_probability(network: Classifier, rows: Sequence[list[int]], *, tokens_per_batch: int = 16000) -> Tensor:
    """The probability of label 1 for each row of token ids, in the order given."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    probabilities = torch.empty(len(rows))
    while order:
        size = max(1, tokens_per_batch // len(rows[order[0]]))
        while len(rows[order[:size][-1]]) * size > tokens_per_batch and size > 1:
            size -= max(1, size // 8)
        part, order = order[:size], order[size:]
        tokens, lengths = pad_rows([rows[index] for index in part])
        probabilities[part] = network(tokens, lengths).softmax(1)[:, 1]
    return probabilities


def accuracy(network: Classifier, rows: Sequence[Row]) -> float:
    """Share of rows whose more probable label is the given one."""
    probabilities = positive_probability(network, [tokens for tokens, _ in rows])
    labels = torch.tensor([label for _, label in rows])
    return float(((probabilities > 0.5) == (labels == 1)).float().mean())


def train_classifier(config: Config, folder: Path, *, train: Sequence[Rated], dev: Sequence[Rated]) -> None:
    """From texts to a tokenizer and averaged weights in `folder`."""
    torch.manual_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    subwords = folder / "tokenizer.json"
    if not subwords.exists():
        texts = (row.text for row in train)
        train_subwords(texts, size=config.vocabulary, lowercase=config.lowercase).save(str(subwords))
    tokenizer = Tokenizer.from_file(str(subwords))
    rows, dev_rows = encode(tokenizer, train), encode(tokenizer, dev)
    network = Classifier(config.architecture(), dropout=config.dropout)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    click.echo(f"{len(rows)} texts, {sum(len(tokens) for tokens, _ in rows)} subwords, {parameters} parameters")

    def batches(epoch: int) -> list[list[Row]]:
        generator = torch.Generator().manual_seed(config.seed + epoch)
        starts = torch.rand(len(rows), generator=generator).tolist()
        windows = []
        for (tokens, label), place in zip(rows, starts, strict=True):
            first = int(place * max(0, len(tokens) - config.crop + 1))
            windows.append((tokens[first : first + config.crop], label))
        return batches_by_length(windows, lambda row: len(row[0]), budget=config.tokens_per_batch, generator=generator)

    def loss(batch: list[Row]) -> Tensor:
        tokens, lengths = pad_rows([tokens for tokens, _ in batch])
        dropped = torch.rand(tokens.shape) < config.token_dropout
        logits = network(tokens.masked_fill(dropped, UNK), lengths)
        labels = torch.tensor([label for _, label in batch])
        return nn.functional.cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing)

    def score(averaged: nn.Module) -> float:
        assert isinstance(averaged, Classifier)
        return accuracy(averaged, dev_rows)

    fit(network, config.schedule, batches=batches, loss=loss, score=score, folder=folder)
