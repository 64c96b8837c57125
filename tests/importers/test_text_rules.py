"""Text rules of imported models: exact ids, compared with the rules written again, and with the kits' recordings."""

import json
import os
import random
import string
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.errors import ImportFailed, InvalidVocabulary
from app.importers.reading import ForeignObject
from app.importers.text_options import TOKENIZERS
from app.importers.text_rules.characters import characters
from app.importers.text_rules.fastai import fastai
from app.importers.text_rules.imdb import imdb
from app.importers.text_rules.keras_tokenizer import FILTERS, KerasTokenizer, keras_tokenizer, tokenizer_of
from app.importers.text_rules.lengths import padded
from app.importers.text_rules.marks import padding_word, unknown_word
from app.importers.text_rules.text_vectorization import STANDARDIZE, text_vectorization, vocabulary_lines
from app.importers.text_rules.words import words
from app.importers.tokenizer import Vocabulary, check_rules, word_vocabulary
from app.store.text_input import FixedLength, Replacement
from app.text.tokenizer import TextTokenizer
from app.text.word_tokenizers import no_word

KITS = os.environ.get("UNROLL_KITS")
SNIPPETS = [
    *"abcABC01!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~' \t\n\r\v\f\x1c\x85\xa0\u3000",
    *[
        "the",
        "The",
        "FILM",
        "film's",
        "don't",
        "É",
        "ÉTÉ",
        "İ",
        "ΣΑΣ",
        "한글",
        "हिन्दी",
        "<br />",
        "[UNK]",
        "<OOV>",
        "",
        "  ",
    ],
]


def random_texts(count: int, *, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["", " ", *("".join(rng.choices(SNIPPETS, k=rng.randint(0, 12))) for _ in range(count))]


def opened(vocabulary: Vocabulary, folder: Path) -> TextTokenizer:
    """The tokenizer of a version with this vocabulary."""
    vocabulary.tokenizer.save(str(folder / "tokenizer.json"))
    return TextTokenizer(folder, vocabulary.use)


def pad_sequences(ids: list[int], maxlen: int, padding: str, truncating: str) -> list[int]:
    ids = ids[-maxlen:] if truncating == "pre" else ids[:maxlen]
    rest = [0] * (maxlen - len(ids))
    return rest + ids if padding == "pre" else ids + rest


# Keras' Tokenizer.


def reference_sequence(tokenizer: KerasTokenizer, text: str) -> list[int]:
    text = text.lower() if tokenizer.lower else text
    if tokenizer.char_level:
        parts = list(text)
    else:
        for letter in tokenizer.filters:
            text = text.replace(letter, tokenizer.split)
        parts = [part for part in text.split(tokenizer.split) if part]
    ids, oov = [], tokenizer.word_index.get(tokenizer.oov_token or "")
    for part in parts:
        token = tokenizer.word_index.get(part)
        if token is not None and not (tokenizer.num_words and token >= tokenizer.num_words):
            ids.append(token)
        elif oov is not None:
            ids.append(oov)
    return ids


def fitted(texts: Sequence[str], **settings: Any) -> KerasTokenizer:
    """A Tokenizer with most words of the texts."""
    everything = KerasTokenizer({"": 1}, **settings)
    index = {}
    if everything.oov_token:
        index[everything.oov_token] = 1
    for text in texts:
        text = text.lower() if everything.lower else text
        for letter in () if everything.char_level else everything.filters:
            text = text.replace(letter, everything.split)
        for part in list(text) if everything.char_level else text.split(everything.split):
            if part and hash_of(part) % 4:
                index.setdefault(part, len(index) + 1)
    return KerasTokenizer(index, **settings)


def hash_of(word: str) -> int:
    return sum(map(ord, word))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"oov_token": "<OOV>"},
        {"num_words": 12},
        {"num_words": 12, "oov_token": "[UNK]"},
        {"filters": ""},
        {"filters": "", "lower": False, "oov_token": "<OOV>"},
        {"filters": "é]^\\-&[", "split": ","},
        {"filters": "-'", "split": "aX"},
        {"char_level": True},
        {"char_level": True, "oov_token": "UNK", "lower": False, "num_words": 20},
    ],
)
def test_ids_are_those_of_keras_tokenizer(tmp_path: Path, settings: dict[str, Any]) -> None:
    texts = random_texts(300, seed=1)
    tokenizer = fitted(texts[:60], **settings)
    own = opened(keras_tokenizer(tokenizer), tmp_path)
    for text in texts:
        assert own.encode(text) == reference_sequence(tokenizer, text), repr(text)


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_lengths_are_those_of_pad_sequences(tmp_path: Path, padding: str, truncating: str) -> None:
    texts = random_texts(60, seed=2)
    tokenizer = fitted(texts[:20], oov_token="<OOV>")
    length = padded(4, padding=padding, truncating=truncating)
    own = opened(keras_tokenizer(tokenizer, length=length), tmp_path)
    for text in texts:
        ids = pad_sequences(reference_sequence(tokenizer, text), 4, padding, truncating)
        assert own.encode(text) == ids
        pieces = own.pieces(text)
        assert len(pieces) == 4
        padding_place = 0 if padding == "pre" else len(text)
        assert all(piece.text or (piece.start, piece.end) == (padding_place,) * 2 for piece in pieces)


