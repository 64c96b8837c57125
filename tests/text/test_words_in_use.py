"""Options of word-level tokenizers in a manifest: the order and padding of sources, and their description."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.errors import InvalidManifest, MissingExtra, UnknownWord
from app.store.manifest import Manifest
from app.store.text_input import FixedLength, TokenizerUse
from app.text.spacy_words import SpacyWords
from app.text.tokenizer import TextTokenizer
from app.text.word_tokenizers import Rules, build
from tests.tiny_store import drafts

WORDS = ["<pad>", "<start>", "<end>", "<unk>", "the", "film", "is", "good", "İt", "new york"]
UNKNOWN_ID = 3


def opened(folder: Path, rules: Rules = "spaces", *, unk: str | None = "<unk>", **use: Any) -> TextTokenizer:
    build(rules, WORDS, unk=unk).save(str(folder / "tokenizer.json"))
    return TextTokenizer(folder, TokenizerUse(**use))


@pytest.mark.parametrize("seed", range(100))
def test_sources_are_arranged_as_the_manifest_says(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    prepend, append = (tuple(rng.choices([0, 1, 2], k=rng.randint(0, 2))) for _ in range(2))
    reverse, length = rng.random() < 0.5, rng.choice([None, 1, 4, 9])
    pad = FixedLength(to=length, pad=0) if length else None
    tokenizer = opened(tmp_path, prepend=prepend, append=append, reverse=reverse, length=pad)
    words = rng.choices([*WORDS[4:8], "unheard"], k=rng.randint(1, 8))
    ids = [WORDS.index(word) if word in WORDS else UNKNOWN_ID for word in words]
    text = "  ".join(words)
    assert tokenizer.encode_target(text) == ids
    assert tokenizer.encode_prefix(text) == [*prepend, *ids]
    spans = [(position, position + len(word)) for position, word in zip(_positions(words), words, strict=True)]
    rows = list(zip(ids, spans, strict=True))
    end = (len(text), len(text))
    rows = [*((token, (0, 0)) for token in prepend), *(rows[::-1] if reverse else rows), *((t, end) for t in append)]
    if length:
        rows = rows[:length]
        rows = [(0, (0, 0))] * (length - len(rows)) + rows
    assert tokenizer.encode(text) == [token for token, _ in rows]
    pieces = tokenizer.pieces(text)
    assert [(piece.text, (piece.start, piece.end)) for piece in pieces] == [
        (WORDS[token], span) for token, span in rows
    ]
    assert tokenizer.encode(" ") == [] == tokenizer.pieces(" ")


def _positions(words: list[str]) -> list[int]:
    return [sum(len(word) + 2 for word in words[:index]) for index in range(len(words))]


def test_what_an_unknown_word_becomes(tmp_path: Path) -> None:
    text = "the Film is good"
    assert opened(tmp_path).encode(text) == [4, 3, 6, 7]
    for unk in (None, "<unk>"):
        assert opened(tmp_path, unk=unk, unknown=0).encode(text) == [4, 0, 6, 7]
        skipping = opened(tmp_path, unk=unk, unknown="skip")
        assert skipping.encode(text) == [4, 6, 7]
        assert [piece.text for piece in skipping.pieces(text)] == ["the", "is", "good"]
        assert skipping.encode("Film") == []
        refusing = opened(tmp_path, unk=unk, unknown="refuse")
        assert refusing.encode("the film") == [4, 5]
        for read in (refusing.encode, refusing.encode_prefix, refusing.encode_target, refusing.pieces):
            with pytest.raises(UnknownWord, match="the word 'Film' is not in the vocabulary") as error:
                read(text)
            assert error.value.facts == {"word": "Film"}


def test_a_refused_word_is_named_as_it_was_written(tmp_path: Path) -> None:
    with pytest.raises(UnknownWord, match="the word 'FÎLMS' is"):
        opened(tmp_path, "pytorch_tutorial", unk=None, unknown="refuse").encode("the FÎLMS!")
    with pytest.raises(UnknownWord) as error:
        opened(tmp_path, unk=None, unknown="refuse").encode("x" * 5000)
    assert error.value.facts == {"word": "x" * 80}


def test_a_rule_for_unknown_words_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match="has no unknown token"):
        opened(tmp_path, unk=None)
    with pytest.raises(InvalidManifest, match="not an id of"):
        opened(tmp_path, unknown=99)
    with pytest.raises(InvalidManifest, match="not an id of"):
        opened(tmp_path, unk=None, unknown=len(WORDS))
    with pytest.raises(ValidationError):
        TokenizerUse(unknown="ignore")
    with pytest.raises(ValidationError):
        TokenizerUse(split="mecab")


def test_the_stand_in_for_unknown_words_is_never_spelt(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, unk=None, unknown="skip")
    beyond = len(WORDS)
    assert (tokenizer.piece(beyond), tokenizer.decode([4, beyond, 5, beyond + 1])) == ("", "the film")


def test_lowered_texts_keep_their_places(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, lower=True)
    text = "THE İİ FILM İ"
    assert [(piece.text, text[piece.start : piece.end]) for piece in tokenizer.pieces(text)] == [
        ("the", "THE"),
        ("<unk>", "İİ"),
        ("film", "FILM"),
        ("<unk>", "İ"),
    ]


@pytest.mark.parametrize("seed", range(50))
def test_words_are_settled_as_they_come_and_hidden_ones_never(tmp_path: Path, seed: int) -> None:
    tokenizer = opened(tmp_path, hidden=(0, 1, 2))
    rng = random.Random(seed)
    ids = rng.choices(range(len(WORDS) + 2), k=12)  # a network may have more ids than its tokenizer
    for after in ([], [4], [1], [5, 6]):
        begun = bool([token for token in after if token > 2])
        for end in range(len(ids) + 1):
            shown = [WORDS[token] for token in ids[:end] if 2 < token < len(WORDS)]
            text = " ".join(shown)
            text = f" {text}" if shown and begun else text
            assert tokenizer.settled(ids[:end], after=after) == text
            assert tokenizer.unstripped(ids[:end], after=after) == text
            assert tokenizer.decode(ids[:end], after=after) == text
    assert tokenizer.piece(1) == "<start>"


def test_a_text_goes_on_from_its_last_word(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, prepend=(2, 1), hidden=(0, 1, 2))
    assert tokenizer.end_of(tokenizer.encode_prefix("the film")) == [5]
    assert tokenizer.end_of([4, 5, 2]) == [5, 2]


def test_characters_are_joined_by_nothing(tmp_path: Path) -> None:
    build("characters", [*"한글 ab\n"], unk=None).save(str(tmp_path / "tokenizer.json"))
    tokenizer = TextTokenizer(tmp_path, TokenizerUse(unknown="skip"))
    ids = tokenizer.encode("한 글!a\nb")
    assert ids == [0, 2, 1, 3, 5, 4]
    assert (tokenizer.decode(ids), tokenizer.settled(ids)) == ("한 글a\nb", "한 글a\nb")
    assert tokenizer.unstripped([2, 3], after=[0]) == " a"


def test_a_package_that_is_missing_is_named_with_its_extra(tmp_path: Path) -> None:
    for package, split in (("spacy", "spacy:de"), ("nltk", "nltk")):
        program = (
            f"import sys; sys.modules['{package}'] = None\n"
            "from pathlib import Path; from app.errors import MissingExtra\n"
            "from app.text.tokenizer import TextTokenizer; from app.store.text_input import TokenizerUse\n"
            f"try: TextTokenizer(Path({str(tmp_path)!r}), TokenizerUse(split='{split}'))\n"
            "except MissingExtra as error: print(error.detail)"
        )
        opened(tmp_path)
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert f"pip install 'unroll-serve[{package}]'" in said
    assert issubclass(MissingExtra, Exception)


def test_spacy_comes_without_torch() -> None:
    program = (
        "import sys; from app.text.spacy_words import SpacyWords\n"
        "print([word.text for word in SpacyWords('en', lower=False)('It is.')], 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "['It', 'is', '.'] False\n"


def test_a_language_that_spacy_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match="'xq'"):
        opened(tmp_path, split="spacy:xq")


def test_texts_are_cut_the_same_when_spacy_forgets_the_words_before() -> None:
    words, rng = SpacyWords("en", lower=False), random.Random(0)
    first = words("Don't stop (e.g. in the U.S.)!")
    strings = len(words._language.vocab.strings)
    for _ in range(6):
        words(" ".join("".join(rng.choices("abcdefgh", k=8)) for _ in range(10_000)))
    assert len(words._language.vocab.strings) < strings + 40_000
    assert words("Don't stop (e.g. in the U.S.)!") == first


def test_threads_may_cut_at_once() -> None:
    words = SpacyWords("en", lower=True)
    texts = [f"Don't {number} STOP, number{number}!" for number in range(400)]
    alone = [SpacyWords("en", lower=True)(text) for text in texts[:3]] + [words(text) for text in texts[3:]]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(words, texts)) == alone


def test_manifests_say_nothing_that_does_not_fit_the_task() -> None:
    translator, classifier, model = (
        next(draft for draft in drafts() if draft.task == task) for task in ("translation", "sentiment", "completion")
    )
    use = {"file": "target.json"}
    assert Manifest.model_validate({**dict(translator), "target_tokenizer": use}).target_tokenizer is not None
    with pytest.raises(ValidationError, match="takes a target_tokenizer"):
        Manifest.model_validate({**dict(classifier), "target_tokenizer": use})
    with pytest.raises(ValidationError, match=r"no tokenizer\.reverse"):
        Manifest.model_validate({**dict(model), "tokenizer": {"prepend": [1], "reverse": True}})
