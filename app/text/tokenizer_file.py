"""Reads a tokenizer file of the `tokenizers` library, which may hold anything."""

from pathlib import Path

from tokenizers import Tokenizer

from app.errors import FileDamaged, InvalidManifest
from app.store.regular_files import read_whole

_MOST_BYTES = 2**30  # far more than the check of a manifest allows


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a file of a version. Raises InvalidManifest."""
    try:
        return Tokenizer.from_buffer(read_whole(path, root=path.parent.parent.parent, limit=_MOST_BYTES))
    except FileDamaged:
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises plain Exception, and a panic of Rust is a BaseException
        raise InvalidManifest(f"{path.name} is not a tokenizer file: {error}") from error
