"""The streams of pieces that are open: a bounded number."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Overloaded

_RETRY_SECONDS = 5


class OpenStreams:
    """Streams that are open, at most `most`, and half of them for one key; a piece has at most `piece_bytes`."""

    def __init__(self, most: int, piece_bytes: int) -> None:
        self.piece_bytes = piece_bytes
        self._most = most
        self._open = Counter[str]()

    def __len__(self) -> int:
        return self._open.total()

    @contextmanager
    def one_more(self, key: str | None) -> Iterator[None]:
        """A stream of the key with this name, or of a client without one. Raises Overloaded."""
        sender = key or ""
        if len(self) >= self._most or (key is not None and self._open[key] >= max(1, self._most // 2)):
            raise Overloaded(
                f"{len(self)} streams are open; the limit is {self._most}, and half of them for one key: close one, or "
                f"retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._open[sender] += 1
        try:
            yield
        finally:
            self._open[sender] -= 1
            if not self._open[sender]:
                del self._open[sender]
