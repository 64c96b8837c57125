"""Source kinds: what a caller may give for an input, and how a request carries it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, assert_never

from unroll_client import series
from unroll_client.bodies import ImageInput, Input, JsonInput
from unroll_client.files import File, file_bytes

SourceKind = Literal["text", "words", "image", "series", "frames"]
Texts = list[str] | tuple[str, ...]
TextsOrWords = list[str] | list[list[str]] | list[str | list[str]] | tuple[str | list[str], ...]
Image = File
Images = list[str] | list[Path] | list[bytes] | list[IO[bytes]] | list[Image] | tuple[Image, ...]
_OF_FILES: tuple[SourceKind, ...] = ("image", "series", "frames")


@dataclass(frozen=True)
class Clip:
    """Still images in their order, or one animated GIF or WebP; each a path, the bytes of a file, or a file opened in
    mode `rb`."""

    frames: Image | Images


Clips = list[Clip] | tuple[Clip, ...]
One = Image | Clip | series.Series
Many = Images | Clips | TextsOrWords | series.ManySeries


def read_inputs(kinds: Sequence[SourceKind], given: Any) -> tuple[tuple[Input, ...], bool]:
    """Inputs as requests carry them, and whether they are one rather than a list. Raises OSError and TypeError."""
    if "series" in kinds:
        given = series.plain(given)
        if isinstance(given, list | tuple) and series.is_one(given):
            return (read_input(kinds, given),), True
    if not isinstance(given, list | tuple):
        return (read_input(kinds, given),), True
    return tuple(read_input(kinds, item) for item in given), False


def read_input(kinds: Sequence[SourceKind], given: Any) -> Input:
    """One input of one of the kinds. Raises OSError and TypeError."""
    kind = kinds[0] if len(kinds) == 1 else _kind_of(given)
    if kind not in kinds:
        raise TypeError(f"an input is of the kind {' or '.join(kinds)}, not {kind}")
    match kind:
        case "text":
            if not isinstance(given, str):
                raise TypeError(f"an input is a str, not {type(given).__name__}; pass one, or a list of them")
            return JsonInput("text", given)
        case "words":
            return JsonInput("text", _words(given))
        case "image":
            return ImageInput(file_bytes(given))
        case "series":
            return series.read_series(given)
        case "frames":
            return _read_clip(given)
        case _:
            assert_never(kind)


def reads_files(kinds: Sequence[SourceKind]) -> bool:
    """Whether reading an input may block."""
    return any(kind in _OF_FILES for kind in kinds)


def _kind_of(given: Any) -> SourceKind:
    if isinstance(given, str):
        return "text"
    return "frames" if isinstance(given, Clip) else "series"


def _words(given: Any) -> str | list[str]:
    if isinstance(given, str):
        return given
    if isinstance(given, list | tuple) and all(isinstance(word, str) for word in given):
        return list(given)
    raise TypeError(f"an input is a str or, in a list of inputs, a list of words; not {type(given).__name__}")


def _read_clip(given: Any) -> JsonInput:
    """A clip in base64."""
    if not isinstance(given, Clip):
        raise TypeError(f"an input is a Clip, not {type(given).__name__}")
    is_list = isinstance(given.frames, list | tuple)
    files = given.frames if isinstance(given.frames, list | tuple) else [given.frames]
    texts = [base64.b64encode(file_bytes(file)).decode() for file in files]
    return JsonInput("frames", {"frames": texts if is_list else texts[0]}, sum(map(len, texts)))
