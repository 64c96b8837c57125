"""Recipe of `translate-en-ko`: English to Korean, LSTM encoder-decoder with attention over joint subwords.

python -m training.translate_en_ko --data data
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch
from sacrebleu.metrics import CHRF  # type: ignore[attr-defined]
from tokenizers import Tokenizer
from torch import Tensor, nn

from app.models.networks import EncoderDecoder
from app.store.attention import Attention
from app.store.decoder import Decoder
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder as Architecture
from app.store.encoders import TextEncoder
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.text_input import TokenizerUse
from app.store.training_facts import Training
from training.cards import CardText
from training.data import Pair, read_enko
from training.loop import (
    BOS,
    EOS,
    PAD,
    UNK,
    Schedule,
    batches_by_length,
    best_device,
    chunks,
    device_of,
    fit,
    greedy,
    lines_of,
    next_token_loss,
    pad_rows,
)
from training.recipe import Figure, Recipe, Shipped
from training.subwords import train_subwords


@dataclass(frozen=True)
class Config:
    """The options of this recipe."""

    vocabulary: int = 8000
    longest: int = 90  # subwords; longer pairs are left out of training
    tokens_per_batch: int = 3600
    dropout: float = 0.2
    label_smoothing: float = 0.1
    seed: int = 1
    schedule: Schedule = field(default_factory=lambda: Schedule(epochs=6, learning_rate=2e-3))

    def architecture(self) -> Architecture:
        recurrence = Recurrence(cell="lstm", input_size=256, hidden_size=256, layers=2, directions=2)
        decoder = Decoder(
            vocabulary_size=self.vocabulary,
            embedding_size=256,
            cell="lstm",
            hidden_size=512,
            attention=Attention(kind="general"),
            context="output",
            readout=("hidden", "context"),
            readout_size=256,
            tied_output=True,
            bridge="tanh",
        )
        return Architecture(
            encoder=TextEncoder(vocabulary_size=self.vocabulary, recurrence=recurrence), decoder=decoder
        )


Row = tuple[list[int], list[int]]
MAX_TOKENS = 160  # of a translation while measuring
CONFIG = Config()
CARD = CardText(
    data="""116,897 sentence pairs: gettext catalogues of 17 Debian packages (GIMP, Inkscape, Evolution, VLC,
Krita, digiKam, Audacity, Git, GnuCash, GNOME, coreutils, LibreOffice and others), LibreOffice help,
the Korean translation of the Python documentation, and Tatoeba. Split by normalised source text
(lower case, letters only, digits alike), so that sources which differ only in punctuation or
numbers are in the same part: 3 % test, 1.5 % dev by SHA-256, see `training/data.py`. Pairs of more
than 90 subwords on a side are left out of training, not of the test. One subword tokenizer
(byte-pair encoding, 8,000 subwords, bytes for unseen characters) for both languages is trained on
the training part alone. The shipped weights ran their first three epochs under the learning rates of
a run of eight epochs; it was then shortened to the six of the recipe.""",
    limits="""The domain is software: user interfaces and manuals. Everyday sentences are a tiny part of the
training data and come out poorly; names and rare terms may be dropped or replaced. Long sentences
lose parts. Near-duplicates with other words (one menu entry beside another) do cross the split,
which flatters interface strings; see the numbers for each source.""",
    terms="""Catalogues: the licences of their packages (mostly GPL, LGPL and MPL); LibreOffice help: MPL-2.0;
