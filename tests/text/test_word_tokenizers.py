"""Files of word-level tokenizers cut texts as the training code does from which the words came."""

import json
import os
import pickle
import random
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from nltk.tokenize import NLTKWordTokenizer, word_tokenize

from app.errors import InvalidVocabulary
from app.store.text_input import TokenizerUse
from app.text.nltk_words import nltk_words
from app.text.tokenizer import TextTokenizer
from app.text.word_tokenizers import EMPTY, RULES, UNKNOWN, Rules, build, split_of
from tests.text.rules import REFERENCES

PARITY = Path(os.environ.get("UNROLL_PARITY", Path(__file__).parents[3] / "shared" / "parity"))
SNIPPETS = [
    *"abcXYZ.,!?;:'\"()<>-_/\\%&#@[]{}|~^`*+=$0129 \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u200b\u2003\u2028\u3000",
    *"éÉüßÇÑøİıſKÅΣσςΑΔжЁ한글쀼ᄒ\u1161漢字あ😀\u0301\u0327\u05b0\u0903\u20dd\ufe0f\u200d…“”«»’–",
    *["<br />", "<BR />", "<br/>", "don't", "can't", "cannot", "gonna", "it's", "U.S.", "e.g.", "10:30", "3.88", "--"],
    *[
        "<unk>",
        "<pad>",
        "<eos>",
        "ΟΔΟΣ",
        "ΑΣ'Α",
        "ΑΣ.",
        "Σ",
        "İSTANBUL",
        "ﬁ",
        "👩‍💻",
        "영화",
        "``",
        "''",
        "n't",
        "  ",
        "...",
    ],
]
TEXTS = [
    "",
    " ",
    "The film isn't bad: it's great!",
    "Ça va, c'est 100% sûr…",
    "« Bonjour. »",
    ".",
    "?!",
    "정말 재미있게 봤어요!",
]