def test_a_length_that_there_is_not_is_refused() -> None:
    assert padded(None) is None
    assert padded(5) == FixedLength(to=5, pad=0, pad_side="left", cut_side="left")
    for wrong in ({"maxlen": 0}, {"maxlen": 10**9}, {"maxlen": 5, "padding": "left"}, {"maxlen": 5, "truncating": ""}):
        with pytest.raises(ImportFailed, match="must be"):
            padded(**wrong)


def test_a_tokenizer_is_found_in_every_form() -> None:
    index = {"<OOV>": 1, "the": 2}
    config = {"num_words": 10, "filters": "!", "lower": False, "split": " ", "char_level": False, "oov_token": "<OOV>"}
    as_json = json.dumps({"class_name": "Tokenizer", "config": {**config, "word_index": json.dumps(index)}})
    pickled = ForeignObject("keras_preprocessing.text.Tokenizer", {**config, "word_index": index})
    expected = KerasTokenizer(index, 10, "!", False, " ", False, "<OOV>")
    for form in (as_json, json.loads(as_json), json.loads(as_json)["config"], pickled):
        assert tokenizer_of(form) == expected
    assert tokenizer_of(ForeignObject("x.text.Tokenizer", {"word_index": {"a": 1}})) == KerasTokenizer({"a": 1})
    others: list[Any] = [None, "no JSON", "[" * 100_000, [], {"a": 1}, ForeignObject("torchtext.vocab.Vocab"), 3.5]
    for other in others:
        assert tokenizer_of(other) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"word_index": "{"}, "no word_index"),
        ({"word_index": {}}, "no word_index"),
        ({"word_index": {"a": "b"}}, "no word_index"),
        ({"word_index": {1: 1}}, "no word_index"),
        ({"word_index": {"a": -1}}, "no word_index"),
        ({"split": ""}, "damaged"),
        ({"split": 3}, "damaged"),
        ({"filters": 3}, "damaged"),
        ({"num_words": "many"}, "damaged"),
        ({"oov_token": 3}, "damaged"),
        ({"analyzer": ForeignObject("__main__.f")}, "analyzer"),
    ],
)
def test_a_damaged_tokenizer_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ImportFailed, match=reason):
        tokenizer_of(ForeignObject("keras.preprocessing.text.Tokenizer", {"word_index": {"a": 1}} | change))


def test_answers_join_words_by_spaces_and_characters_by_nothing(tmp_path: Path) -> None:
    by_words = opened(keras_tokenizer(KerasTokenizer({"_end": 1, "good": 2, "film": 3}), hidden=["_end"]), tmp_path)
    assert by_words.decode([2, 3, 0, 99, 1]) == "good film"
    by_letters = opened(keras_tokenizer(KerasTokenizer({" ": 1, "a": 2, "b": 3}, char_level=True)), tmp_path)
    assert by_letters.decode([1, 2, 0, 1, 3, 1]) == " a b "
    with pytest.raises(ImportFailed, match="has no end"):
        keras_tokenizer(KerasTokenizer({"a": 1}), hidden=["end"])


