"""Readers of the raw data sets, with their splits. `--data` names the folder of the files."""

import gzip
import hashlib
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

Split = Literal["train", "dev", "test"]


class Rated(NamedTuple):
    """A text with its label: 0 negative, 1 positive; `degree` from -1 to 1."""

    text: str
    label: int
    degree: float


class Pair(NamedTuple):
    """A source sentence, its translation, and the collection it comes from."""

    origin: str
    source: str
    target: str


class Photo(NamedTuple):
    """An image file of the Flickr8k archive and its reference captions."""

    file: str
    captions: list[str]


def split_of(key: str, *, test: float, dev: float) -> Split:
    """The split of a key, by its hash: it does not change with the other data."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48
    if place < test:
        return "test"
    return "dev" if place < test + dev else "train"


def rows_of(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", encoding="utf8", newline="\n") as lines:
        for line in lines:
            yield line.rstrip("\n").split("\t")


def read_nsmc(data: Path, split: Split, *, neutral: bool = False) -> list[Rated]:
    """Korean film reviews, 1 to 4 against 9 to 10, split by film: 5 % test, 2 % dev. 5 to 8 are left out unless
    `neutral`."""
    rated = []
    for _, film, rating, text in rows_of(data / "nsmc.tsv.gz"):
        stars = int(rating)
        if not text.strip() or (5 <= stars <= 8 and not neutral):
            continue
        if split_of(f"film {film}", test=0.05, dev=0.02) == split:
            rated.append(Rated(text, int(stars >= 9), (stars - 5.5) / 4.5))
    return rated


def read_imdb(data: Path, split: Split) -> list[Rated]:
    """English film reviews (Maas et al. 2011). The test split is the published one; 4 % of train is dev, by text."""
    rated = []
    for published, rating, text in rows_of(data / "imdb50k.tsv.gz"):
        stars = int(rating)
        mine = "test" if published == "test" else split_of(text, test=0, dev=0.04)
        if mine == split:
            text = re.sub(r"\s*(<br\s*/?>\s*)+", " ", text)
            rated.append(Rated(text, int(stars >= 7), (stars - 5.5) / 4.5))
    return rated


def read_snippets(data: Path, split: Split, *, kind: str = "", neutral: bool = False) -> list[Rated]:
    """Short English texts with a degree (Hutto and Gilbert 2014), out of the source archive of vaderSentiment 3.3.2.

    Film snippets, product snippets, tweets and news, or those of a `kind` alone (`movieReview`, `amazonReview`,
    `tweets`, `nytEditorial`); 10 % of each are test, 5 % dev, by text. A mean rating within half a point of neutral
    (on -4 to +4) has no label and is left out, unless `neutral`.
    """
    rated = []
    with tarfile.open(data / "vaderSentiment-3.3.2.tar.gz") as outer:
        inner = outer.extractfile("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
        assert inner is not None
        with tarfile.open(fileobj=inner) as files:
            for member in files:
                is_wanted = member.name.endswith("_GroundTruth.txt") and f"/{kind}" in member.name
                file = files.extractfile(member) if is_wanted else None
                if file is None:
                    continue
                for line in file.read().decode("utf8", "replace").splitlines():
                    _, score, text = line.split("\t", 2)
                    degree = float(score) / 4
                    is_rated = neutral or abs(degree) >= 0.125
                    if text.strip() and is_rated and split_of(text, test=0.1, dev=0.05) == split:
                        rated.append(Rated(text.strip(), int(degree > 0), degree))
    return rated


WRITTEN = Path(__file__).parent / "data"
CONTRAST_GROUP = 10  # neighbours in the file are variants of a sentence: they stay in one split
CONTRAST_TEST = {"en": 280, "ko": 200}  # texts
CONTRAST_DEV = 60


def read_general_lines(data: Path, language: Literal["en", "ko"], split: Split) -> list[str]:
    """Lines of `en_general.txt.gz` or `ko_general.txt.gz`, by hash: 0.5 % test, 0.3 % dev."""
    with gzip.open(data / f"{language}_general.txt.gz", "rt", encoding="utf8", newline="\n") as lines:
        texts = [line.strip() for line in lines]
    return [text for text in texts if text and split_of(f"general {text}", test=0.005, dev=0.003) == split]


def read_contrast(data: Path, language: Literal["en", "ko"], split: Split) -> list[Rated]:
    """Sentences with negation, contrast, understatement and irony, written by hand for this project (CC0), with a
    degree from -4 to 4. Split by groups of neighbours, in the order of their hashes."""
    lines = (data / f"sentiment_contrast_{language}.tsv").read_text("utf8").splitlines()
    rated = [
        Rated(text, int(float(degree) > 0), float(degree) / 4) for degree, text in (row.split("\t") for row in lines)
    ]
    groups = [rated[start : start + CONTRAST_GROUP] for start in range(0, len(rated), CONTRAST_GROUP)]
    order = sorted(range(len(groups)), key=lambda place: hashlib.sha256(f"contrast {place}".encode()).digest())
    test = CONTRAST_TEST[language] // CONTRAST_GROUP
    dev = test + CONTRAST_DEV // CONTRAST_GROUP
    places = {"test": order[:test], "dev": order[test:dev], "train": order[dev:]}[split]
    return [row for place in places for row in groups[place]]


def written(data: Path, name: str) -> Path:
    """A file of texts written for the recipes (CC0): of the folder `written` of the data, if there is one, else the
    repository's."""
    own = data / "written"
    return (own if own.is_dir() else WRITTEN) / name


