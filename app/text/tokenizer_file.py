"""Reads a tokenizer file of the `tokenizers` library, which may hold anything."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from tokenizers import Tokenizer

from app.errors import InvalidManifest, StoreError
from app.store.regular_files import read_whole

_MOST_BYTES = 2**30  # far more than the check of a manifest allows
_PROBE_SECONDS = 0.05  # of processor time; a text of 30 characters takes a thousandth of it
_PROBE_LENGTHS = (8, 16, 24, 30)  # characters; a pattern that takes exponential time is found before it takes long
_MOST_LETTERS = 12


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a file of a version. Raises FileDamaged, FileUnreadable or InvalidManifest."""
    content = read_whole(path, root=path.parent.parent.parent, limit=_MOST_BYTES)
    try:
        tokenizer = Tokenizer.from_buffer(content)
        if b'"Regex"' in content:
            _check_patterns(tokenizer, content, path.name)
    except (StoreError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises plain Exception, and a panic of Rust is a BaseException
        raise InvalidManifest(f"{path.name} is not a tokenizer file: {error}") from error
    return tokenizer


def _check_patterns(tokenizer: Tokenizer, content: bytes, name: str) -> None:
    """Raises InvalidManifest if a repeated letter of a regular expression makes it try exponentially many matches. This
    finds the usual mistakes, such as `(a+)+$`, and not every slow pattern."""
    patterns = "".join(_patterns(msgspec.json.decode(content)))
    letters = dict.fromkeys("a 1." + "".join(letter for letter in patterns if letter.isalnum()))
    for letter in list(letters)[:_MOST_LETTERS]:
        for length in _PROBE_LENGTHS:
            started = time.thread_time()
            try:
                tokenizer.encode(letter * length + "\0", add_special_tokens=False)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                raise InvalidManifest(f"a regular expression of {name} takes too long: {error}") from error
            if time.thread_time() - started > _PROBE_SECONDS:
                raise InvalidManifest(f"a regular expression of {name} takes too long for {length} characters")


def _patterns(document: object) -> Iterator[str]:
    """The regular expressions in a tokenizer file."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "Regex" and isinstance(value, str):
                yield value
            elif key != "vocab":
                yield from _patterns(value)
    elif isinstance(document, list):
        for value in document:
            yield from _patterns(value)
