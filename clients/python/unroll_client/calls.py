"""What is asked of the service, as values: inputs and options to the parts of HTTP requests."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import IO, Any, Generic

from unroll_client.options import CompleteOptions, SentenceOptions, SentimentOptions, TranslateOptions
from unroll_client.results import ResultT, SentenceResult, SentimentResult

Texts = list[str] | tuple[str, ...]
Image = str | PathLike[str] | bytes | IO[bytes]
Images = list[str] | list[Path] | list[bytes] | list[IO[bytes]] | list[Image] | tuple[Image, ...]
JSON = {"Content-Type": "application/json"}
_PART_BYTES = 8 * 2**20  # of images in one request, which bodies of other options leave room for


@dataclass(frozen=True)
class Body:
    """A request without its address; `files` and `fields` are those of a form."""

    method: str
    path: str
    content: bytes | None = None
    files: tuple[tuple[str, tuple[str, bytes]], ...] = ()
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Call(Generic[ResultT]):
    """A task for inputs; `first` is the place of the first of them in what the caller gave."""

    path: str
    result: type[ResultT]
    inputs: tuple[str, ...] | tuple[bytes, ...]
    options: Mapping[str, Any]
    is_one: bool
    timeout_ms: int | None
    first: int = 0

    def part(self, start: int, end: int) -> "Call[ResultT]":
        """The call for some of the inputs. Each is drawn with the seed that it has in the whole."""
        options = dict(self.options)
        if "seed" in options:
            options["seed"] += start
        return replace(self, inputs=self.inputs[start:end], options=options, first=self.first + start)

    def parts(self, most: int) -> "Iterator[Call[ResultT]]":
        """Calls of at most so many inputs, and of images of bounded size together."""
        start = size = 0
        for place, item in enumerate(self.inputs):
            length = len(item) if isinstance(item, bytes) else 0
            if place - start == most or (place > start and size + length > _PART_BYTES):
                yield self.part(start, place)
                start, size = place, 0
            size += length
        yield self.part(start, len(self.inputs))

    def body(self, *, stream: bool = False) -> Body:
        """As it is sent. JSON is ASCII, so that the service and not the codec judges what no UTF-8 can hold."""
        options = {**self.options, "stream": True} if stream else self.options
        if all(isinstance(item, bytes) for item in self.inputs):
            # without the files' names, which are none of the service's business
            files = tuple(("images", ("image", item)) for item in self.inputs if isinstance(item, bytes))
            return Body("POST", self.path, files=files, fields={name: _field(item) for name, item in options.items()})
        return Body("POST", self.path, json.dumps({"inputs": self.inputs, **options}).encode())


def sentiment_call(inputs: str | Texts, options: SentimentOptions) -> Call[SentimentResult]:
    return _call("/v1/sentiment", SentimentResult, _texts(inputs), options, SentimentOptions, isinstance(inputs, str))


def translate_call(inputs: str | Texts, options: TranslateOptions) -> Call[SentenceResult]:
    return _call("/v1/translate", SentenceResult, _texts(inputs), options, TranslateOptions, isinstance(inputs, str))


def complete_call(inputs: str | Texts, options: CompleteOptions) -> Call[SentenceResult]:
    return _call("/v1/complete", SentenceResult, _texts(inputs), options, CompleteOptions, isinstance(inputs, str))


def caption_call(images: Image | Images, options: SentenceOptions) -> Call[SentenceResult]:
    """Reads the files. Raises OSError."""
    if isinstance(images, list | tuple):
        files = tuple(_bytes_of(image) for image in images)
        return _call("/v1/caption", SentenceResult, files, options, SentenceOptions, False)
    return _call("/v1/caption", SentenceResult, (_bytes_of(images),), options, SentenceOptions, True)


def _call(
    path: str,
    result: type[ResultT],
    inputs: tuple[str, ...] | tuple[bytes, ...],
    options: Mapping[str, Any],
    known: type[Any],
    is_one: bool,
) -> Call[ResultT]:
    """Refuses what is no option, as Python does for any function: a body may be large, and the way long."""
    names: frozenset[str] = known.__optional_keys__
    if unknown := sorted(options.keys() - names):
        raise TypeError(f"{', '.join(unknown)}: no option of this task; options are {', '.join(sorted(names))}")
    given = {name: item for name, item in options.items() if item is not None}
    timeout_ms = given.pop("timeout_ms", None)
    return Call(path, result, inputs, given, is_one, timeout_ms)


def _texts(inputs: str | Texts) -> tuple[str, ...]:
    texts = (inputs,) if isinstance(inputs, str) else tuple(inputs)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("an input is a str; send one, or a list of them")
    return texts


def _bytes_of(image: Image) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | PathLike):
        return Path(image).read_bytes()
    content = image.read()
    if not isinstance(content, bytes):
        raise TypeError("an image file is opened for text; open it with mode 'rb'")
    return content


def _field(value: Any) -> Any:
    """An option in a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)
