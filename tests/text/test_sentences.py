"""Where sentences end, in English and Korean."""

import random
import time

import pytest

from app.text.sentences import sentences_of


@pytest.mark.parametrize(
    "sentences",
    [
        ["Open file"],
        ["Save the file.", "Close the window."],
        ["Is it saved?", "Yes!", "Good…", "Then close it."],
        ["“Save it.”", "(Then close it.)", "Done."],
        ["파일을 저장합니다.", "창을 닫을까요?", "네!"],
        ["保存する。", "閉じる！"],
        ["Dr. Smith met Mr. J. Lee at 5 p.m. See fig. 3 and no. 7.", "The answer is no.", "Really."],
        ["Use e.g. Python 3.11.", "It is free."],
        ["Wait... what is that", "1. Open the file.", "2. Close it."],
        ["It costs 3.5 dollars and www.example.com is a name"],
        ["the file. it is in lower case. so it stays together"],
        ["...", "?!"],
    ],
)
@pytest.mark.parametrize("separator", [" ", "\n", "\r\n\r\n", "  ", "\n  \t", "\u2028"])
def test_sentences_are_found_between_separators(sentences: list[str], separator: str) -> None:
    joins_lists = sentences[0] in ("Wait... what is that", "...") and separator in (" ", "  ")
    if joins_lists:
        pytest.skip("a sentence without an end of its own needs a line break")
    text = separator.join(sentences)
    spans = sentences_of(f" {text}\n")
    assert [f" {text}\n"[span.start : span.end] for span in spans] == sentences


def test_lines_are_sentences_and_blank_ones_are_none() -> None:
    text = "File\n\n\u200b\n  Edit \n\t\nView"
    assert [text[start:end] for start, end in sentences_of(text)] == ["File", "Edit", "View"]
    assert sentences_of(" \n\u200b\u00ad") == []


@pytest.mark.parametrize("seed", range(50))
def test_what_is_between_sentences_is_blank(seed: int) -> None:
    rng = random.Random(seed)
    text = "".join(
        rng.choice(["a", "B", ".", "!", "?", " ", "\n", '"', ")", "1", "다", "。", "\u200b"]) for _ in range(200)
    )
    spans = sentences_of(text)
    ends = [0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), len(text)]
    for end, start in zip(ends, starts, strict=True):
        assert end <= start
        assert not text[end:start].strip().strip("\u200b \n")


@pytest.mark.parametrize("unit", [" ", "! ", ". A", "\n", '."', "a", "\u200b", "!\u200b"])
def test_time_grows_with_the_length_alone(unit: str) -> None:
    began = time.thread_time()
    sentences_of("a" + unit * (200_000 // len(unit)) + "b")
    assert time.thread_time() - began < 2