Python documentation: PSF licence; Tatoeba: CC-BY 2.0 FR. Weights: Apache-2.0, as the rest of this
repository.""",
)


def encode(tokenizer: Tokenizer, pairs: list[Pair]) -> list[Row]:
    """Source ids with eos, target ids without bos and eos."""
    sources = tokenizer.encode_batch([pair.source for pair in pairs])
    targets = tokenizer.encode_batch([pair.target for pair in pairs])
    return [([*source.ids, EOS], target.ids) for source, target in zip(sources, targets, strict=True)]


def train(data: Path, folder: Path, epochs: int | None) -> None:
    config = CONFIG
    torch.manual_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    train_pairs, dev = read_enko(data, "train"), read_enko(data, "dev")[:600]
    subwords = folder / "tokenizer.json"
    if not subwords.exists():
        texts = lines_of((pair.source for pair in train_pairs), (pair.target for pair in train_pairs))
        train_subwords(texts, size=config.vocabulary).save(str(subwords))
    tokenizer = Tokenizer.from_file(str(subwords))
    rows = [row for row in encode(tokenizer, train_pairs) if max(map(len, row)) <= config.longest]
    dev_rows = encode(tokenizer, dev)
    device = best_device()
    network = EncoderDecoder(config.architecture(), dropout=config.dropout).to(device)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    subword_count = sum(len(target) for _, target in rows)
    click.echo(f"{len(rows)} of {len(train_pairs)} pairs, {subword_count} target subwords, {parameters} parameters")

    def batches(epoch: int) -> list[list[Row]]:
        generator = torch.Generator().manual_seed(config.seed + epoch)
        return batches_by_length(
            rows, lambda row: len(row[0]) + len(row[1]), budget=config.tokens_per_batch, generator=generator
        )

    def loss(batch: list[Row]) -> Tensor:
        sources, lengths = pad_rows([source for source, _ in batch], device)
        targets, _ = pad_rows([[BOS, *target, EOS] for _, target in batch], device)
        logits = network(sources, lengths, targets[:, :-1])
        return next_token_loss(logits, targets[:, 1:], label_smoothing=config.label_smoothing)

    def score(averaged: nn.Module) -> float:
        assert isinstance(averaged, EncoderDecoder)
        hypotheses = translations(averaged, [source for source, _ in dev_rows])
        texts = [tokenizer.decode(ids) for ids in hypotheses]
        return chrf(texts, [pair.target for pair in dev])

    fit(network, config.schedule.for_trial(epochs), batches=batches, loss=loss, score=score, folder=folder)


def translations(network: EncoderDecoder, sources: Sequence[list[int]]) -> list[list[int]]:
    """Greedy translations in the order of the sources. Batches have sources of similar length."""
    order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
    answers: dict[int, list[int]] = {}
    for part in chunks(order, 50):
        tokens, lengths = pad_rows([sources[index] for index in part], device_of(network))
        longest = min(MAX_TOKENS, 20 + 2 * int(lengths.max()))
        answers.update(zip(part, greedy(network, tokens, lengths, longest=longest), strict=True))
    return [answers[index] for index in range(len(sources))]


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF from 0 to 100 (Popović 2015), by sacrebleu."""
    return float(CHRF().corpus_score(hypotheses, [references]).score)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, EncoderDecoder)
    test = read_enko(data, "test")
    ids = translations(shipped.network, [shipped.tokenizer.encode(pair.source) for pair in test])
    texts = [shipped.tokenizer.decode(row) for row in ids]
    figures = [Figure("chrF", chrf(texts, [pair.target for pair in test]), f"test sources, all {len(test)}")]
    for origin in sorted({pair.origin for pair in test}):
        mine = [(text, pair.target) for text, pair in zip(texts, test, strict=True) if pair.origin == origin]
        hypotheses, references = zip(*mine, strict=True)
        figures.append(
            Figure(f"chrF, {origin}", chrf(hypotheses, references), f"test sources of {origin}, {len(mine)}")
        )
    return figures


RECIPE = Recipe(
    draft=Manifest(
        name="translate-en-ko",
        version=1,
        task="translation",
        description="English to Korean, for the language of software: menus, messages, manuals.",
        default=True,
        source_language="en",
        target_language="ko",
        architecture=CONFIG.architecture(),
        tokenizer=TokenizerUse(append=(EOS,), white_space="plain"),
        one_sentence=True,
        decoding=Decoding(bos=BOS, eos=EOS, suppress=(PAD, BOS, UNK), max_tokens=128),
        limits=TokenLimits(source_tokens=256, max_tokens=512),
        parameters=1,
        files={},
        licence="Apache-2.0; trained on texts of several licences, see MODEL_CARD.md",
        training=Training(recipe="python -m training.translate_en_ko", minutes=86),
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
