"""Vocabularies as public repositories save them: lists, dictionaries in both directions, objects that contain them."""

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from app.errors import ImportFailed
from app.importers.reading import ForeignObject, Plain, read
from app.text.word_tokenizers import no_word

Role = Literal["source", "target"]
_BY_ID = (
    "itos",
    "idx2word",
    "index2word",
    "int_to_vocab",
    "id2word",
    "index_word",
    "ix_to_word",
    "idx_to_word",
    "int2char",
    "idx2char",
    "idx_to_char",
    "ix_to_char",
    "indices_char",
    "id2token",
    "idx_to_token",
)
_BY_WORD = (
    "word2idx",
    "word2index",
    "stoi",
    "vocab_to_int",
    "word2id",
    "token2id",
    "word_index",
    "word_to_ix",
    "word_to_idx",
    "char2int",
    "char2idx",
    "char_to_idx",
    "char_to_ix",
    "char_indices",
    "token_to_idx",
    "token_to_id",
)
_FIRST_OF_WORDS = 4  # ids below may be marks that a vocabulary leaves out
_UNKNOWN = 0  # of torchtext
_MOST_DIGITS = 18
_FEW = 6
_NAMES_WORDS = (
    "vocab",
    "word",
    "char",
    "letter",
    "token",
    "stoi",
    "itos",
    "idx",
    "index",
    "ix",
    "2id",
    "id2",
    "lang",
    "dict",
    "alphabet",
)
LETTERS = (  # names of a text whose characters are a vocabulary
    "all_letters",
    "letters",
    "chars",
    "all_chars",
    "characters",
    "all_characters",
    "charset",
    "alphabet",
)
_ONE_HOT = ("vocab", "word", "char", "letter", "token", "stoi", "itos", "alphabet")
_MOST_AXES = 9  # single characters that may name columns: x, y, z
_FIRST = {0: "SOS", 1: "EOS"}  # of the tutorials' `Lang`, whose ids begin at 2


def words_of(plain: Plain) -> list[str] | None:
    """Words by id; None if this is not a vocabulary. Lists by id are preferred: a torchtext `stoi` grows with every
    unknown word that is looked up."""
    if isinstance(plain, ForeignObject):
        return _words_of_object(plain)
    if isinstance(plain, Mapping):
        named = _named(plain)
        return named if named is not None else _by_mapping(plain)
    if isinstance(plain, list | tuple) and plain and all(isinstance(word, str) for word in plain):
        return list(plain)
    return None


def words_alone(mapping: Mapping[Any, Any]) -> list[str] | None:
    """Words by id of a dictionary that is nothing but a vocabulary: a Tokenizer of Keras, or words and their ids."""
    return _named(mapping) if mapping.get("class_name") == "Tokenizer" else _by_mapping(mapping)


def may_be_settings(plain: Plain, path: str) -> bool:
    """Whether a small dictionary inside of a file may be settings, such as `{"layers": 1}`, rather than words and their
    ids: nothing on its path says that it has words."""
    return (
        isinstance(plain, Mapping)
        and "." in path
        and len(plain) < _FEW
        and all(isinstance(value, int) for value in plain.values())
        and not _are_tags(plain)
        and not any(name in path.lower() for name in _NAMES_WORDS)
    )


def may_be_one_hot(path: str, words: Sequence[str]) -> bool:
    """Whether numbers of a step may be one-hot rows of this list: of more characters than columns have names of one
    letter, or of a list that is named for words."""
    return any(name in path.lower() for name in _ONE_HOT) or (
        len(words) > _MOST_AXES and all(len(word) == 1 for word in words)
    )


def _are_tags(plain: Mapping[Any, Any]) -> bool:
    """Whether names have the ids from 0 on, and are in capitals or with marks as no setting is: B-PER, <START>."""
    names = [name for name in plain if isinstance(name, str)]
    are_ids = sorted(plain.values()) == list(range(len(plain)))
    return are_ids and len(names) == len(plain) and all(name == name.upper() for name in names)


def repeats(name: str, siblings: Mapping[Any, Any]) -> bool:
    """Whether an entry has the words of a sibling in the other direction: lists by id are preferred."""
    return name in _BY_WORD and any(other in siblings for other in _BY_ID)


def _words_of_object(stub: ForeignObject) -> list[str] | None:
    found = _named(stub.state)
    if found is not None:
        return found
    fields = stub.state.get("fields")  # of OpenNMT's TextMultiField: pairs of a name and a field, the words first
    for pair in fields if isinstance(fields, list) else ():
        if (
            isinstance(pair, tuple)
            and len(pair) == 2
            and isinstance(pair[1], ForeignObject)
            and (found := words_of(pair[1]))
        ):
            return found
    for inner in (stub.state.get("vocab"), stub.state.get("state"), *stub.args):
        if isinstance(inner, ForeignObject):
            found = words_of(inner)
        elif isinstance(inner, tuple | list):
            found = next((words for item in inner if (words := words_of(item)) and len(words) > 1), None)
        if found:
            return found
    return _by_mapping(stub.entries)


