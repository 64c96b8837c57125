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
from app.store.listing import newest_version
from app.store.manifest import Manifest
from app.store.model_store import open_version
from app.store.recurrence import Recurrence
from app.store.text_input import TokenizerUse
from app.store.training_facts import Training
from training.cards import CardText
from training.loop import (
    BOS,
    EOS,
    PAD,
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
from training.recipe import STORE, Figure, Recipe, Shipped
from training.subwords import train_subwords
from training.warm_start import start_from

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
    train_texts: Callable[[Path], list[Pool[str]]],
    dev_texts: Callable[[Path], list[str]],
    test_texts: Callable[[Path], dict[str, list[str]]],
    endings: Sequence[tuple[str, str]] = (),
    start: str | None = None,
    default: bool = True,
) -> Recipe:
    """The functions read texts from the folder of raw data. `test_texts` names those of each source; {} in a name is
    their number. `endings` are beginnings with the next word that a reader expects: its rank is measured. The training
    starts from the newest version of `start`."""

    def train(data: Path, folder: Path, epochs: int | None) -> None:
        train_language_model(config, folder, train=train_texts(data), dev=dev_texts(data), start=start, epochs=epochs)

    def measure(shipped: Shipped, data: Path) -> list[Figure]:
        assert isinstance(shipped.network, EncoderDecoder)
        figures = []
        for source, texts in test_texts(data).items():
            rows = [[*shipped.tokenizer.encode(text), EOS] for text in texts]
            where = f"{source.format(len(texts))}, {sum(map(len, rows))} subwords"
            if rows:
                figures.append(Figure("perplexity per subword", perplexity(shipped.network, rows), where))
        for beginning, word in endings:
            rank = rank_of(word, after=beginning, shipped=shipped)
            figures.append(Figure(f"rank of `{word}`", rank, f"next subwords after `{beginning}`"))
        return figures

    draft = Manifest(
        name=name,
        version=1,
        task="completion",
        description=description,
        default=default,
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
    config: Config,
    folder: Path,
    *,
    train: Sequence[Pool[str]],
    dev: Sequence[str],
    start: str | None = None,
    epochs: int | None = None,
) -> None:
    """Write a tokenizer and averaged weights into `folder`. The training starts from the newest version of `start`, if
    its network has the same shape."""
    torch.manual_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    subwords = folder / "tokenizer.json"
    if not subwords.exists():
        read = drawn(train, torch.Generator().manual_seed(config.seed))
        train_subwords(iter(read), size=config.vocabulary, lowercase=config.lowercase).save(str(subwords))
    tokenizer = Tokenizer.from_file(str(subwords))
    pools = [(share, encode(tokenizer, texts)) for share, texts in train]
    dev_rows = encode(tokenizer, dev)
    device = best_device()
    network = EncoderDecoder(config.architecture(), dropout=config.dropout).to(device)
    if start is not None and not (folder / "last.pt").exists():
        earlier = open_version(STORE / start / str(newest_version(STORE, start)))
        click.echo(f"from {start}: {start_from(network, tokenizer, earlier)}")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    texts = sum(len(rows) for _, rows in pools)
    subword_count = sum(len(row) for _, rows in pools for row in rows)
    click.echo(f"{texts} texts, {subword_count} subwords, {parameters} parameters")
    noise = noise_of(drawn(pools, torch.Generator().manual_seed(config.seed)), config.vocabulary).to(device)

    def batches(epoch: int) -> list[list[Row]]:
        generator = torch.Generator().manual_seed(config.seed + epoch)
        windows = random_windows(drawn(pools, generator), config.crop, generator)
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


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Row]:
    """Token ids of texts between `BEFORE` and eos."""
    return [[*BEFORE, *encoding.ids, EOS] for encoding in tokenizer.encode_batch(list(texts))]


def rank_of(word: str, *, after: str, shipped: Shipped) -> int:
    """The place of the first subword of `word` among the next subwords by probability; 1 is the most probable."""
    assert isinstance(shipped.network, EncoderDecoder)
    beginning = shipped.tokenizer.encode(after)
    wanted = shipped.tokenizer.encode(f"{after} {word}")[len(beginning)]
    tokens = torch.tensor([beginning])
    decoder = shipped.network.decoder
    logits = decoder.unroll(tokens, decoder.start_at_zero(tokens))[0, -1]
    logits[[PAD, BOS, UNK]] = float("-inf")  # as in service
    return int((logits > logits[wanted]).sum()) + 1


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
