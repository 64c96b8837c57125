"""All English-Korean pairs that `translate-en-ko` learns from and is measured on, and how much each source counts."""

import gzip
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.data import Pair, Split, normalised_source, read_enko, rows_of, split_of, written

SOFTWARE = ("gettext", "libreoffice-help", "python-docs-ko")
NAMED_TESTS = ("laser-tatoeba-6w", "jhe-eval", "ud-pud")
PHRASES = 500  # pairs of `phrases` in its test
PHRASES_TEST = 0.032  # of them have this share of places, of which the test is the first 500
WORDINGS = 10  # of one meaning, one after the other in StyleKQC: polite ones first, casual ones last
WORDINGS_KEPT = (1, 3, 8)

# How often a pair is met in an epoch. 0.25 is one epoch in four, drawn anew each time.
SHARES = {
    "phrases": 1.5,
    "written": 1.5,
    "translated": 1.5,
    "rewritten": 0.2,
    "tatoeba": 0.9,
    "lekowan-tatoeba": 0.9,
    "jhe-dev": 0.9,
    "asp-stories": 0.6,
    "stylekqc-kosp2e": 0.3,
    "koen-news-dev": 0.3,
    "udhr": 0.3,
    "djangogirls": 0.2,
    "opensource-guide": 0.2,
    "scratch-l10n": 0.15,
    "iot-for-beginners": 0.05,
    "tuxpaint": 0.2,
    "tuxpaint-stamps": 0.2,
    "game-cataclysm-dda": 0.05,
    "game-shattered-pd": 0.06,
    "game-tome4": 0.06,
    "game-warzone2100": 0.08,
    "game-wesnoth": 0.12,
    "game-freeciv": 0.08,
    "game-dcss": 0.06,
    "game-supertux": 0.15,
    "game-flare": 0.06,
    "cldr-names": 0.1,
    "cldr-emoji-names": 0.1,
    "osm-names": 0.08,
    "kgeography-names": 0.05,
    "gettext": 0.4,
    "libreoffice-help": 0.5,
    "python-docs-ko": 0.35,
    "tldr": 0.01,
    "game-minetest": 0.02,
}
LATE_SHARES = {
    "phrases": 1.5,
    "written": 1.5,
    "translated": 1.5,
    "tatoeba": 1.0,
    "lekowan-tatoeba": 1.0,
    "jhe-dev": 1.0,
    "asp-stories": 1.0,
    "stylekqc-kosp2e": 0.2,
    "gettext": 0.4,
    "libreoffice-help": 0.5,
    "python-docs-ko": 0.35,
}  # late in training: everyday text whole, and more of software again, for both to end well


def shares(*, late: bool) -> dict[str, float]:
    """Those of an epoch."""
    return SHARES | LATE_SHARES if late else SHARES


def read_phrases(data: Path, split: Split) -> list[Pair]:
    """Everyday sentences of `phrases.tsv.gz`, split as `read_enko` does: 3.2 % test, of which the first 500 are read
    and the rest is in no split, and 1.5 % dev."""
    pairs = [Pair("phrases", english, korean) for _, english, korean in rows_of(data / "phrases.tsv.gz")]
    mine = _of_split(pairs, split, test=PHRASES_TEST)
    return mine[:PHRASES] if split == "test" else mine


def read_written(data: Path) -> list[Pair]:
    """More of the same, by another hand, for training alone: `training/data/phrases.tsv`."""
    lines = written(data, "phrases.tsv").read_text("utf8").splitlines()
    return [Pair("written", english, korean) for _, english, korean in (line.split("\t") for line in lines)]


def read_translated(data: Path) -> list[Pair]:
    """English sentences of Tatoeba that were translated for this project: `training/data/tatoeba.tsv.gz`."""
    return [Pair("translated", *pair) for pair in _pairs_of(written(data, "tatoeba.tsv.gz"))]


def read_rewritten(data: Path) -> list[Pair]:
    """Everyday pairs in their other registers, as `training.endings` writes them."""
    return [Pair("rewritten", *pair) for pair in _pairs_of(written(data, "registers.tsv.gz"))]


def _pairs_of(file: Path) -> Iterator[tuple[str, str]]:
    with gzip.open(file, "rt", encoding="utf8") as lines:
        for line in lines:
            english, korean = line[:-1].split("\t")
            yield english, korean


def read_general(data: Path, split: Split) -> list[Pair]:
    """`enko_general.tsv.gz` and `enko_tech_extra.tsv.gz`, split as `read_enko` does, with 3 wordings of a meaning."""
    general = [Pair(*row) for row in rows_of(data / "enko_general.tsv.gz")]
    style = [pair for pair in general if pair.origin == "stylekqc-kosp2e"]
    kept = [pair for place, pair in enumerate(style) if place % WORDINGS in WORDINGS_KEPT]
    rest = [pair for pair in general if pair.origin != "stylekqc-kosp2e"]
    extra = [Pair(*row) for row in rows_of(data / "enko_tech_extra.tsv.gz")]
    return _of_split([*kept, *rest, *extra], split)


def read_named_test(data: Path, name: str) -> list[Pair]:
    """A published test set out of `enko_named_test.tsv.gz`, without the pairs whose English `enko.tsv.gz` has."""
    return [Pair(*row) for row in rows_of(data / "enko_named_test.tsv.gz") if row[0] == name]


def read_training_pairs(data: Path) -> list[Pair]:
    """Each different pair of all sources once, but those whose English, normalised, is in a test or its Korean in the
    test of everyday sentences."""
    named = [Pair(*row) for row in rows_of(data / "enko_named_test.tsv.gz")]
    phrases = read_phrases(data, "test")
    english = {normalised_source(pair.source) for pair in (*named, *phrases)}
    korean = {pair.target for pair in phrases}
    found: dict[tuple[str, str], Pair] = {}
    for pair in (
        *read_phrases(data, "train"),
        *read_written(data),
        *read_translated(data),
        *read_rewritten(data),
        *read_general(data, "train"),
        *read_enko(data, "train"),
    ):
        if normalised_source(pair.source) not in english and pair.target not in korean:
            found.setdefault((pair.source, pair.target), pair)
    return list(found.values())


def drawn(pairs: Sequence[Pair], *, late: bool, seed: int) -> Iterator[int]:
    """The places of the pairs of one epoch, by the shares of their sources."""
    chance, share = random.Random(seed), shares(late=late)
    for place, pair in enumerate(pairs):
        for _ in range(int(share[pair.origin] + chance.random())):
            yield place


def _of_split(pairs: Sequence[Pair], split: Split, *, test: float = 0.03) -> list[Pair]:
    mine = []
    for pair in pairs:
        key = normalised_source(pair.source)
        if key and pair.target.strip() and split_of(f"source {key}", test=test, dev=0.015) == split:
            mine.append(Pair(pair.origin, pair.source.strip(), pair.target.strip()))
    return mine
