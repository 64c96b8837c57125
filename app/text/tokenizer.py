"""Text to token ids and back, as a version's manifest says. Free of torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from app.errors import InvalidManifest
from app.store.manifest import TokenizerUse

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_JAMO = "".join(map(chr, (*range(0x1100, 0x1200), *range(0xA960, 0xA980), *range(0xD7B0, 0xD800))))
_UNSETTLED = "\N{REPLACEMENT CHARACTER}" + _JAMO  # at the end of a text, the next token may change what it looks like


@dataclass(frozen=True, slots=True)
class Piece:
    """A token of a text: how it is spelt, and from which character of the text to before which one it reaches."""

    text: str
    start: int
    end: int


class TextTokenizer:
    """A tokenizer file of the `tokenizers` library, with the ids that a source ends in."""

    def __init__(self, folder: Path, use: TokenizerUse) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / use.file))
        except Exception as error:  # the library raises plain Exception
            raise InvalidManifest(f"{use.file} is not a tokenizer: {error}") from error
        self._tokenizer.encode_special_tokens = True  # "<eos>" in a text is five letters, not the end
        self._prepend, self._append = list(use.prepend), list(use.append)
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        self._words = frozenset(token for spelling, token in vocabulary.items() if not _BYTE.fullmatch(spelling))

    def encode(self, text: str) -> list[int]:
        """Source ids of one text; empty for a text without any token, whatever is put around others."""
        ids = self.encode_target(text)
        return self._prepend + ids + self._append if ids else []

    def encode_prefix(self, text: str) -> list[int]:
        """Source ids of a text that is to be gone on with, be it empty: nothing is appended."""
        return self._prepend + self.encode_target(text)

    def encode_target(self, text: str) -> list[int]:
        """Ids of a text that is to be emitted: nothing is put around it."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def pieces(self, text: str) -> list[Piece]:
        """Where the source ids of a text come from; those put around it from its beginning and its end."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        pieces = [Piece(self.piece(token), 0, 0) for token in self._prepend]
        for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            piece = self.piece(token)
            is_put_before = piece == " " and not text[start:end].isspace()  # a word's beginning that is no character
            pieces.append(Piece(piece, start, start if is_put_before else end))
        return pieces + [Piece(self.piece(token), len(text), len(text)) for token in self._append]

    def piece(self, token: int) -> str:
        """How one token is spelt: a word's beginning with a space, a byte as `<0xEA>`."""
        return (self._tokenizer.id_to_token(token) or "").replace("\u2581", " ")

    def decode(self, ids: Sequence[int], *, after: Sequence[int] = ()) -> str:
        """Text of emitted ids."""
        return self.unstripped(ids, after=after).rstrip()

    def unstripped(self, ids: Sequence[int], *, after: Sequence[int] = ()) -> str:
        """Text of emitted ids with the spaces at its end. The one at its beginning is kept if it goes on from what
        `after` spells, which is not part of it."""
        if not after:
            return self._decode(ids).lstrip()
        return self._decode([*after, *ids])[len(self._decode(after)) :]

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def end_of(self, ids: Sequence[int]) -> list[int]:
        """The last ids of a source that have a spelling of their own: what a text goes on from (`after`)."""
        first = len(ids) - 1
        while first > 0 and ids[first] not in self._words:
            first -= 1
        return list(ids[max(0, first) :])

    def settled(self, ids: Sequence[int], *, after: Sequence[int] = ()) -> str:
        """The beginning of the text of emitted ids that no further id can change, spaces at its end included.

        A character may be spread over several tokens, each a byte or more of its UTF-8, and a run of bytes is read as a
        whole when a word has ended it; Hangul may be spread over letters.
        """
        end = len(ids)
        while end and ids[end - 1] not in self._words:  # a byte, or an id that the tokenizer skips
            end -= 1
        return self.unstripped(ids[:end], after=after).rstrip(_UNSETTLED)
