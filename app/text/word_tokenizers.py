"""Builds tokenizer files for vocabularies of whole words, with the word rules of well-known training code.

Importers call this. Requests use only the resulting file, in `TextTokenizer`.
"""

import re
import string
from collections.abc import Sequence
from typing import Literal, get_args

from tokenizers import Regex, Tokenizer, decoders
from tokenizers.decoders import Decoder
from tokenizers.models import WordLevel
from tokenizers.normalizers import NFD, Lowercase, Normalizer, Replace
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import PreTokenizer, Split
from tokenizers.pre_tokenizers import Sequence as PreTokenizers

from app.errors import InvalidVocabulary

Rules = Literal[
    "spaces",
    "spaces_lower",
    "basic_english",
    "pytorch_tutorial",
    "pytorch_tutorial_2017",
    "chatbot",
    "udacity",
    "characters",
    "joeynmt_characters",
    "spacy_en",
    "spacy_de",
    "spacy",
    "nltk",
    "fastai",
]
RULES: tuple[Rules, ...] = get_args(Rules)

UNKNOWN = "\0unknown"  # unknown token of a file whose vocabulary has none; the network does not have its id
_SPELT_BY_ID = re.compile(r"\0\d+")
_ESCAPED = "\u2581"  # joeynmt's character for a space
EMPTY = "\0empty"  # the empty word that `split(' ')` returns for a space at the start or end of a text

_SPACE = r"[\s\x{1c}-\x{1f}]"  # Python's `str.isspace`, which accepts more than Unicode's space class
_CASED = r"[\p{Cased}&&[^\p{Case_Ignorable}]]"
_SIGMA = rf"{_CASED}\p{{Case_Ignorable}}*+\KΣ(?!\p{{Case_Ignorable}}*+{_CASED})"
SPACES = Split(Regex(f"{_SPACE}+"), "removed")  # `str.split`
CHARACTERS = Split(Regex(r"[\s\S]"), "isolated")
_LOWER = [Replace(Regex(_SIGMA), "ς"), Lowercase()]  # `str.lower` writes the sigma at the end of a word as ς
_TO_ASCII = [Lowercase(), NFD(), Replace(Regex(r"\p{Mn}"), "")]

# torchtext/data/utils.py, `_basic_english_normalize`, in the same order.
_BASIC_ENGLISH = [
    Replace("'", " '  "),
    Replace('"', ""),
    Replace(".", " . "),
    Replace("<br />", " "),
    Replace(",", " , "),
    Replace("(", " ( "),
    Replace(")", " ) "),
    Replace("!", " ! "),
    Replace("?", " ? "),
    Replace(";", " "),
    Replace(":", " "),
]


def build(rules: Rules, words: Sequence[str], *, unk: str | None, stop_words: Sequence[str] = ()) -> Tokenizer:
    """A tokenizer file in which `words[i]` has the id i (see `no_word`). `unk` is the word that replaces unknown
    words. Without it the manifest must set `TokenizerUse.unknown`. A text loses its `stop_words`."""
    vocabulary = _numbered(words)
    normalizers, pre_tokenizer = _steps(rules, has_empty="" in vocabulary)
    if rules == "pytorch_tutorial_2017" and "" in vocabulary:
        vocabulary[EMPTY] = vocabulary.pop("")
    decoder: Decoder | None = None
    if rules == "characters":
        decoder = decoders.Fuse()
    if rules == "joeynmt_characters":
        decoder = decoders.Sequence([decoders.Replace(_ESCAPED, " "), decoders.Fuse()])
    pre_tokenizers = [step for step in (pre_tokenizer, *without(stop_words)) if step is not None]
    return _file(vocabulary, unk, normalizers, pre_tokenizers, decoder)


def word_file(
    words: Sequence[str],
    *,
    unk: str | None,
    normalizers: Sequence[Normalizer] = (),
    pre_tokenizers: Sequence[PreTokenizer] = (),
    decoder: Decoder | None = None,
) -> Tokenizer:
    """A tokenizer file like that of `build`, with rules of its own. Without a decoder, words are joined by spaces."""
    return _file(_numbered(words), unk, normalizers, pre_tokenizers, decoder)


