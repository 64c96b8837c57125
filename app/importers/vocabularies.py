"""Vocabularies as public repositories save them: lists, dictionaries either way round, objects with either inside."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import ImportFailed
from app.importers.formats.torch_files import Plain, Stub
from app.importers.layout import Vocabulary
from app.store.manifest import TokenizerUse
from app.text.word_tokenizers import RULES, build, split_of

_BY_ID = ("itos", "idx2word", "index2word", "int_to_vocab", "id2word")
_BY_WORD = ("word2idx", "word2index", "stoi", "vocab_to_int", "word2id", "token2id")
_FIRST = {0: "SOS", 1: "EOS"}  # of the tutorials' `Lang`, whose ids begin at 2


def words_of(plain: Plain) -> list[str] | None:
    """Words by id, if that is what it is. A torchtext `stoi` grows with every unknown word that it was asked for, so
    lists by id come first."""
    if isinstance(plain, Stub):
        return _words_of_object(plain)
    if isinstance(plain, Mapping):
        named = _named(plain)
        return named if named is not None else _by_mapping(plain)
    if isinstance(plain, list | tuple) and plain and all(isinstance(word, str) for word in plain):
        return list(plain)
    return None


def _words_of_object(stub: Stub) -> list[str] | None:
    found = _named(stub.state)
    if found is not None:
        return found
    fields = stub.state.get("fields")  # of OpenNMT's TextMultiField: pairs of a name and a field, the words first
    for pair in fields if isinstance(fields, list) else ():
        if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Stub) and (found := words_of(pair[1])):
            return found
    for inner in (stub.state.get("vocab"), stub.state.get("state"), *stub.args):
        if isinstance(inner, Stub):
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
        raise ImportFailed("two words of the vocabulary have the same id; bring the list of words by id instead")
    if 2 in words and not words.keys() & _FIRST.keys() and len(words) == max(words) - 1:
        words = _FIRST | words
    elif 0 not in words and len(words) == max(words):
        words = {0: "<pad>"} | words  # ids from 1: 0 is what fills up
    if sorted(words) != list(range(len(words))):
        missing = next(number for number in range(len(words)) if number not in words)
        raise ImportFailed(f"the vocabulary has no word with id {missing}")
    return [words[number] for number in range(len(words))]


def index_of(words: Sequence[str], word: str, what: str) -> int:
    """Raises ImportFailed if it is not there."""
    try:
        return words.index(word)
    except ValueError as error:
        raise ImportFailed(f"the {what} vocabulary has no {word}") from error


def word_vocabulary(words: Sequence[str], rules: str, *, unk: str | None, **use: Any) -> Vocabulary:
    """A vocabulary of words, split by named rules (see `app.text.word_tokenizers`) or those of `spacy:<language>`.

    Without `unk` a word outside it is refused.
    """
    named = "spacy" if rules.startswith("spacy:") else rules
    if named not in RULES:
        raise ImportFailed(f"there are no rules {rules!r}; there are {', '.join(RULES)}, and spacy:de for any language")
    use = {"unknown": "unk" if unk else "refuse"} | use
    split = rules if named == "spacy" else split_of(named)
    return Vocabulary(build(named, words, unk=unk), TokenizerUse.model_validate({"split": split} | use))