def _named(attributes: Mapping[Any, Any]) -> list[str] | None:
    """The words of an object or a dictionary that has them under a usual name. A dictionary with words of several roles
    is no vocabulary itself."""
    if attributes.get("class_name") == "Tokenizer" and isinstance(attributes.get("config"), Mapping):
        return _of_keras(attributes["config"])
    for names in (_BY_ID, _BY_WORD):
        found = [words for name in names if name in attributes and (words := words_of(attributes[name]))]
        if found:
            return found[0][: _most_words(attributes)]
    return None


def _most_words(attributes: Mapping[Any, Any]) -> int | None:
    """`num_words` of a Tokenizer of Keras: words with this id and above are unknown to it."""
    most = attributes.get("num_words") if "word_index" in attributes else None
    return most if isinstance(most, int) and most > 0 else None


def _of_keras(config: Mapping[str, Any]) -> list[str] | None:
    """The words of `Tokenizer.to_json()`, whose inner values are JSON in text."""
    try:
        words = words_of(json.loads(config["word_index"]))
        return words[: _most_words(config)] if words else None
    except (KeyError, TypeError, ValueError):
        return None


def _by_mapping(mapping: Mapping[Any, Any]) -> list[str] | None:
    """Id to word, or word to id."""
    items = list(mapping.items())
    if not items:
        return None
    if all(isinstance(word, str) and _is_id(number) for word, number in items):
        return _ordered([(int(number), word) for word, number in items])
    if all(isinstance(word, str) and _is_id(number) for number, word in items):
        return _ordered([(int(number), word) for number, word in items])
    return None


def _is_id(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and len(value) <= _MOST_DIGITS and value.isdecimal()
    )


def _ordered(items: Sequence[tuple[int, str]]) -> list[str]:
    words: dict[int, str] = {}
    for number, word in sorted(items, key=itemgetter(0)):
        if number > len(words) + _FIRST_OF_WORDS:
            raise _missing(words)  # at once: ids that are far apart may collide in a table
        if number in words and number != _UNKNOWN:
            raise ImportFailed(
                f"two words of the vocabulary have the same id {number}; give a list of words, word 0 first"
            )
        words.setdefault(number, word)  # a torchtext `stoi` has each unknown word that was looked up, too
    if 2 in words and not words.keys() & _FIRST.keys() and len(words) == max(words) - 1:
        words = _FIRST | words
    elif 0 not in words and len(words) == max(words):
        words = {0: "<pad>"} | words  # ids from 1: 0 is what fills up
    words |= {
        number: no_word(number) for number in range(_FIRST_OF_WORDS) if number not in words and len(words) > number
    }
    if sorted(words) != list(range(len(words))):
        raise _missing(words)
    return [words[number] for number in range(len(words))]


def _missing(words: Mapping[int, str]) -> ImportFailed:
    missing = next(number for number in range(len(words) + 1) if number not in words)
    return ImportFailed(f"the vocabulary has no word with id {missing}")


@dataclass(frozen=True)
class WordFile:
    """A vocabulary that the user gave: its role, if named, the words, the whole content and the name of its file."""

    role: Role | None
    words: list[str]
    content: Plain
    file: str


_LETTERS = string.ascii_letters + " .,;'"  # of the tutorials on names
BUILT_IN: Mapping[str, Sequence[str]] = {  # vocabularies without a file
    "printable": tuple(string.printable),
    "letters": tuple(_LETTERS),
    "letters_": tuple(_LETTERS + "_"),
}


def read_words(path: Path, role: Role | None = None) -> WordFile:
    """The words in a file, or of a name in `BUILT_IN`. Raises ImportFailed if it is not a vocabulary."""
    if str(path) in BUILT_IN and not path.exists():
        letters = list(BUILT_IN[str(path)])
        return WordFile(role, letters, letters, str(path))
    content = read(path)
    words = words_of(content) or _inside(content)
    if words is None:
        raise ImportFailed(f"{path.name} is not a known kind of vocabulary: give a JSON list of words, word 0 first")
    return WordFile(role, words, content, path.name)


def _inside(plain: Plain) -> list[str] | None:
    """The only vocabulary in a file that holds more, such as a checkpoint, or the words of fastai's `dls.vocab`, whose
    other list are the labels."""
    if isinstance(plain, list | tuple) and len(plain) == 2 and (lists := [words_of(part) for part in plain]):
        return max((words for words in lists if words), key=len, default=None)
    values = plain.values() if isinstance(plain, Mapping) else ()
    found = [words for value in values if isinstance(value, Mapping | ForeignObject) and (words := words_of(value))]
    return found[0] if len(found) == 1 else None