def test_rows_bound_the_words(tmp_path: Path) -> None:
    index = {word: number for number, word in enumerate("abcdef", 1)}
    own = opened(keras_tokenizer(KerasTokenizer(index), rows=4), tmp_path)
    own.check_ids(4)
    assert own.encode("a b c d e") == [1, 2, 3]
    gaps = opened(keras_tokenizer(KerasTokenizer({"a": 1, "z": 5}), rows=6), tmp_path)
    assert gaps.encode("z a") == [5, 1]
    assert (gaps.piece(3), gaps.decode([1, 3, 5])) == ("", "a z")


# TextVectorization.


def reference_parts(config: dict[str, Any], text: str) -> list[str]:
    if "lower" in (config["standardize"] or ""):
        text = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    if "punctuation" in (config["standardize"] or ""):
        text = "".join(letter for letter in text if letter not in string.punctuation)
    if config["split"] == "character":
        return list(text)
    for space in "\t\n\v\f\r":
        text = text.replace(space, " ")
    return [part for part in text.split(" ") if part]


@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", None])
@pytest.mark.parametrize("split", ["whitespace", "character"])
@pytest.mark.parametrize("size", [None, 5])
def test_ids_are_those_of_text_vectorization(tmp_path: Path, standardize: str | None, split: str, size: int) -> None:
    texts = random_texts(150, seed=3)
    config = {"standardize": standardize, "split": split, "output_sequence_length": size, "output_mode": "int"}
    parts = {part for text in texts[:60] for part in reference_parts(config, text)}
    known = ["", "[UNK]", *sorted(part for part in parts if hash_of(part) % 4 and part != "[UNK]")]
    for given in (known, known[2:]):
        own = opened(text_vectorization(config, given), tmp_path)
        for text in texts:
            ids = [known.index(part) if part in known else 1 for part in reference_parts(config, text)]
            assert own.encode(text) == (pad_sequences(ids, size, "post", "post") if size else ids), repr(text)


def test_words_of_the_asset_are_not_stripped(tmp_path: Path) -> None:
    known = vocabulary_lines("\n[UNK]\n \na\n\t")
    assert known == ["", "[UNK]", " ", "a", "\t"]
    own = opened(text_vectorization({"split": "character", "standardize": "lower"}, known), tmp_path)
    assert own.encode("A \tb") == [3, 2, 4, 1]


def test_cleaning_of_the_tutorials(tmp_path: Path) -> None:
    known = ["", "[UNK]", "good", "film", "[start]"]
    custom = {"standardize": "custom_standardization", "split": "whitespace"}
    with pytest.raises(ImportFailed, match=r"a function of its own.*choose one of lower_and_strip"):
        text_vectorization(custom, known)
    with pytest.raises(ImportFailed, match="no standardize 'other'"):
        text_vectorization(custom, known, standardize="other")
    with pytest.raises(ImportFailed, match="function of its own"):
        text_vectorization({"standardize": {"class_name": "function", "registered_name": "my>f"}}, known)
    tags = opened(text_vectorization(custom, known, standardize="lower_br_and_strip_punctuation"), tmp_path)
    assert tags.encode("Good<br />FILM!") == [2, 3]
    marks = opened(text_vectorization(custom, known, standardize=list(STANDARDIZE)[-1]), tmp_path)
    assert marks.encode("[start] ¿Good film?") == [4, 2, 3]
    cleaned = text_vectorization(custom, known, standardize="none", cleaning=[Replacement(pattern="[^a-z]", by=" ")])
    assert opened(cleaned, tmp_path).encode("good-film") == [2, 3]


@pytest.mark.parametrize(
    ("config", "known", "reason"),
    [
        ({"split": "my_split"}, ["a"], "splits by 'my_split'"),
        ({"ngrams": [1, 2]}, ["a"], "ngrams"),
        ({"output_mode": "tf_idf"}, ["a"], "output_mode"),
        ({}, None, "no words"),
        ({}, [], "no words"),
        ({}, ["", 3], "no words"),
        ({}, ["", "a"], "neither"),
    ],
)
def test_a_layer_that_cannot_be_followed_is_refused(config: dict[str, Any], known: Any, reason: str) -> None:
    with pytest.raises(ImportFailed, match=reason):
        text_vectorization(config, known)


# imdb, characters, words.


