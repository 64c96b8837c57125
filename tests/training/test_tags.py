"""Words of the treebank in texts, and the tokenizer whose pieces are such words."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tests.training.raw_data import write_raw_data
from training.subwords import train_subwords_of_words
from training.tag_en import row_of
from training.tags import TAGS, WORDS, as_written, read_tags, spaced

SENTENCES = [
    ("Mr. Poe did n't like it , he said .", "Mr. Poe didn't like it, he said."),
    ("\" No ! \" ( Anna 's cat ) ca n't", "\"No!\" (Anna's cat) can't"),
    ("a well - known U.S. firm / bank - and more", "a well-known U.S. firm/bank-and more"),
    ("$ 3.50 at 10:30 ... we 've e-mailed me@example.org", "$3.50 at 10:30... we've e-mailed me@example.org"),
    ("can not", "can not"),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_subwords_of_words([text for pair in SENTENCES for text in pair], size=400, pattern=WORDS)


def words_of(tokenizer: Tokenizer, text: str) -> list[str]:
    """The pieces of the pre-tokenizer."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    spans: dict[int, tuple[int, int]] = {}
    for number, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
        assert number is not None
        spans[number] = (spans.get(number, (start, end))[0], end)
    return [text[start:end].strip() for start, end in spans.values()]


@pytest.mark.parametrize(("words", "text"), SENTENCES)
def test_sentences_are_written_as_people_do(words: str, text: str) -> None:
    placed = as_written(words.split())
    assert placed.text == text
    assert [placed.text[start:end] for start, end in placed.places] == words.split()
    assert spaced(words.split()).text == words


@pytest.mark.parametrize(("words", "text"), SENTENCES)
def test_the_tokenizer_splits_a_text_into_the_words_of_the_treebank(
    tokenizer: Tokenizer, words: str, text: str
) -> None:
    assert words_of(tokenizer, text) == words.split()
    assert words_of(tokenizer, words) == words.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I cannot see https://example.org/a?b=c.", ["I", "can", "not", "see", "https://example.org/a?b=c", "."]),
        ("Wait!!! -- really", ["Wait", "!!!", "--", "really"]),
        ("naïve café 😀", ["naïve", "café", "😀"]),
        ("I. It's", ["I", ".", "It", "'s"]),
        ("J. Smith, Jan. 5", ["J.", "Smith", ",", "Jan.", "5"]),
    ],
)
def test_words_of_texts_beside_the_treebank(tokenizer: Tokenizer, text: str, words: list[str]) -> None:
    assert words_of(tokenizer, text) == words


def test_the_last_token_of_a_word_has_its_tag(tokenizer: Tokenizer) -> None:
    words, tags = ["Mr.", "Poe", "did", "n't", "sleep"], ["PROPN", "PROPN", "AUX", "PART", "VERB"]
    for placed in (spaced(words), as_written(words)):
        ids, labels = row_of(tokenizer, placed, tags)
        assert len(ids) > len(words)  # "sleep" is unknown
        assert [TAGS[label] for label in labels if label >= 0] == tags
        assert labels[-1] == TAGS.index("VERB")


def test_a_word_that_ends_within_a_token_has_no_tag(tokenizer: Tokenizer) -> None:
    placed = as_written(["Mr", "."])  # "Mr." is one token
    ids, labels = row_of(tokenizer, placed, ["PROPN", "PUNCT"])
    assert len(ids) == 1
    assert labels == [TAGS.index("PUNCT")]


def test_splits_are_read_as_published(tmp_path: Path) -> None:
    write_raw_data(tmp_path)
    parts = {split: read_tags(tmp_path, split) for split in ("train", "dev", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 160, "dev": 20, "test": 20}
    assert all(len(words) == len(tags) for part in parts.values() for words, tags in part)
    assert {tag for part in parts.values() for _, tags in part for tag in tags} <= set(TAGS)
