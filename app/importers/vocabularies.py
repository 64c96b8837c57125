"""Vocabularies as public repositories save them: lists, dictionaries in both directions, objects that contain them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from app.errors import ImportFailed
from app.importers.reading import ForeignObject, Plain, read

Role = Literal["source", "target"]
_BY_ID = ("itos", "idx2word", "index2word", "int_to_vocab", "id2word")
_BY_WORD = ("word2idx", "word2index", "stoi", "vocab_to_int", "word2id", "token2id")
_FIRST = {0: "SOS", 1: "EOS"}  # of the tutorials' `Lang`, whose ids begin at 2
_HINTS: Mapping[Role, Sequence[str]] = {
    "source": ("source", "src", "input", "lang1", "de_vocab"),
    "target": ("target", "trg", "tgt", "output", "lang2", "en_vocab"),
}


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
    for name in (*_BY_ID, *_BY_WORD):
        if name in attributes:
            found = words_of(attributes[name])
            if found:
                return found
    return None


def _by_mapping(mapping: Mapping[Any, Any]) -> list[str] | None:
    """Id to word, or word to id."""
    items = list(mapping.items())
    if not items:
        return None
    if all(isinstance(word, str) and _is_id(number) for word, number in items):
        return _ordered({int(number): word for word, number in items}, len(items))
    if all(isinstance(word, str) and _is_id(number) for number, word in items):
        return _ordered({int(number): word for number, word in items}, len(items))
    return None


def _is_id(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdecimal())


def _ordered(words: dict[int, str], count: int) -> list[str]:
    if len(words) < count:
        raise ImportFailed("two words of the vocabulary have the same id; give a list of words, word 0 first")
    if 2 in words and not words.keys() & _FIRST.keys() and len(words) == max(words) - 1:
        words = _FIRST | words
    elif 0 not in words and len(words) == max(words):
        words = {0: "<pad>"} | words  # ids from 1: 0 is what fills up
    if sorted(words) != list(range(len(words))):
        missing = next(number for number in range(len(words)) if number not in words)
        raise ImportFailed(f"the vocabulary has no word with id {missing}")
    return [words[number] for number in range(len(words))]


def read_words(path: Path) -> list[str]:
    """The words in a file. Raises ImportFailed if it is not a vocabulary."""
    words = words_of(read(path))
    if words is None:
        raise ImportFailed(f"{path.name} is not a known kind of vocabulary: give a JSON list of words, word 0 first")
    return words


def assign(
    roles: Sequence[Role], given: Sequence[tuple[Role | None, list[str]]], inside: Mapping[str, list[str]]
) -> dict[Role, Sequence[str]]:
    """The words of each role: those that the user gave, else those inside the checkpoint.

    Raises ImportFailed, which says what is missing and how to give it.
    """
    words: dict[Role, Sequence[str]] = {role: found for role, found in given if role is not None}
    nameless = [found for role, found in given if role is None]
    open_roles = [role for role in roles if role not in words]
    if nameless and len(nameless) == len(open_roles) == 1:
        words[open_roles[0]] = nameless[0]
    elif nameless:
        raise ImportFailed(
            f"{len(nameless)} vocabularies have no role, and {len(open_roles)} roles are open: name the role of each, "
            + " ".join(f"--vocab {role}=FILE" for role in roles)
        )
    for role in roles:
        if role not in words:
            words[role] = _inside(role, roles, inside)
    return words


def _inside(role: Role, roles: Sequence[Role], inside: Mapping[str, list[str]]) -> list[str]:
    hinted = [words for path, words in inside.items() if any(hint in path.lower() for hint in _HINTS[role])]
    if len(hinted) == 1:
        return hinted[0]
    if len(inside) == len(roles) == 1:
        return next(iter(inside.values()))
    raise ImportFailed(f"the checkpoint contains no {role} vocabulary: add --vocab {role}=FILE")
