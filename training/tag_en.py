"""Recipe of `tag-en`: universal part-of-speech tags of English words, by a bidirectional LSTM over subwords.

python -m training.tag_en --data data
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from app.models.networks import Tagger
from app.store.decoding import TokenLimits
from app.store.encoders import TextEncoder
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.tagger import Tagger as Architecture
from app.store.text_input import TokenizerUse
from app.store.training_facts import Training
from training.cards import CardText
from training.loop import UNK, Schedule, batches_by_length, best_device, device_of, fit, pad_rows, sorted_batches
from training.recipe import Figure, Recipe, Shipped
from training.subwords import train_subwords_of_words
from training.tags import TAGS, WORDS, Placed, Tagged, as_written, read_tags, spaced

_NONE = -1  # the label of a token that no word ends with
Row = tuple[list[int], list[int]]  # token ids, and the label of each


class Word(NamedTuple):
    """A tagged word `text[start:end]`."""

    start: int
    end: int
    tag: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of the recipe."""

    vocabulary: int = 5000
    embedding: int = 96
    hidden: int = 128
    layers: int = 2
    dropout: float = 0.4
    subword_dropout: float = 0.1  # share of merges that are left out in training (Provilkov et al. 2020)
    token_dropout: float = 0.05  # share of tokens replaced by unk in training
    tokens_per_batch: int = 1200
    seed: int = 1
    schedule: Schedule

    def architecture(self) -> Architecture:
        recurrence = Recurrence(
            cell="lstm", input_size=self.embedding, hidden_size=self.hidden, layers=self.layers, directions=2
        )
        encoder = TextEncoder(vocabulary_size=self.vocabulary, recurrence=recurrence)
        return Architecture(encoder=encoder, labels=len(TAGS))


CONFIG = Config(schedule=Schedule(epochs=20, learning_rate=3e-3, patience=6))


def row_of(tokenizer: Tokenizer, placed: Placed, tags: Sequence[str]) -> Row:
    """The ids of a text, and the tag of each word at the last token of the word. A word that ends within a token has
    none."""
    encoding = tokenizer.encode(placed.text, add_special_tokens=False)
    last = {end: place for place, (start, end) in enumerate(encoding.offsets) if start < end}
    labels = [_NONE] * len(encoding.ids)
    for (_, end), tag in zip(placed.places, tags, strict=True):
        if end in last:
            labels[last[end]] = TAGS.index(tag)
    return encoding.ids, labels


def tokenizer_of(sentences: Sequence[Tagged], folder: Path, *, size: int) -> Path:
    """The file of the subwords of these sentences, in both ways of writing them."""
    path = folder / "tokenizer.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        texts = (written(sentence.words).text for sentence in sentences for written in (spaced, as_written))
        train_subwords_of_words(texts, size=size, pattern=WORDS).save(str(path))
    return path


def train(data: Path, folder: Path, epochs: int | None) -> None:
    config = CONFIG
    torch.manual_seed(config.seed)
    sentences, dev = read_tags(data, "train"), read_tags(data, "dev")
    path = tokenizer_of(sentences, folder, size=config.vocabulary)
    whole, broken = Tokenizer.from_file(str(path)), Tokenizer.from_file(str(path))
    broken.model.dropout = config.subword_dropout
    dev_rows = [row_of(whole, spaced(sentence.words), sentence.tags) for sentence in dev]
    device = best_device()
    network = Tagger(config.architecture(), dropout=config.dropout).to(device)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    click.echo(
        f"{len(sentences)} sentences, {sum(len(each.words) for each in sentences)} words, {parameters} parameters"
    )

    def batches(epoch: int) -> list[list[Row]]:
        """Each sentence in one of both ways of writing, with other subwords than in the epoch before."""
        chance = random.Random(config.seed + epoch)
        ways = [chance.choice((spaced, as_written)) for _ in sentences]
        rows = [row_of(broken, way(each.words), each.tags) for way, each in zip(ways, sentences, strict=True)]
        generator = torch.Generator().manual_seed(config.seed + epoch)
        budget = config.tokens_per_batch
        return batches_by_length(rows, lambda row: len(row[0]), budget=budget, generator=generator)

    def loss(batch: list[Row]) -> Tensor:
        tokens, lengths = pad_rows([ids for ids, _ in batch], device)
        dropped = torch.rand(tokens.shape, device=device) < config.token_dropout
        logits = network(tokens.masked_fill(dropped, UNK), lengths).float()
        labels = nn.utils.rnn.pad_sequence([torch.tensor(row) for _, row in batch], True, _NONE).to(device)
        return nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=_NONE)

    def score(averaged: nn.Module) -> float:
        assert isinstance(averaged, Tagger)
        labels = tags_of(averaged, [ids for ids, _ in dev_rows])
        pairs = [
            (found, right)
            for mine, (_, wanted) in zip(labels, dev_rows, strict=True)
            for found, right in zip(mine, wanted, strict=True)
            if right != _NONE
        ]
        return sum(found == right for found, right in pairs) / len(pairs)

    fit(network, config.schedule.for_trial(epochs), batches=batches, loss=loss, score=score, folder=folder)


