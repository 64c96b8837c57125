"""Ten inputs for each of the included models, chosen before the answers were seen; they stay as they are whatever is
answered."""

import base64
import io
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from app.store.manifest import Manifest
from app.tasks.registry import BY_NAME
from training.data import read_flickr8k
from training.moving_digits import DIRECTIONS, clips_of, read_digits
from training.weather import FEATURES, TARGETS, read_weather, windows_of

COUNT = 10
ENGLISH = (
    "A warm, funny film that I would gladly see again.",
    "The plot makes no sense and the acting is worse.",
    "Not bad at all.",
    "I expected much more from this director.",
    "It begins well, but the end is a disappointment.",
    "You will laugh, you will cry, you will want your money back.",
    "The battery died after two days and nobody answered my mail.",
    "An hour too long, and still I did not want it to end.",
    "The film was released in 1994 and runs for two hours.",
    "If this is the best comedy of the year, it was a sad year.",
)
KOREAN = (
    "정말 재미있게 봤어요. 강력 추천합니다!",
    "돈이 아깝다. 최악의 영화",
    "나쁘지 않네요",
    "기대했던 것보다는 별로였다",
    "처음에는 좋았는데 끝이 실망스럽다",
    "배우들 연기는 좋은데 내용이 없다",
    "두 번 봤는데 두 번 다 울었다",
    "이런 영화에 10점 주는 알바들 반성해라",
    "1994년에 개봉한 두 시간짜리 영화다",
    "잠이 안 올 때 보면 딱 좋은 영화ㅋㅋ",
)
SENTENCES = (
    "Open file",
    "Do you want to save the changes before closing?",
    "The file could not be found.",
    "Returns a new list with the elements of the first one in reverse order.",
    "Click the button to add a row to the table.",
    "Unable to connect to the server: permission denied",
    "If the argument is omitted, the current directory is used.",
    "Good morning, how are you?",
    "My brother bought a new car yesterday.",
    "It has been raining since last night, so we stayed at home.",
)
BEGUN = (
    "This film is one of the",
    "I was really looking forward to",
    "The acting is",
    "If you like horror movies,",
    "The director of this",
    "My wife and I watched",
    "The special effects",
    "Nobody in this movie",
    "At the end of the film",
    "",
)
BEGUN_KOREAN = (
    "이 영화는",
    "정말",
    "배우들의 연기가",
    "감독은",
    "처음부터 끝까지",
    "돈이",
    "친구랑 같이",
    "솔직히",
    "스토리가",
    "마지막 장면",
)
WORDS = (
    "I saw the saw that they saw with.",
    "They can can the fish in a can.",
    "That that is, is.",
    "Time flies like an arrow; fruit flies like a banana.",
    "Don't you dare book that book before the 3rd of May!",
    "Dr. Lee emailed me at 10:30 p.m., but I'd left.",
    "lol no way u did that :)",
    "The old man the boat.",
    "Google it, or ask the Google office in Seoul.",
    "Running late is worse than not running at all.",
)
DRAWN = {"temperature": 0.7, "top_p": 0.9, "seed": 1, "max_tokens": 24}  # options of completions


class Example(NamedTuple):
    """An input as the page shows it, and as a request has it."""

    shown: str
    value: Any


def bodies_of(manifest: Manifest, data: Path) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The route, and pairs of a shown input and its request. `data`: the folder with the raw data."""
    options = DRAWN if manifest.task == "completion" else {}
    path = BY_NAME[manifest.task].face.path
    return path, [
        (example.shown, {"inputs": example.value, "model": manifest.name, **options})
        for example in _examples(manifest, data)
    ]


def _examples(manifest: Manifest, data: Path) -> list[Example]:
    is_korean = manifest.source_language == "ko"
    match manifest.task:
        case "captioning":
            return _photos(data)
        case "forecasting":
            return _weather(data)
        case "classification":
            return _clips(data)
        case "translation":
            return _texts(SENTENCES)
        case "tagging":
            return _texts(WORDS)
        case "sentiment":
            return _texts(KOREAN if is_korean else ENGLISH)
        case "completion":
            return _texts(BEGUN_KOREAN if is_korean else BEGUN)
        case _:
            raise NotImplementedError(f"benchmarks/examples.py has no inputs for the task {manifest.task}: add them")


def _texts(texts: tuple[str, ...]) -> list[Example]:
    return [Example(text or "(nothing)", text) for text in texts]


def _photos(data: Path) -> list[Example]:
    """The first photos of the test split, each with its file and first reference, as JPEG in base64."""
    photos = read_flickr8k(data, "test")[:COUNT]
    found = []
    with tarfile.open(data / "flickr8k.tar") as archive:
        for photo in photos:
            file = archive.extractfile(f"flickr8k/images/{photo.file}")
            assert file is not None
            jpeg = io.BytesIO()
            Image.open(file).convert("RGB").save(jpeg, "JPEG", quality=92)
            shown = f"`{photo.file}`: {photo.captions[0]}"
            found.append(Example(shown, base64.b64encode(jpeg.getvalue()).decode()))
    return found


def _weather(data: Path) -> list[Example]:
    """The first six days of the months from January to October 2015, with what came after them."""
    windows = windows_of(read_weather(data), "test")
    places = [place for place, days in enumerate(windows.days) if days[0].day == 7][:COUNT]
    return [
        Example(
            f"{windows.days[place][0]:%B} 1 to 6, 2015. "
            f"Measured then: {columns(TARGETS, windows.targets[place].tolist())}",
            _by_name(windows.inputs[place]),
        )
        for place in places
    ]


def _by_name(rows: Tensor) -> list[dict[str, float]]:
    return [dict(zip(FEATURES, [round(number, 1) for number in row], strict=True)) for row in rows.tolist()]


def columns(names: tuple[str, ...] | list[str], rows: list[list[float]]) -> str:
    """Rows of numbers in words, column by column."""
    numbers = [", ".join(f"{row[place]:.1f}" for row in rows) for place in range(len(names))]
    return "; ".join(f"{name} {column}" for name, column in zip(names, numbers, strict=True))


def _clips(data: Path) -> list[Example]:
    """The first digits of the test split, each in another direction until all have been."""
    clips = clips_of(read_digits(data, "test")[:COUNT], torch.Generator().manual_seed(1))
    names = list(DIRECTIONS)
    found = []
    for number in range(COUNT):
        place = number * len(names) + number % len(names)
        direction = names[int(clips.directions[place])]
        frames = [_png(frame) for frame in clips.frames[place]]
        found.append(Example(f"digit {number + 1} of the test split, moving {direction}", {"frames": frames}))
    return found


def _png(frame: Tensor) -> str:
    """A frame (height, width, 3) as a file in base64."""
    file = io.BytesIO()
    Image.fromarray(frame.numpy()).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