@pytest.mark.parametrize("splitting", ["text_to_word_sequence", "split"])
@pytest.mark.parametrize(("start", "unknown"), [(1, 2), (None, 5), (1, "skip")])
def test_ids_are_those_of_imdb(tmp_path: Path, splitting: Any, start: int | None, unknown: Any) -> None:
    texts = random_texts(150, seed=4)
    index = fitted(texts[:40]).word_index
    own = opened(imdb(index, 15, splitting=splitting, start=start, unknown=unknown, length=padded(6)), tmp_path)
    for text in texts:
        parts = text.lower()
        for letter in FILTERS if splitting == "text_to_word_sequence" else "":
            parts = parts.replace(letter, " ")
        ids = [1] if start else []
        for part in parts.split() if splitting == "split" else filter(None, parts.split(" ")):
            token = index.get(part, 10**6) + 3
            ids += [token] if token < 15 else [unknown] * (unknown != "skip")
        assert own.encode(text) == pad_sequences(ids, 6, "pre", "pre"), repr(text)


def test_imdb_is_refused_if_it_does_not_fit() -> None:
    for wrong in ({"start": 99}, {"unknown": 99}, {"splitting": "nltk"}, {"num_words": 3}):
        with pytest.raises(ImportFailed):
            imdb({"the": 1, "a": 2}, **({"num_words": 10} | wrong))


def test_characters_have_their_ids(tmp_path: Path) -> None:
    printable = opened(characters(string.printable), tmp_path)
    assert printable.encode("a b\n") == [string.printable.index(letter) for letter in "a b\n"]
    assert printable.decode(printable.encode(" to be ")) == " to be "
    letters = sorted(set("hello world"))
    one_hot = opened(characters([*letters, no_word(len(letters))], unknown=len(letters)), tmp_path)
    assert one_hot.encode("how?") == [*map(letters.index, "how"), len(letters)]
    marked = opened(characters(["<s>", "</s>", *letters], bos="<s>", eos="</s>", unknown="skip", lower=True), tmp_path)
    assert marked.encode("He?") == [0, 2 + letters.index("h"), 2 + letters.index("e"), 1]
    assert (marked.encode(""), marked.decode([0, 4, 1])) == ([0, 1], letters[2])
    filled = characters(letters, length=FixedLength(to=6, pad=letters.index(" "), pad_side="right"))
    assert opened(filled, tmp_path).encode("he") == [*map(letters.index, "he"), *[letters.index(" ")] * 4]
    names = characters(string.ascii_letters, unknown="skip", cleaning=["without_accents"])
    assert opened(names, tmp_path).decode(opened(names, tmp_path).encode("Ślusàrski!")) == "Slusarski"
    with pytest.raises(ImportFailed, match="has no <eos>"):
        characters(letters, eos="<eos>")


def test_unknown_words_in_every_spelling() -> None:
    for mark in ("<unk>", "<UNK>", "UNK", "[UNK]", "unk", "<oov>", "<OOV>", "xxunk", "<Unknown>", "_UNK_"):
        assert unknown_word(["<pad>", mark, "film"]) == mark
    assert unknown_word(["a", "film", "b", "c", "unk", "pad"]) is None
    assert padding_word(["[PAD]", "[UNK]"]) == "[PAD]"
    assert word_vocabulary(["<pad>", "<UNK>", "a"], "spaces", unk="<unk>").use.unknown == "unk"


def test_words_with_cleaning_and_stop_words(tmp_path: Path) -> None:
    known = ["<PAD>", "<UNK>", "film", "good", "not"]
    steps = [Replacement(pattern=r"<.*?>", by=" "), Replacement(pattern=r"n't\b", by=" not")]
    own = words(known, "udacity", cleaning=steps, stop_words=["the", "a", "is", ""], length=padded(6, pad=None))
    assert opened(own, tmp_path).encode("The film<br />isn't a GOOD one.") == [2, 4, 3, 1]
    by_spacy = words(known, "spacy:en", lower=True, stop_words=["the", "is"])
    assert opened(by_spacy, tmp_path).encode("The film is good") == [2, 3]


