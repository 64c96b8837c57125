"""The text of output ids that arrive one after the other, at a bounded cost for each."""

from collections.abc import Sequence

from app.text.tokenizer import TextTokenizer

_WINDOW = 32  # ids that are decoded again for the next one, at least; at most twice as many, or a longer run of bytes


class GrowingText:
    """A text that grows by ids. `after`: the ids before it, as in `TextTokenizer.unstripped`.

    The text of ids far from the end cannot change. It is kept, and only the last ids are decoded again, as a text after
    them.
    """

    def __init__(self, tokenizer: TextTokenizer, after: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._after = list(after)
        self._kept = ""
        self._ids: list[int] = []  # after the kept text

    def copy(self) -> "GrowingText":
        """A text that grows on its own from here."""
        copy = GrowingText(self._tokenizer, self._after)
        copy._kept, copy._ids = self._kept, list(self._ids)
        return copy

    def add(self, token: int) -> None:
        """The next id."""
        self._ids.append(token)
        if len(self._ids) >= 2 * _WINDOW:
            self._keep(self._ids[:-_WINDOW])

    def _keep(self, ids: Sequence[int]) -> None:
        text = self._tokenizer.unstripped(ids, after=self._after)
        is_blank = not (self._kept or text.strip())  # spaces at the beginning are removed with what follows
        if is_blank or self._tokenizer.settled(ids, after=self._after) != text:
            return
        self._kept += text
        self._after = self._tokenizer.end_of([*self._after, *ids])
        del self._ids[: len(ids)]

    def place_of(self, token: int) -> int:
        """See `TextTokenizer.place_of`."""
        return len(self._kept) + self._tokenizer.place_of(token, self._ids, after=self._after)

    @property
    def settled(self) -> str:
        """See `TextTokenizer.settled`."""
        return self._kept + self._tokenizer.settled(self._ids, after=self._after)

    @property
    def unstripped(self) -> str:
        """See `TextTokenizer.unstripped`."""
        return self._kept + self._tokenizer.unstripped(self._ids, after=self._after)