def tags_of(network: Tagger, rows: Sequence[list[int]], *, tokens_per_batch: int = 8000) -> list[list[int]]:
    """The label of each token of each row of ids."""
    found: list[list[int]] = [[]] * len(rows)
    for part in sorted_batches(rows, budget=tokens_per_batch):
        tokens, lengths = pad_rows([rows[index] for index in part], device_of(network))
        labels = network(tokens, lengths).argmax(2).tolist()
        for index, row in zip(part, labels, strict=True):
            found[index] = row[: len(rows[index])]
    return found


def tagged_words(
    shipped: Shipped, texts: Sequence[str], places: Sequence[Sequence[tuple[int, int]] | None]
) -> list[list[Word]]:
    """The words of each text with their tags, by the service's tokenizer: those at the given places, or those that it
    finds."""
    assert isinstance(shipped.network, Tagger)
    read = [shipped.tokenizer.encode_words(text, given) for text, given in zip(texts, places, strict=True)]
    rows = tags_of(shipped.network, [ids for ids, _ in read])
    return [
        [Word(word.start, word.end, TAGS[labels[word.last]]) for word in words if word is not None]
        for (_, words), labels in zip(read, rows, strict=True)
    ]


def accuracy_of_given_words(shipped: Shipped, sentences: Sequence[Tagged]) -> float:
    """Share of right tags where the words are given."""
    placed = [spaced(sentence.words) for sentence in sentences]
    found = tagged_words(shipped, [each.text for each in placed], [each.places for each in placed])
    return _shared(found, placed, sentences) / sum(len(sentence.words) for sentence in sentences)


def f1_of_texts(shipped: Shipped, sentences: Sequence[Tagged]) -> float:
    """F1 of words with their tags where the tokenizer finds the words (the measure UPOS of Zeman et al. 2018)."""
    placed = [as_written(sentence.words) for sentence in sentences]
    found = tagged_words(shipped, [each.text for each in placed], [None] * len(placed))
    total = sum(map(len, found)) + sum(len(sentence.words) for sentence in sentences)
    return 2 * _shared(found, placed, sentences) / total


def _shared(found: Sequence[list[Word]], placed: Sequence[Placed], sentences: Sequence[Tagged]) -> int:
    """The number of words that are found at their place with their tag."""
    shared = 0
    for mine, each, sentence in zip(found, placed, sentences, strict=True):
        wanted = {Word(start, end, tag) for (start, end), tag in zip(each.places, sentence.tags, strict=True)}
        shared += len(wanted & set(mine))
    return shared


def most_frequent_tags(known: Sequence[Tagged], sentences: Sequence[Tagged]) -> float:
    """Accuracy of the baseline: each word's most frequent tag in training, for an unknown word the most frequent tag
    of words that occur once."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in known:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            counts[word][tag] += 1
    once = Counter(tag for tags in counts.values() if tags.total() == 1 for tag in tags)
    usual = once.most_common(1)[0][0]
    table = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    pairs = [pair for sentence in sentences for pair in zip(sentence.words, sentence.tags, strict=True)]
    return sum(table.get(word, usual) == tag for word, tag in pairs) / len(pairs)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    known, test = read_tags(data, "train"), read_tags(data, "test")
    where = f"EWT test, {len(test)} sentences, {sum(len(sentence.words) for sentence in test)} words"
    return [
        Figure("accuracy", accuracy_of_given_words(shipped, test), f"{where}, words given"),
        Figure(
            "accuracy by the most frequent tag of each word", most_frequent_tags(known, test), f"{where}, words given"
        ),
        Figure("F1 of words and tags", f1_of_texts(shipped, test), f"{where}, as written, words found"),
    ]


CARD = CardText(
    data="""Universal Dependencies English EWT (weblogs, newsgroups, emails, reviews, answers) with its own split:
12,544 sentences train, 2,001 choose the epoch, 2,077 test. The tags are the 17 universal parts of speech. Half of the
sentences of an epoch have a space between any two words, as the treebank has them, the others are written as people do:
no space before a full stop or the second half of "don't". The tokenizer is trained on the same sentences; its
pre-tokenizer splits a text into words as the treebank does, its digits are all 0. In training 10 % of the merges are
left out (BPE dropout, Provilkov et al. 2020), so rare words are known by their parts. The tag of a word is that of its
last token.""",
    limits="""English as written on the web around 2010. The words are not always those of the treebank: "gonna" is one
word here and two there, and a full stop after an abbreviation that the tokenizer does not know is apart. Adjectives and
nouns before nouns, proper and common nouns in titles, and "as", "that", "to" and "like" are mixed up most often.""",
    terms="""Treebank: CC BY-SA 4.0 (Silveira et al. 2014; the texts belong to their authors). Weights: Apache-2.0, as
the rest of this repository.""",
)
RECIPE = Recipe(
    draft=Manifest(
        name="tag-en",
        version=1,
        task="tagging",
        description="English parts of speech: one of the 17 universal tags for each word.",
        default=True,
        source_language="en",
        architecture=CONFIG.architecture(),
        tokenizer=TokenizerUse(white_space="plain"),
        labels=TAGS,
        tag_at="last",
        limits=TokenLimits(source_tokens=4096),
        parameters=1,
        files={},
        licence="Apache-2.0; trained on CC BY-SA 4.0 data, see MODEL_CARD.md",
        training=Training(recipe="python -m training.tag_en", minutes=20),
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