def test_where_unknown_words_go(tmp_path: Path) -> None:
    known = ["a", "b"]
    assert opened(words(known, "spaces", rows=3), tmp_path).encode("a x b") == [0, 2, 1]
    assert opened(words(known, "spaces", rows=9, unknown="last"), tmp_path).encode("a x b") == [0, 8, 1]
    assert opened(words(known, "spaces", unknown="skip", bos="a", eos="b"), tmp_path).encode("x a") == [0, 0, 1]
    assert words(known, "spaces", rows=2).use.unknown == "refuse"
    assert words(known, "characters", unknown=1).use.unknown == 1
    with pytest.raises(ImportFailed, match="cannot have the last row"):
        words(known, "spaces", rows=2, unknown="last")
    with pytest.raises(InvalidVocabulary, match="twice"):
        words(["a", "a"], "spaces")
    with pytest.raises(ImportFailed, match=r"cleaning: .*not a regular expression"):
        words(known, "spaces", cleaning=[Replacement(pattern="(")])


def test_rules_that_there_are_not_are_refused() -> None:
    for rules in TOKENIZERS:
        check_rules(rules)
    for rules, reason in (
        ("spacy:zz", "no rules for the language 'zz'"),
        ("spacy:", "no rules 'spacy:'|languages have codes"),
        ("spacy:english", "languages have codes"),
        ("spacy", "no rules 'spacy'"),
        ("nltk:de", "no rules"),
        ("bert", "no rules 'bert'; the rules are spaces"),
    ):
        with pytest.raises(ImportFailed, match=reason):
            check_rules(rules)
        with pytest.raises(ImportFailed, match=reason):
            word_vocabulary(["a"], rules, unk=None)


def test_fastai_fills_its_vocabulary_up(tmp_path: Path) -> None:
    known = ["xxunk", "xxpad", "xxbos", "xxmaj", "film", "xxfake", "xxfake"]
    own = opened(fastai(known), tmp_path)
    assert own.encode("Film xxfake") == [2, 3, 4, 0]
    assert (own.encode(""), own.decode([2, 3, 4, 5, 6])) == ([2], "xxmaj film")
    own.check_ids(7)
    assert opened(words(known[:5], "fastai"), tmp_path).encode("Film film") == [2, 3, 4, 4]
    with pytest.raises(ImportFailed, match="no xxbos"):
        fastai(known[:2])


SLOW = (pytest.mark.slow, pytest.mark.timeout(300))
HOSTILE = ("a", " ", "!", "<", "Σ", "ʰ", "é", "'", "a ", "A.", "अ", "\0")