def random_texts(count: int, *, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    yield from TEXTS
    for _ in range(count):
        snippets = rng.choices(SNIPPETS, k=rng.randint(1, 16))
        yield rng.choice(["", " "]).join(snippets)


def opened(folder: Path, rules: Rules, words: Sequence[str], *, unk: str | None, **use: Any) -> TextTokenizer:
    """A file of these words, written and read again."""
    build(rules, words, unk=unk).save(str(folder / "tokenizer.json"))
    use = {"split": split_of(rules), **use}
    if unk is None:
        use = {"unknown": "refuse", **use}
    return TextTokenizer(folder, TokenizerUse(**use))


def compare(folder: Path, rules: Rules, texts: Sequence[str], cut: Sequence[list[str]], **use: Any) -> TextTokenizer:
    """A word that the file cuts in another way is in no vocabulary, and refused."""
    words = list(dict.fromkeys(word for tokens in cut for word in tokens))
    ids = {word: index for index, word in enumerate(words)}
    tokenizer = opened(folder, rules, words, unk=None, **use)
    for text, tokens in zip(texts, cut, strict=True):
        assert tokenizer.encode(text) == [ids[token] for token in tokens], (text, tokens)
    return tokenizer


@pytest.mark.parametrize("rules", REFERENCES)
def test_random_texts_are_cut_as_the_training_code_cuts_them(tmp_path: Path, rules: Rules) -> None:
    texts = list(random_texts(2000, seed=1))
    compare(tmp_path, rules, texts, [REFERENCES[rules](text) for text in texts])


@pytest.mark.slow
@pytest.mark.parametrize("rules", REFERENCES)
def test_every_letter_is_read_as_the_training_code_reads_it(tmp_path: Path, rules: Rules) -> None:
    """The letters of Unicode 3.2, which every Python and every tokenizer library knows."""
    points = range(sys.maxunicode + 1)
    letters = [chr(point) for point in points if unicodedata.ucd_3_2_0.category(chr(point)) not in ("Cn", "Cs")]
    texts = ["".join(f"a{letter}b " for letter in letters[start : start + 64]) for start in range(0, len(letters), 64)]
    compare(tmp_path, rules, texts, [REFERENCES[rules](text) for text in texts])


@pytest.mark.parametrize("rules", REFERENCES)
def test_pieces_lead_back_to_the_text(tmp_path: Path, rules: Rules) -> None:
    texts = [text.replace("Σ", "S") for text in random_texts(500, seed=2)]  # the word decides what sigma becomes
    reference = REFERENCES[rules]
    tokenizer = compare(tmp_path, rules, texts, [reference(text) for text in texts])
    for text in texts:
        last = 0
        for piece in tokenizer.pieces(text):
            assert last <= piece.start <= piece.end <= len(text)
            last = piece.end
            assert [word for word in reference(text[piece.start : piece.end]) if word] == [piece.text][
                : piece.text != ""
            ]


def test_the_old_tutorial_has_an_empty_word_only_if_its_vocabulary_has(tmp_path: Path) -> None:
    with_empty = opened(tmp_path, "pytorch_tutorial_2017", ["", "ca", "va", "."], unk=None)
    assert with_empty.encode("« Ça va »") == [0, 1, 2, 0]
    assert with_empty.encode("Ça va.") == [1, 2, 3]
    assert (with_empty.piece(0), with_empty.decode([1, 0, 2])) == ("", "ca va")
    without = opened(tmp_path, "pytorch_tutorial_2017", ["ca", "va"], unk=None)
    assert without.encode("« Ça va »") == [0, 1]


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("lower", [False, True])
def test_words_are_those_of_spacy(tmp_path: Path, language: str, lower: bool) -> None:
    texts = list(random_texts(300, seed=3))
    tokenize = spacy.blank(language).tokenizer
    cut = [[token.text.lower() if lower else token.text for token in tokenize(text)] for text in texts]
    tokenizer = compare(tmp_path, "spacy", texts, cut, split=f"spacy:{language}", lower=lower)
    for text in texts:
        pieces, words = tokenizer.pieces(text), tokenize(text)
        assert [text[piece.start : piece.end] for piece in pieces] == [word.text for word in words]


def test_packages_name_their_split() -> None:
    assert {rules: split_of(rules) for rules in RULES if split_of(rules) != "file"} == {
        "spacy_en": "spacy:en",
        "spacy_de": "spacy:de",
        "spacy": "spacy:",
        "nltk": "nltk",
        "fastai": "fastai",
    }


def test_words_are_those_of_nltk_but_for_sentences(tmp_path: Path) -> None:
    texts = list(random_texts(2000, seed=4))
    cut = [word_tokenize(text.lower(), preserve_line=True) for text in texts]
    assert cut == [NLTKWordTokenizer().tokenize(text.lower()) for text in texts]
    tokenizer = compare(tmp_path, "nltk", texts, cut, lower=True)
    for text in texts:
        if "Σ" in text:
            continue  # the letters beside it decide what it becomes
        for piece in tokenizer.pieces(text):
            origin = text[piece.start : piece.end].lower()
            assert origin == piece.text or (piece.text in ("``", "''") and origin in ('"', "''")), (text, piece)
    assert [word.text for word in nltk_words("It ends. It begins.")] == ["It", "ends.", "It", "begins", "."]


def test_a_word_may_have_spaces_within(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, "spaces", ["<unk>", "new york", "new", " ", ""], unk="<unk>")
    assert tokenizer.encode("new york") == [2, 0]
    assert tokenizer.decode([2, 1, 0]) == "new new york <unk>"
    assert tokenizer.piece(1) == "new york"


@pytest.mark.parametrize(
    ("words", "unk", "reason"),
    [
        (["a", "b", "a"], None, "the word 'a' twice, as ids 0 and 2"),
        (["a", None], None, "no word for id 1"),
        (["a"], "<unk>", "'<unk>' is not in the vocabulary"),
        ([], None, "is empty"),
        (["a", UNKNOWN], None, "has the reserved word"),
        ([EMPTY], None, "has the reserved word"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused(words: list[str], unk: str | None, reason: str) -> None:
    for rules in RULES:
        with pytest.raises(InvalidVocabulary, match=reason.replace("(", r"\(")):
            build(rules, words, unk=unk)


# The parity kits: texts, words and ids that the original repositories made.


def kit(name: str) -> Path:
    folder = PARITY / name
    if not folder.is_dir():
        pytest.skip(f"NO PARITY KIT: {folder} is missing; UNROLL_PARITY names the folder of kits")
    return folder


def cases(folder: Path, pattern: str) -> list[dict[str, Any]]:
    found = [case for path in sorted(folder.glob(pattern)) for case in json.loads(path.read_text())["cases"]]
    assert found
    return found


def test_parity_of_bentrevett_sentiment(tmp_path: Path) -> None:
    folder = kit("bentrevett_sentiment_2024")
    words = json.loads(folder.joinpath("vocab_itos.json").read_text())
    tokenizer = opened(tmp_path, "basic_english", words, unk="<unk>")
    for case in cases(folder, "expected*.json"):
        assert tokenizer.encode(case["text"]) == case["ids"]
        known = [word if word in words else "<unk>" for word in case["tokens"]]
        assert [piece.text for piece in tokenizer.pieces(case["text"])] == known


def test_parity_of_bentrevett_seq2seq(tmp_path: Path) -> None:
    folder = kit("bentrevett_seq2seq_2024")
    words = {side: json.loads(folder.joinpath(f"{side}_vocab_itos.json").read_text()) for side in ("de", "en")}
    german = opened(tmp_path, "spacy_de", words["de"], unk="<unk>", lower=True, prepend=(2,), append=(3,))
    english = opened(tmp_path, "spacy_en", words["en"], unk="<unk>", lower=True, hidden=(2, 3))
    for case in cases(folder, "expected_tut*.json"):
        assert german.encode(case["text"]) == case["src_ids"]
        known = [word if word in words["de"] else "<unk>" for word in case["src_tokens"]]
        assert [piece.text for piece in german.pieces(case["text"])] == known
        assert [english.piece(token) for token in case["output_ids"]] == case["output_tokens"]
        shown = [word for word in case["output_tokens"] if word not in ("<sos>", "<eos>")]
        assert english.decode(case["output_ids"]) == " ".join(shown)


def test_parity_of_the_pytorch_tutorial(tmp_path: Path) -> None:
    folder = kit("pytorch_tutorial_seq2seq")
    saved = torch.load(folder / "checkpoint_plain.tar", weights_only=True)
    french, english = (
        [saved[lang]["index2word"][index] for index in range(saved[lang]["n_words"])]
        for lang in ("input_lang", "output_lang")
    )
    reader = opened(tmp_path, "pytorch_tutorial", french, unk=None, append=(1,))
    writer = opened(tmp_path, "pytorch_tutorial", english, unk=None, hidden=(1,))
    for name in ("expected_attn.json", "expected_plain.json"):
        for case in cases(folder, name):
            assert reader.encode(case["text"]) == case["input_ids"]
            ids = case["greedy_ids_all_10_steps"][: len(case["output_words"])]
            assert writer.decode(ids) == " ".join(word for word in case["output_words"] if word != "<EOS>")
        for case in json.loads(folder.joinpath(name).read_text())["normalization"]:
            tokenizer = opened(tmp_path, "pytorch_tutorial", case["normalized"].split(" "), unk=None)
            assert tokenizer.decode(tokenizer.encode(case["raw"])) == case["normalized"]


class _Names(pickle.Unpickler):
    """Classes as empty ones of the same name."""

    def find_class(self, module: str, name: str) -> Any:
        return type(name, (), {})


def test_parity_of_yunjey_captioning(tmp_path: Path) -> None:
    folder = kit("yunjey_image_captioning")
    with folder.joinpath("vocab.pkl").open("rb") as file:
        names = _Names(file).load().idx2word
    tokenizer = opened(tmp_path, "nltk", [names[index] for index in range(len(names))], unk="<unk>", hidden=(1, 2))
    for case in cases(folder, "expected.json"):
        printed = case["printed_sentence"].split()
        ids = case["sampled_ids_20"][: len(printed)]
        assert [tokenizer.piece(token) for token in ids] == printed
        shown = " ".join(word for word in printed if word not in ("<start>", "<end>"))
        assert tokenizer.decode(ids) == shown
        assert tokenizer.encode_target(shown) == [token for token in ids if token not in (1, 2)]
