"""Language models: the recipe that `lm_en` and `lm_ko` share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from app.models.networks import EncoderDecoder
from app.store.decoding import Decoding, TokenLimits
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.text_input import TokenizerUse
from app.store.training_facts import Training
from training.cards import CardText
from training.loop import (
    BOS,
    EOS,
    PAD,
    UNK,
    Schedule,
    batches_by_length,
    best_device,
    device_of,
    fit,
    pad_rows,
    random_windows,
    sorted_batches,
)
from training.recipe import Figure, Recipe, Shipped
from training.subwords import train_subwords

Row = list[int]
BEFORE = (EOS, BOS)  # before every text, in training and in service


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of the recipe."""

    vocabulary: int = 12000
    lowercase: bool
    embedding: int = 192
    hidden: int = 384
    dropout: float = 0.15
    crop: int = 128  # longest training window in subwords; a longer text gives a random window per epoch
    tokens_per_batch: int = 8192
    negatives: int = 1024  # wrong tokens in the sampled softmax
    seed: int = 1
    schedule: Schedule

    def architecture(self) -> LanguageModel:
        recurrence = Recurrence(cell="lstm", input_size=self.embedding, hidden_size=self.hidden)
        return LanguageModel(
            vocabulary_size=self.vocabulary, recurrence=recurrence, readout_size=self.embedding, tied_output=True
        )


def language_model_recipe(
    config: Config,
    *,
    name: str,
    language: Literal["en", "ko"],
    description: str,
    licence: str,
    minutes: int,
    card: CardText,
    train_texts: Callable[[Path], list[str]],
    dev_texts: Callable[[Path], list[str]],
    test_texts: Callable[[Path], list[str]],
    test_name: str,
) -> Recipe:
    """The functions read texts from the folder of raw data. `test_name` names the test texts; {} is their number."""

    def train(data: Path, folder: Path, epochs: int | None) -> None:
        train_language_model(config, folder, train=train_texts(data), dev=dev_texts(data), epochs=epochs)

    def measure(shipped: Shipped, data: Path) -> list[Figure]:
        assert isinstance(shipped.network, EncoderDecoder)
        texts = test_texts(data)
        rows = [[*shipped.tokenizer.encode(text), EOS] for text in texts]
        where = f"{test_name.format(len(texts))}, {sum(map(len, rows))} subwords"
        return [Figure("perplexity per subword", perplexity(shipped.network, rows), where)]

    draft = Manifest(
        name=name,
        version=1,
        task="completion",
        description=description,
        default=True,
        source_language=language,
        architecture=config.architecture(),
        tokenizer=TokenizerUse(prepend=BEFORE, white_space="plain"),
        decoding=Decoding(bos=BOS, eos=EOS, suppress=(PAD, BOS, UNK), max_tokens=48),
        limits=TokenLimits(source_tokens=8192, max_tokens=1024),
        parameters=1,
        files={},
        licence=licence,
        training=Training(recipe=f"python -m training.{name.replace('-', '_')}", minutes=minutes),
    )
    return Recipe(draft=draft, card=card, train=train, measure=measure)


def train_language_model(
    config: Config, folder: Path, *, train: Sequence[str], dev: Sequence[str], epochs: int | None = None
) -> None:
    """Write a tokenizer and averaged weights into `folder`."""
    torch.manual_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    subwords = folder / "tokenizer.json"
    if not subwords.exists():
        train_subwords(iter(train), size=config.vocabulary, lowercase=config.lowercase).save(str(subwords))
    tokenizer = Tokenizer.from_file(str(subwords))
    rows, dev_rows = ([[*BEFORE, *e.ids, EOS] for e in tokenizer.encode_batch(list(part))] for part in (train, dev))
    device = best_device()
    network = EncoderDecoder(config.architecture(), dropout=config.dropout).to(device)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    click.echo(f"{len(rows)} texts, {sum(map(len, rows))} subwords, {parameters} parameters")
    noise = noise_of(rows, config.vocabulary).to(device)

    def batches(epoch: int) -> list[list[Row]]:
        generator = torch.Generator().manual_seed(config.seed + epoch)
        windows = random_windows(rows, config.crop, generator)
        return batches_by_length(windows, len, budget=config.tokens_per_batch, generator=generator)

    def loss(batch: list[Row]) -> Tensor:
        tokens, _ = pad_rows(batch, device)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        state = network.decoder.start_at_zero(inputs)
        counted = (targets != PAD) & (targets != BOS)
        features = network.decoder.features(inputs, state)[counted]
        return sampled_loss(network.decoder.output, features, targets[counted], noise, config.negatives)

    def score(averaged: nn.Module) -> float:
        assert isinstance(averaged, EncoderDecoder)
        return -perplexity(averaged, dev_rows)

    fit(network, config.schedule.for_trial(epochs), batches=batches, loss=loss, score=score, folder=folder)


def noise_of(rows: Sequence[Row], vocabulary: int) -> Tensor:
    """The distribution of wrong tokens (vocabulary,): the frequency to the power of 3/4 (Mikolov et al. 2013)."""
    counts = torch.zeros(vocabulary)
    for row in rows:
        counts += torch.bincount(torch.tensor(row), minlength=vocabulary)
    noise = counts.pow(0.75)
    return noise / noise.sum()


def sampled_loss(output: nn.Linear, features: Tensor, targets: Tensor, noise: Tensor, negatives: int) -> Tensor:
    """Cross entropy over the target and `negatives` drawn tokens, the same for all rows (Jean et al. 2015, 3.1).

    features (rows, size), targets (rows,), noise (vocabulary,). The logit of a drawn token is reduced by the logarithm
    of its expected count in the draw. So the expected sum of the exponentials is that over the whole vocabulary.
    """
    drawn = torch.multinomial(noise, negatives, replacement=True)
    expected = (noise * negatives).clamp(min=1e-9).log()
    wrong = features @ output.weight[drawn].T + output.bias[drawn] - expected[drawn]
    wrong = wrong.masked_fill(drawn.unsqueeze(0) == targets.unsqueeze(1), float("-inf"))
    right = (features * output.weight[targets]).sum(1) + output.bias[targets]
    logits = torch.cat((right.unsqueeze(1), wrong), 1).float()
    return nn.functional.cross_entropy(logits, logits.new_zeros(len(targets), dtype=torch.long))


def perplexity(network: EncoderDecoder, rows: Sequence[Row], *, tokens_per_batch: int = 4096) -> float:
    """Perplexity per subword, eos included, of whole texts that begin with `BEFORE` and end with eos."""
    total, count = 0.0, 0
    for batch in sorted_batches(rows, budget=tokens_per_batch):
        tokens, _ = pad_rows([rows[index] for index in batch], device_of(network))
        targets = tokens[:, 1:].clone()
        targets[targets == BOS] = PAD
        logits = network.decoder.unroll(tokens[:, :-1], network.decoder.start_at_zero(tokens))
        logits[..., [PAD, BOS, UNK]] = float("-inf")  # as in service
        known = targets.masked_fill(targets == UNK, PAD)
        total += float(
            nn.functional.cross_entropy(logits.flatten(0, 1), known.flatten(), ignore_index=PAD, reduction="sum")
        )
        count += int((known != PAD).sum())
    return math.exp(total / count)