@pytest.mark.parametrize(
    ("letters", "size"), [(HOSTILE, 2**12), *(pytest.param((one,), 2**18, marks=SLOW) for one in HOSTILE)]
)
def test_a_long_hostile_text_is_read(tmp_path: Path, letters: Sequence[str], size: int) -> None:
    """A rule that takes quadratic time would not come to an end."""
    index = {"a": 1, "b": 2}
    vocabularies = [
        keras_tokenizer(KerasTokenizer(index), length=padded(50)),
        keras_tokenizer(KerasTokenizer(index, split="aX"), length=padded(50)),
        text_vectorization({"output_sequence_length": 50}, ["a"]),
        imdb(index, 10, length=padded(50)),
        words(["<unk>"], "pytorch_tutorial_2017"),
        words(["<unk>"], "spaces_lower", cleaning=[Replacement(pattern=r"<[^>]+>|\s+$", by="")], stop_words=["a"]),
    ]
    for vocabulary in vocabularies:
        tokenizer = opened(vocabulary, tmp_path)
        for run in letters:
            tokenizer.encode(run * (size // len(run)) + "Σx")


# The kits' recordings.


def kit(name: str) -> Path:
    if KITS is None:
        pytest.skip("NO KITS: UNROLL_KITS names their folder")
    folder = Path(KITS, name)
    if not folder.is_dir():
        pytest.skip(f"NO KIT: {folder} is missing")
    return folder


def content(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def of_tokenizer(file: str, **options: Any) -> Callable[[Path], Vocabulary]:
    def make(folder: Path) -> Vocabulary:
        tokenizer = tokenizer_of(content(folder / file))
        assert tokenizer is not None
        return keras_tokenizer(tokenizer, **options)

    return make


def of_layer(file: str) -> Callable[[Path], Vocabulary]:
    def make(folder: Path) -> Vocabulary:
        with zipfile.ZipFile(folder / file) as archive:
            asset = next(name for name in archive.namelist() if name.endswith("vocabulary.txt"))
            layers = json.loads(archive.read("config.json"))["config"]["layers"]
            config = next(layer["config"] for layer in layers if layer["class_name"] == "TextVectorization")
            return text_vectorization(config, vocabulary_lines(archive.read(asset).decode()))

    return make


def of_imdb(num_words: int, maxlen: int) -> Callable[[Path], Vocabulary]:
    return lambda folder: imdb(content(folder / "imdb_word_index.json"), num_words, length=padded(maxlen))


def of_words(file: str, rules: str, **options: Any) -> Callable[[Path], Vocabulary]:
    def make(folder: Path) -> Vocabulary:
        known = content(folder / file)
        return words(
            sorted(known, key=lambda word: known[word]) if isinstance(known, dict) else known, rules, **options
        )

    return make


SPACED = {"cleaning": [Replacement(pattern=r"([?.!,])", by=r" \1 ")], "length": padded(6, padding="post")}
POST = padded(50, padding="post", truncating="post")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("keras2_h5_sentiment/expected_tok_lstm.json", of_tokenizer("tokenizer.json", length=POST)),
        ("keras2_h5_sentiment/expected_keras3_bigru.json", of_tokenizer("tokenizer_bigru.json", length=padded(36))),
        ("keras2_h5_sentiment/expected_keras22_lstm.json", of_imdb(1600, 44)),
        ("keras3_sentiment/expected_imdb_lstm.json", of_imdb(2000, 40)),
        ("keras3_sentiment/expected_imdb_bilstm2.json", of_imdb(1500, 50)),
        ("keras3_sentiment/expected_textvec_bilstm.json", of_layer("textvec_bilstm.keras")),
        ("keras3_sentiment/expected_textvec_gru_max_softmax.json", of_layer("textvec_gru_max_softmax.keras")),
        ("keras_seq2seq/expected_attention.json", of_tokenizer("attention_src_tokenizer.json", **SPACED)),
        ("keras_seq2seq/expected_word_s2s.json", of_tokenizer("word_s2s_src_tokenizer.json", **SPACED)),
        (
            "keras_text_generation/expected_next_word_lstm.json",
            of_tokenizer("next_word_lstm_tokenizer.json", length=padded(10)),
        ),
        ("fastai_awd_lstm/expected_clas.json", lambda folder: fastai(content(folder / "clas_vocab.json"))),
        ("fastai_awd_lstm/expected_lm.json", lambda folder: fastai(content(folder / "lm_vocab.json"))),
        ("pytorch_tagger/expected_lstm_tagger.json", of_words("word_to_ix.json", "spaces")),
        ("pytorch_word_language_model/expected_lstm.json", of_words("lstm_idx2word.json", "spaces", unknown="refuse")),
    ],
)
def test_ids_of_a_kit(tmp_path: Path, name: str, make: Callable[[Path], Vocabulary]) -> None:
    recorded = kit(name.partition("/")[0]).parent / name
    tokenizer = opened(make(recorded.parent), tmp_path)
    cases = [case for case in content(recorded)["cases"] if "error" not in case]
    assert len(cases) > 10
    for case in cases:
        assert tokenizer.encode(case["text"]) == case["ids"], case["text"]
        pieces = tokenizer.pieces(case["text"])
        assert len(pieces) == len(case["ids"])


@pytest.mark.parametrize(("name", "hidden"), [("attention", ["<start>", "<end>"]), ("word_s2s", ["start_", "_end"])])
def test_answers_of_a_kit(tmp_path: Path, name: str, hidden: list[str]) -> None:
    folder = kit("keras_seq2seq")
    tokenizer = opened(of_tokenizer(f"{name}_tgt_tokenizer.json", hidden=hidden)(folder), tmp_path)
    for case in content(folder / f"expected_{name}.json")["cases"]:
        assert tokenizer.decode(case["output_ids"]) == case["output"]


def test_characters_of_the_kits(tmp_path: Path) -> None:
    folder = kit("keras_seq2seq")
    source, target, *_ = content(folder / "s2s_characters.json").values()
    tokenizer = opened(characters(target, hidden=["\t", "\n"]), tmp_path)
    for case in content(folder / "expected_s2s.json")["cases"]:
        if "error" not in case:
            assert tokenizer.decode(case["output_ids"]) == case["output"].removesuffix("\n")
            assert opened(characters(source), tmp_path).encode(case["text"]) == [*map(source.index, case["text"])]