def _file(
    vocabulary: dict[str, int],
    unk: str | None,
    normalizers: Sequence[Normalizer],
    pre_tokenizers: Sequence[PreTokenizer],
    decoder: Decoder | None,
) -> Tokenizer:
    if unk is None:
        unk = UNKNOWN
        vocabulary[unk] = len(vocabulary)
    elif unk not in vocabulary:
        raise InvalidVocabulary(f"the unknown token {unk!r} is not in the vocabulary of {len(vocabulary)} words")
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=unk))
    if normalizers:
        tokenizer.normalizer = Normalizers(list(normalizers))
    if pre_tokenizers:
        tokenizer.pre_tokenizer = PreTokenizers(list(pre_tokenizers))
    if decoder is not None:
        tokenizer.decoder = decoder
    return tokenizer


def any_of(letters: str) -> str:
    """A pattern for one of these letters."""
    return "[" + "".join(f"\\x{{{ord(letter):x}}}" for letter in letters) + "]"


def no_word(token: int) -> str:
    """The entry of a vocabulary for an id that no text becomes and that has no spelling, such as padding."""
    return f"\0{token}"


def has_no_spelling(word: str) -> bool:
    """Whether a word of a file stands for an id without a spelling."""
    return word in (UNKNOWN, EMPTY) or _SPELT_BY_ID.fullmatch(word) is not None


def without(stop_words: Sequence[str]) -> list[PreTokenizer]:
    """Steps behind the splitting of a text that remove these words."""
    words = "|".join(re.escape(word) for word in stop_words if word)
    return [Split(Regex(rf"\A(?:{words})\z"), "removed")] if words else []


def split_of(rules: Rules) -> str:
    """The value of `TokenizerUse.split` for these rules. Append the language to that of `spacy`."""
    return {"spacy_en": "spacy:en", "spacy_de": "spacy:de", "spacy": "spacy:", "nltk": "nltk", "fastai": "fastai"}.get(
        rules, "file"
    )


def _numbered(words: Sequence[str]) -> dict[str, int]:
    vocabulary: dict[str, int] = {}
    for index, word in enumerate(words):
        if not isinstance(word, str):
            raise InvalidVocabulary(f"the vocabulary has no word for id {index}: {word!r} is not a string")
        if has_no_spelling(word) and word != no_word(index):
            raise InvalidVocabulary(f"the vocabulary has the reserved word {word!r} at id {index}")
        if (first := vocabulary.setdefault(word, index)) != index:
            raise InvalidVocabulary(f"the vocabulary has the word {word!r} twice, as ids {first} and {index}")
    if not vocabulary:
        raise InvalidVocabulary("the vocabulary is empty")
    return vocabulary


def _steps(rules: Rules, *, has_empty: bool) -> tuple[list[Normalizer], PreTokenizer | None]:
    """The normalizers in order, and the pre-tokenizer that splits the text into words."""
    match rules:
        case "spaces":
            return [], SPACES
        case "spaces_lower":
            return [*_LOWER], SPACES
        case "basic_english":
            return [*_LOWER, *_BASIC_ENGLISH], SPACES
        case "udacity":
            return [*_LOWER, Replace(Regex(f"[{re.escape(string.punctuation)}]"), "")], SPACES
        case "pytorch_tutorial":
            return [*_TO_ASCII, *_spaced("!?")], SPACES
        case "chatbot":
            return [*_TO_ASCII, *_spaced(".!?")], SPACES
        case "pytorch_tutorial_2017":
            stripped = Replace(Regex(rf"\A{_SPACE}+|(?<!{_SPACE}){_SPACE}++\z"), "")
            ends = [Replace(Regex(r"\A "), f"{EMPTY} "), Replace(Regex(r" \z"), f" {EMPTY}")] if has_empty else []
            return [stripped, *_TO_ASCII, *_spaced(".!?"), *ends], Split(" ", "removed")
        case "characters":
            return [], CHARACTERS
        case "joeynmt_characters":
            return [Replace(" ", _ESCAPED)], CHARACTERS
        case "spacy_en" | "spacy_de" | "spacy" | "nltk" | "fastai":
            return [], None


def _spaced(marks: str) -> list[Normalizer]:
    """Put a space before each mark, and replace each run of other characters than marks and ASCII letters by one
    space."""
    return [*(Replace(mark, f" {mark}") for mark in marks), Replace(Regex(f"[^a-zA-Z{marks}]+"), " ")]
