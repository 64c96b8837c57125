"""Text to token ids and back, as a version's manifest says. Free of torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from app.errors import InvalidManifest, UnknownWord
from app.store.manifest import TokenizerUse
from app.text.word_tokenizers import EMPTY, UNKNOWN
from app.text.words import Word, cutter, in_lower_case, origin

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_JAMO = "".join(map(chr, (*range(0x1100, 0x1200), *range(0xA960, 0xA980), *range(0xD7B0, 0xD800))))
_UNSETTLED = "\N{REPLACEMENT CHARACTER}" + _JAMO  # at the end of a text, the next token may change what it looks like
_NAMED = 80  # characters of a word that is refused
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """A token of a text: how it is spelt, and from which character of the text to before which one it reaches."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Token:
    """An id of a text, and its place in it."""

    id: int
    start: int
    end: int


class TextTokenizer:
    """A tokenizer file of the `tokenizers` library, of subwords, words or characters, with what the manifest says of
    its use."""

    _hidden: frozenset[int] = frozenset()
    _joins_words = False

    def __init__(self, folder: Path, use: TokenizerUse) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / use.file))
        except Exception as error:  # the library raises plain Exception
            raise InvalidManifest(f"{use.file} is not a tokenizer: {error}") from error
        self._tokenizer.encode_special_tokens = True  # "<eos>" in a text is five letters, not the end
        self._use = use
        self._cut = cutter(use.split, lower=use.lower)
        self._is_word_level = isinstance(self._tokenizer.model, WordLevel)
        self._joins_words = self._is_word_level and self._tokenizer.decoder is None
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        self._unspelt = frozenset(vocabulary[spelling] for spelling in (UNKNOWN, EMPTY) if spelling in vocabulary)
        self._hidden = self._unspelt | frozenset(use.hidden)
        self._words = frozenset(token for spelling, token in vocabulary.items() if not _BYTE.fullmatch(spelling))
        self._words -= self._hidden
        self._unk = self._checked_unk(vocabulary)
        self._reads_plainly = self._cut is None and not use.lower and use.unknown == "unk"

    def _checked_unk(self, vocabulary: dict[str, int]) -> int | None:
        """The file's id for unknown words."""
        unknown, spelling = self._use.unknown, getattr(self._tokenizer.model, "unk_token", None)
        if unknown == "unk" and spelling == UNKNOWN:
            raise InvalidManifest(f"{self._use.file} has no unknown word, and tokenizer.unknown does not say another")
        if isinstance(unknown, int) and (unknown not in vocabulary.values() or unknown == vocabulary.get(UNKNOWN)):
            raise InvalidManifest(f"tokenizer.unknown is {unknown}, which is no id of {self._use.file}")
        return vocabulary.get(spelling) if spelling is not None else None

    def encode(self, text: str) -> list[int]:
        """Source ids of one text; empty for a text without any token, whatever is put around others. Raises
        UnknownWord, as everything that reads a text does."""
        ids = self.encode_target(text)
        pad = self._use.left_pad
        return self._arranged(ids, self._use.prepend, self._use.append, pad.id if pad else 0) if ids else []

    def encode_prefix(self, text: str) -> list[int]:
        """Source ids of a text that is to be gone on with, be it empty: nothing is appended."""
        return [*self._use.prepend, *self.encode_target(text)]

    def encode_target(self, text: str) -> list[int]:
        """Ids of a text that is to be emitted: nothing is put around it."""
        if self._reads_plainly:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
            return ids
        return [token.id for token in self._read(text)]

    def pieces(self, text: str) -> list[Piece]:
        """Where the source ids of a text come from; those put around it from its beginning and its end."""
        pieces = [self._piece(token, text) for token in self._read(text)]
        if not pieces:
            return []
        before = [Piece(self.piece(token), 0, 0) for token in self._use.prepend]
        after = [Piece(self.piece(token), len(text), len(text)) for token in self._use.append]
        pad = self._use.left_pad
        return self._arranged(pieces, before, after, Piece(self.piece(pad.id) if pad else "", 0, 0))

    def _piece(self, token: _Token, text: str) -> Piece:
        piece, end = self.piece(token.id), token.end
        is_put_before = piece == " " and not text[token.start : end].isspace()  # a word's beginning, no character
        if is_put_before or token.id in self._unspelt:
            end = token.start
        return Piece(piece, token.start, end)

    def _arranged(self, own: Sequence[T], before: Sequence[T], after: Sequence[T], pad: T) -> list[T]:
        """A source in the order in which it is read."""
        whole = [*before, *(reversed(own) if self._use.reverse else own), *after]
        if self._use.left_pad is None:
            return whole
        length = self._use.left_pad.to
        return [pad] * (length - len(whole)) + whole[:length]

    def _read(self, text: str) -> list[_Token]:
        """The ids of a text and their places, in its order."""
        tokens = []
        for token in self._look_up(text):
            if token.id == self._unk and self._use.unknown != "unk":
                if self._use.unknown == "refuse":
                    word = text[token.start : token.end][:_NAMED]
                    raise UnknownWord(f"the word {word!r} is not in the vocabulary", word=word)
                if self._use.unknown == "skip":
                    continue
                token = _Token(self._use.unknown, token.start, token.end)
            tokens.append(token)
        return tokens

    def _look_up(self, text: str) -> list[_Token]:
        if self._cut is not None:
            return self._look_up_words(self._cut(text))
        lowered, origins = in_lower_case(text) if self._use.lower else (text, range(len(text)))
        encoding = self._tokenizer.encode(lowered, add_special_tokens=False)
        places = (origin(start, end, origins) for start, end in encoding.offsets)
        return [_Token(id, *place) for id, place in zip(encoding.ids, places, strict=True)]

    def _look_up_words(self, words: Sequence[Word]) -> list[_Token]:
        encoding = self._tokenizer.encode([word.text for word in words], is_pretokenized=True, add_special_tokens=False)
        numbers = (number for number in encoding.word_ids if number is not None)
        places = (words[number] for number in numbers)
        return [_Token(id, place.start, place.end) for id, place in zip(encoding.ids, places, strict=True)]

    def piece(self, token: int) -> str:
        """How one token is spelt: a subword at a word's beginning with a space, a byte as `<0xEA>`."""
        spelling = self._tokenizer.id_to_token(token) or ""
        if token in self._unspelt:
            return ""
        return spelling if self._is_word_level else spelling.replace("\u2581", " ")

    def decode(self, ids: Sequence[int], *, after: Sequence[int] = ()) -> str:
        """Text of emitted ids."""
        return self.unstripped(ids, after=after).rstrip()

    def unstripped(self, ids: Sequence[int], *, after: Sequence[int] = ()) -> str:
        """Text of emitted ids with the spaces at its end. The one at its beginning is kept if it goes on from what
        `after` spells, which is not part of it."""
        if not after:
            return self._decode(ids).lstrip()
        return self._decode([*after, *ids])[len(self._decode(after)) :]

    def place_of(self, token: int, ids: Sequence[int], *, after: Sequence[int] = ()) -> int:
        """Where a token that is emitted next begins in the text; of a run of bytes, which is read as a whole, each
        begins where the run does."""
        end = len(ids)
        if token not in self._words:
            while end and ids[end - 1] not in self._words:
                end -= 1
        return len(self.unstripped(ids[:end], after=after))

    def _decode(self, ids: Sequence[int]) -> str:
        shown = [token for token in ids if token not in self._hidden] if self._hidden else ids
        text: str = self._tokenizer.decode(shown, skip_special_tokens=False)
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
        whole when a word has ended it; Hangul may be spread over letters. Whole words are settled as they come.
        """
        end = len(ids)
        while end and ids[end - 1] not in self._words:  # a byte, or an id that is not spelt
            end -= 1
        text = self.unstripped(ids[:end], after=after)
        return text if self._joins_words else text.rstrip(_UNSETTLED)
