"""Inputs of each source kind: what a caller may give, and how a request carries it."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import IO, Any, Literal, assert_never

SourceKind = Literal["text", "image"]
Texts = list[str] | tuple[str, ...]
Image = str | PathLike[str] | bytes | IO[bytes]
FILE_SUFFIXES: dict[SourceKind, tuple[str, ...]] = {"text": (), "image": (".jpeg", ".jpg", ".png", ".webp")}
Images = list[str] | list[Path] | list[bytes] | list[IO[bytes]] | list[Image] | tuple[Image, ...]


def read_input(kind: SourceKind, given: Any) -> str | bytes:
    """An input as it is sent: an image file is read. Raises OSError and TypeError."""
    match kind:
        case "text":
            if not isinstance(given, str):
                raise TypeError(f"an input is a str, not {type(given).__name__}; pass one, or a list of them")
            return given
        case "image":
            return _image_bytes(given)
        case _:
            assert_never(kind)


def reads_files(kind: SourceKind) -> bool:
    """Whether reading an input may block."""
    return bool(FILE_SUFFIXES[kind])


def encode(kind: SourceKind, inputs: tuple[str | bytes, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request, as arguments of httpx."""
    match kind:
        case "text":  # ASCII, so that the service judges characters that UTF-8 cannot hold, and not the codec
            content = json.dumps({"inputs": inputs, **options}).encode()
            return {"content": content, "headers": {"Content-Type": "application/json"}}
        case "image":  # without the names of the files, which the service does not need
            files = [("images", ("image", item)) for item in inputs]
            return {"files": files, "data": {name: _form_field(item) for name, item in options.items()}}
        case _:
            assert_never(kind)


def _image_bytes(image: Image) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | PathLike):
        return Path(image).read_bytes()
    content = image.read()
    if not isinstance(content, bytes):
        raise TypeError("an image file is opened in text mode; open it with mode 'rb'")
    return content


def _form_field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)