def read_more_contrast(data: Path, language: Literal["en", "ko"]) -> list[Rated]:
    """More of the same, by another hand, for training alone. None shares six in ten words with one of the test."""
    return _rated(written(data, f"sentiment_{language}.tsv"))


def read_opinions(data: Path, language: Literal["en", "ko"]) -> list[Rated]:
    """Opinions that are told by what happened as often as by words, many of them in pairs that differ in a few words,
    for training alone. None shares six in ten words with one of the test of `read_contrast`."""
    return _rated(written(data, f"opinions_{language}.tsv"))


def _rated(file: Path) -> list[Rated]:
    rows = (line.split("\t") for line in file.read_text("utf8").splitlines())
    return [Rated(text, int(float(degree) > 0), float(degree) / 4) for degree, text in rows]


def normalised_source(text: str) -> str:
    """Two sentences with the same result belong to the same split: letters only, lower case, equal numbers."""
    return " ".join(re.findall(r"[a-z]+|0+", re.sub(r"\d", "0", text.lower())))


def read_enko(data: Path, split: Split) -> list[Pair]:
    """English and Korean sentences, split by normalised source: 3 % test, 1.5 % dev."""
    pairs = []
    for origin, source, target in rows_of(data / "enko.tsv.gz"):
        key = normalised_source(source)
        if key and target.strip() and split_of(f"source {key}", test=0.03, dev=0.015) == split:
            pairs.append(Pair(origin.split(":")[0], source.strip(), target.strip()))
    return pairs


def read_flickr8k(data: Path, split: Split) -> list[Photo]:
    """Flickr8k (Hodosh et al. 2013) with its published split; captions that are only "a" are dropped."""
    with tarfile.open(data / "flickr8k.tar") as archive:
        splits, captions = (
            archive.extractfile(f"flickr8k/{name}.tsv").read().decode().splitlines()  # type: ignore[union-attr]
            for name in ("splits", "captions")
        )
    mine = {file for file, name in (line.split("\t") for line in splits) if name == split}
    photos = []
    for line in captions:
        file, *texts = line.split("\t")
        if file in mine:
            photos.append(Photo(file, [text.strip() for text in texts if len(text.split()) > 1]))
    return photos
