"""Reading the pickles of a file within limits."""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.refusals import ForbiddenName, Refused, TooLarge, Unreadable
from app.importers.formats.storages import Views
from app.importers.formats.unpickler import PlainUnpickler, StorageMaker


def count_opcodes(content: bytes, start: int, bounds: Bounds) -> int:
    """Walk through a pickle without running it; returns its end. Raises TooLarge or Unreadable."""
    count = 0
    file = BytesIO(content)
    file.seek(start)
    try:
        for count, (opcode, _, _) in enumerate(pickletools.genops(file)):  # noqa: B007
            if count > bounds.opcodes:
                raise TooLarge(f"its pickle has more than {bounds.opcodes} steps")
    except (ValueError, EOFError, OverflowError, MemoryError, UnicodeDecodeError) as error:
        raise Unreadable(f"its pickle is damaged or cut short: {error}") from error
    return file.tell()


@dataclass(frozen=True)
class Unpickling:
    """How the pickles of one file are read: the limits, the tensors, and the parser of a file inside a pickle."""

    bounds: Bounds
    views: Views
    parse_inside: Callable[[bytes], Any] | None = None

    def load(self, content: bytes, start: int, *, storage: StorageMaker | None = None) -> tuple[Any, int]:
        """The value of the pickle at `start`, and where it ends. Raises Refused, Unreadable or TooLarge."""
        file = BytesIO(content)
        file.seek(start)
        unpickler = PlainUnpickler(
            file, bounds=self.bounds, views=self.views, storage=storage, load_bytes=self.parse_inside
        )
        try:
            made = unpickler.load()
        except ForbiddenName as error:
            raise Refused(f"{error}. {_way_out(content)}") from error
        except (Refused, Unreadable, TooLarge):
            raise
        except RecursionError as error:
            raise TooLarge("its pickle is nested too deeply") from error
        except MemoryError as error:
            raise TooLarge("its pickle needs more memory than the limit for a file of its size") from error
        except (EOFError, IndexError) as error:
            raise Unreadable("its pickle is damaged or cut short") from error
        except Exception as error:  # any error of the unpickler on a broken pickle
            raise Unreadable(f"its pickle is damaged: {type(error).__name__}: {error}") from error
        return made, file.tell()


_OF_WEIGHTS = "Save only the weights, with torch.save(model.state_dict(), ...), and the words as a JSON list"
_WAYS_OUT = (
    (
        b"fastai",
        "It is an export of fastai (learn.export), which holds functions. In Python, save the weights with "
        "learn.save('model', with_opt=False), and the words with json.dump(list(learn.dls.vocab[0]), ...)",
    ),
    (
        b"darts.models",
        "It is an object of darts: give the file with .ckpt at the end of its name, which darts writes beside it",
    ),
    (
        b"keras",
        "It is a pickled object of Keras: save a model with model.save('model.keras'), and a Tokenizer with to_json()",
    ),
    (
        b"sklearn.feature_extraction",
        "It is a vectorizer of scikit-learn: a text becomes one row of numbers, a weight for each word, so a recurrent "
        "network reads one step, and nothing recurs. Unroll reads texts word by word, and has no such vectorizer",
    ),
    (b"sklearn", "Save the numbers of a scaler as JSON, and other steps of scikit-learn are not supported"),
)


def _way_out(content: bytes) -> str:
    return next((way for mark, way in _WAYS_OUT if mark in content), _OF_WEIGHTS)
