"""Text to token ids and back, as configured by a version's manifest. Does not import torch."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tokenizers import decoders
from tokenizers.models import WordLevel

from app.errors import InvalidManifest, UnknownWord
from app.store.text_input import TokenizerUse
from app.text.cleaning import Cleaning, Placed, followed
from app.text.placed_words import PlacedWord, Token, given_words, split_words
from app.text.tokenizer_file import read_tokenizer
from app.text.white_space import ends_in_space, plain
from app.text.word import Word
from app.text.word_ids import WordIds, reads_words_alone
from app.text.word_tokenizers import UNKNOWN, has_no_spelling
from app.text.words import cutter, in_lower_case, origin

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_JAMO = "".join(map(chr, (*range(0x1100, 0x1200), *range(0xA960, 0xA980), *range(0xD7B0, 0xD800))))
_UNSTABLE = "\N{REPLACEMENT CHARACTER}" + _JAMO  # the next token may change these characters at the end of a text
_QUOTED = 80  # maximum characters of a word in an error message
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """A token of a text: its spelling, and its characters `text[start:end]`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Token:
    """An id, its characters `text[start:end]`, and the number of its word before subwords."""

    id: int
    start: int
    end: int
    word: int = 0


class TextTokenizer:
    """A tokenizer file of the `tokenizers` library (subwords, words or characters) with the manifest's options.

    Methods that read a text raise UnknownWord if `tokenizer.unknown` is `refuse`. `reads_spaces`: it splits into
    characters, and a space is one, also at the ends of a text.
    """

    _hidden: frozenset[int] = frozenset()
    _joins_words = False
    reads_spaces = False

    def __init__(self, folder: Path, use: TokenizerUse) -> None:
        self._tokenizer = read_tokenizer(folder / use.file)
        self._tokenizer.encode_special_tokens = True  # "<eos>" in a user's text is five characters, not the token
        self._use = use
        self._cut = cutter(use.split, lower=use.lower)
        self._cleaning = Cleaning(use.cleaning)
        self._is_word_level = isinstance(self._tokenizer.model, WordLevel)
        self._joins_words = self._is_word_level and self._tokenizer.decoder is None
        self.reads_spaces = self._is_word_level and isinstance(self._tokenizer.decoder, decoders.Fuse)
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        self._unspelt = frozenset(token for spelling, token in vocabulary.items() if has_no_spelling(spelling))
        self._hidden = self._unspelt | frozenset(use.hidden)
        self._words = frozenset(token for spelling, token in vocabulary.items() if not _BYTE.fullmatch(spelling))
        self._words -= self._hidden
        self._unk = self._checked_unk(vocabulary)
        self._most = max((token for spelling, token in vocabulary.items() if spelling != UNKNOWN), default=0)
        self._reads_plainly = self._cut is None and use.unknown == "unk"
        reads_words = use.white_space == "plain" and not use.cleaning and reads_words_alone(self._tokenizer)
        self._word_ids = WordIds(self._tokenizer) if reads_words else None
        self._pieces: dict[int, str] = {}  # spellings that were needed so far

    @property
    def reads_empty(self) -> bool:
        """Whether a text without words is read."""
        return self._use.empty == "read"

    @property
    def cleans_quickly(self) -> bool:
        """Whether cleaning takes no more than a fraction of the time of splitting."""
        return self._cleaning.is_quick

    @property
    def reads_end(self) -> bool:
        """Whether a text that is too long loses its beginning."""
        return self._use.length is not None and (self._use.length.cut_side == "left") != self._use.reverse

    @property
    def longest(self) -> int | None:
        """The most ids of a source, where more are cut; None for any number."""
        return self._use.length.to if self._use.length else None

    def whole_length(self, text: str) -> int:
        """Source ids of a text before it is cut or padded."""
        return len(self._use.prepend) + len(self._read(text)) + len(self._use.append)

    @property
    def _pad(self) -> int | None:
        return self._use.length.pad if self._use.length else None

    def check_ids(self, vocabulary: int) -> None:
        """Raises InvalidManifest if a text may become an id that a network with this vocabulary does not have."""
        if not self._most < vocabulary:
            raise InvalidManifest(
                f"{self._use.file} has the id {self._most}; the ids of this network are 0 to {vocabulary - 1}"
            )

    def check_joins_words(self) -> None:
        """Raises InvalidManifest unless its texts are words with spaces between, one of which can be replaced."""
        if not self._joins_words:
            raise InvalidManifest(
                f"decoding.replace_unknown needs a vocabulary of whole words; {self._use.file} is none: leave it out"
            )

    def _checked_unk(self, vocabulary: dict[str, int]) -> int | None:
        """The file's id for unknown words."""
        unknown, spelling = self._use.unknown, getattr(self._tokenizer.model, "unk_token", None)
        if unknown == "unk" and spelling == UNKNOWN:
            raise InvalidManifest(f"{self._use.file} has no unknown token: set tokenizer.unknown")
        if isinstance(unknown, int) and (unknown not in vocabulary.values() or unknown == vocabulary.get(UNKNOWN)):
            raise InvalidManifest(f"tokenizer.unknown is {unknown}, which is not an id of {self._use.file}")
        return vocabulary.get(spelling) if spelling is not None else None

    def encode(self, text: str, *, most: int | None = None, before: Sequence[int] = ()) -> list[int]:
        """Source ids of a text, with prepended and appended ids, and with `before` right before its own; empty if the
        text has no tokens. Of a text with more than `most` ids the end is left out, or the beginning (`reads_end`)."""
        return self._source(self._shortened(self.encode_target(text), most, len(before)), before)

    def _source(self, ids: Sequence[int], before: Sequence[int] = ()) -> list[int]:
        """The source with these ids of a text."""
        if not (ids or self.reads_empty):
            return []
        return self._arranged(ids, [*self._use.prepend, *before], self._use.append, self._pad or 0)

    def encode_prefix(self, text: str, *, most: int | None = None) -> list[int]:
        """Source ids of a text to complete. Nothing is appended; an empty text gives the prepended ids. Of a text with
        more than `most` ids the beginning is left out."""
        ids = self.encode_target(text)
        return [*self._use.prepend, *(ids if most is None else ids[-max(1, most - len(self._use.prepend)) :])]

    def _room(self, most: int | None) -> int | None:
        """How many of a text's own ids fit into `most`."""
        length = self._use.length
        if length is not None and (most is None or length.to <= most):
            return None  # the source is cut where the model's own code cuts it
        return None if most is None else max(1, most - len(self._use.prepend) - len(self._use.append))

    def _shortened(self, own: Sequence[T], most: int | None, others: int = 0) -> Sequence[T]:
        """The ids of a text that fit into `most` with those that are added, and with `others`."""
        room = self._room(None if most is None else most - others)
        if room is None:
            return own
        return own[-room:] if self.reads_end else own[:room]

    def encode_target(self, text: str) -> list[int]:
        """Ids of an output text, without prepended or appended ids."""
        if self._reads_plainly:
            text, _ = self._prepared(text)
            if self._word_ids is not None:
                return self._word_ids(text)
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
            return ids
        return [token.id for token in self._read(text)]

    def pieces(self, text: str, *, most: int | None = None, before: Sequence[int] = ()) -> list[Piece]:
        """Spelling and characters of each source id of `encode`. Prepended ids have the empty range at the start of the
        text, appended ids the one at its end."""
        pieces = [self._piece(token, text) for token in self._shortened(self._read(text), most, len(before))]
        if not (pieces or self.reads_empty):
            return []
        first = [Piece(self.piece(token), 0, 0) for token in (*self._use.prepend, *before)]
        after = [Piece(self.piece(token), len(text), len(text)) for token in self._use.append]
        place = len(text) if self._use.length and self._use.length.pad_side == "right" else 0
        padding = Piece("" if self._pad is None else self.piece(self._pad), place, place)
        return self._arranged(pieces, first, after, padding)

    def _piece(self, token: _Token, text: str) -> Piece:
        piece, end = self.piece(token.id), token.end
        is_added_space = piece == " " and not ends_in_space(
            text[token.start : end]
        )  # marks a word, stands for no character
        if is_added_space or token.id in self._unspelt:
            end = token.start
        return Piece(piece, token.start, end)

    def encode_words(
        self, text: str, places: Sequence[tuple[int, int]] | None = None, *, most: int | None = None
    ) -> tuple[list[int], list[PlacedWord | None]]:
        """Source ids as `encode` gives them, and the words of the text, with the places of their tokens in these ids.
        The words are at `places`, with None for one without a token; without `places` the tokenizer splits the text."""
        own = self._shortened(self._read(text), most)
        ids = self._source([token.id for token in own])
        if not ids:
            return [], []
        none = -1
        numbers = self._arranged(range(len(own)), [none] * len(self._use.prepend), [none] * len(self._use.append), none)
        place_of = {number: place for place, number in enumerate(numbers)}
        tokens = [Token(token.start, token.end, token.word) for token in own]
        words = split_words(text, tokens) if places is None else given_words(text, places, tokens)
        return ids, [_moved(word, place_of) for word in words]

    def _arranged(self, own: Sequence[T], before: Sequence[T], after: Sequence[T], pad: T) -> list[T]:
        """A source in the order in which the network encodes it, padded or cut."""
        whole = [*before, *(reversed(own) if self._use.reverse else own), *after]
        length = self._use.length
        if length is None:
            return whole
        whole = whole[: length.to] if length.cut_side == "right" else whole[-length.to :]
        missing = [pad] * (length.to - len(whole)) if length.pad is not None else []
        return [*missing, *whole] if length.pad_side == "left" else [*whole, *missing]

    def _read(self, text: str) -> list[_Token]:
        """The ids of a text in text order, with unknown words replaced."""
        tokens = []
        for token in self._look_up(text):
            if token.id == self._unk and self._use.unknown != "unk":
                if self._use.unknown == "refuse":
                    word = text[token.start : token.end][:_QUOTED]
                    raise UnknownWord(f"the word {word!r} is not in the vocabulary", word=word)
                if self._use.unknown == "skip":
                    continue
                token = _Token(self._use.unknown, token.start, token.end, token.word)
            tokens.append(token)
        return tokens

    def _prepared(self, text: str) -> Placed:
        """The text that is split into words, and for each of its characters the index of the original one."""
        places: Sequence[int] = range(len(text))
        if self._use.white_space == "plain":
            text, places = plain(text)
        text, moved = self._cleaning(text)
        places = followed(places, moved)
        if self._use.lower and self._cut is None:
            text, moved = in_lower_case(text)
            places = followed(places, moved)
        return text, places

    def _look_up(self, text: str) -> list[_Token]:
        text, places = self._prepared(text)
        if self._cut is not None:
            tokens = self._look_up_words(self._cut(text))
        else:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            words = (number or 0 for number in encoding.word_ids)
            tokens = [
                _Token(id, *place, word) for id, place, word in zip(encoding.ids, encoding.offsets, words, strict=True)
            ]
        if isinstance(places, range):
            return tokens
        return [_Token(token.id, *origin(token.start, token.end, places), token.word) for token in tokens]

    def _look_up_words(self, words: Sequence[Word]) -> list[_Token]:
        encoding = self._tokenizer.encode([word.text for word in words], is_pretokenized=True, add_special_tokens=False)
        numbers = (number for number in encoding.word_ids if number is not None)
        return [
            _Token(id, words[number].start, words[number].end, number)
            for id, number in zip(encoding.ids, numbers, strict=True)
        ]

    def piece(self, token: int) -> str:
        """The spelling of a token: the first subword of a word begins with a space, a byte looks like `<0xEA>`."""
        spelling = self._pieces.get(token)
        if spelling is None:
            spelling = self._pieces[token] = self._spelling(token)
        return spelling

    def _spelling(self, token: int) -> str:
        if token in self._unspelt:
            return ""
        spelling = self._tokenizer.id_to_token(token) or ""
        return spelling if self._is_word_level else spelling.replace("\u2581", " ")

    def begun(self, text: str) -> str:
        """A text to continue, without spaces at its end, which belong to the next word."""
        return text if self.reads_spaces else text.rstrip()

    def decode(self, ids: Sequence[int], *, after: Sequence[int] = ()) -> str:
        """Text of output ids, without spaces at its end; with them if they are characters."""
        text = self.unstripped(ids, after=after)
        return text if self.reads_spaces else text.rstrip()

    def unstripped(self, ids: Sequence[int], *, after: Sequence[int] = ()) -> str:
        """Text of output ids, with spaces at its end. A space at its beginning is kept only if `after`, the ids before
        the output, is given; the text of `after` is not returned."""
        if not after:
            return self._decode(ids) if self.reads_spaces else self._decode(ids).lstrip()
        return self._decode([*after, *ids])[len(self._decode(after)) :]

    def place_of(self, token: int, ids: Sequence[int], *, after: Sequence[int] = ()) -> int:
        """The position in the text of `ids` at which the next token begins. Each token of a run of bytes begins where
        the run begins."""
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
        """The ids from the last one with a spelling of its own to the end: the context `after` of a completion."""
        first = len(ids) - 1
        while first > 0 and ids[first] not in self._words:
            first -= 1
        return list(ids[max(0, first) :])

    def settled(self, ids: Sequence[int], *, after: Sequence[int] = ()) -> str:
        """The prefix of the output text that no later id can change, with spaces at its end.

        Several tokens may spell one character: bytes of its UTF-8, or letters of a Hangul syllable. A run of bytes is
        decoded when a word follows it. A whole word is settled at once.
        """
        end = len(ids)
        while end and ids[end - 1] not in self._words:  # a byte, or an id without a spelling
            end -= 1
        text = self.unstripped(ids[:end], after=after)
        return text if self._joins_words else text.rstrip(_UNSTABLE)


def _moved(word: PlacedWord | None, place_of: Mapping[int, int]) -> PlacedWord | None:
    """The word with the places of its tokens in the source; None if the source was cut before one of them."""
    if word is None or word.first not in place_of or word.last not in place_of:
        return None
    return dataclasses.replace(word, first=place_of[word.first], last=place_of[word.last])
