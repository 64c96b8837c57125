"""The ten inputs of each included model for `benchmarks.models`.

They were chosen before the answers were seen, and stay as they are whatever is answered.
"""

import base64
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from app.store.manifest import Manifest
from training import weather
from training.data import read_flickr8k
from training.moving_digits import DIRECTIONS, clips_of, read_digits

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
Inputs = list[tuple[str, Any]]


def inputs_of(manifest: Manifest, data: Path) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The route, and pairs of a shown input and its request body."""
    path, inputs, options = _asked(manifest, data)
    return path, [(shown, {"inputs": item, **options, "model": manifest.name}) for shown, item in inputs]


def _asked(manifest: Manifest, data: Path) -> tuple[str, Inputs, dict[str, Any]]:
    """The route, pairs of a shown input and the input, and options."""
    is_korean = manifest.source_language == "ko"
    match manifest.task:
        case "captioning":
            return "/v1/caption", list(_photos(data)), {}
        case "translation":
            return "/v1/translate", [(text, text) for text in SENTENCES], {}
        case "sentiment":
            return "/v1/sentiment", [(text, text) for text in (KOREAN if is_korean else ENGLISH)], {}
        case "tagging":
            return "/v1/tag", [(text, text) for text in ENGLISH], {}
        case "forecasting":
            return "/v1/forecast", list(_windows(data)), {}
        case "classification":
            return "/v1/classify", list(_clips(data)), {}
        case "completion":
            texts = BEGUN_KOREAN if is_korean else BEGUN
            drawn = {"temperature": 0.7, "top_p": 0.9, "seed": 1, "max_tokens": 24}
            return "/v1/complete", [(text or "(nothing)", text) for text in texts], drawn
    raise ValueError(f"there are no inputs for the task {manifest.task} of {manifest.name}; add them here")


def _photos(data: Path) -> Iterator[tuple[str, str]]:
    """The first photos of the test split, each with its file and first reference, as JPEG in base64."""
    with tarfile.open(data / "flickr8k.tar") as archive:
        for photo in read_flickr8k(data, "test")[:COUNT]:
            file = archive.extractfile(f"flickr8k/images/{photo.file}")
            assert file is not None
            jpeg = io.BytesIO()
            Image.open(file).convert("RGB").save(jpeg, "JPEG", quality=92)
            yield f"`{photo.file}`: {photo.captions[0]}", base64.b64encode(jpeg.getvalue()).decode()


def _windows(data: Path) -> Iterator[tuple[str, list[list[float]]]]:
    """Windows of the held-out year, evenly apart, each with what came after it."""
    windows = weather.windows_of(weather.read_weather(data), "test")
    for at in range(0, COUNT * (len(windows.days) // COUNT), len(windows.days) // COUNT):
        came = zip(weather.TARGETS, windows.targets[at].T.tolist(), strict=True)
        words = "; ".join(f"{name} {', '.join(f'{value:.1f}' for value in values)}" for name, values in came)
        yield f"the 6 days before {windows.days[at][0]}; what came: {words}", windows.inputs[at].tolist()


def _clips(data: Path) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Clips of the first digits that were not in training, each with its direction."""
    digits = read_digits(data, "test")[:COUNT]
    clips = clips_of(digits, torch.Generator().manual_seed(0))
    for digit in range(len(digits)):
        at = digit * len(DIRECTIONS) + digit % len(DIRECTIONS)
        direction = list(DIRECTIONS)[clips.directions[at]]
        yield (
            f"digit {digit + 1} of the test split moves {direction}",
            {"frames": [_png(frame.numpy()) for frame in clips.frames[at]]},
        )


def _png(pixels: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
