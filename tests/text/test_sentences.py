"""Where sentences end, in English and Korean."""

import random

import pytest

from app.text.sentences import most_sentences, sentences_of
from app.text.white_space import plain


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
        ["이 파일을 여기에 둬.", "그리고 닫아 줘.", "끝."],
        ["뭐！?", "Next"],
        ["何？…", "そう"],
    ],
)
@pytest.mark.parametrize("separator", [" ", "\n", "\r\n\r\n", "  ", "\n  \t", "\u2028"])
def test_sentences_are_found_between_separators(sentences: list[str], separator: str) -> None:
    joins_lists = sentences[0] == "Wait... what is that" and separator in (" ", "  ")
    if joins_lists:
        pytest.skip("a sentence without an end of its own needs a line break")
    text = separator.join(sentences)
    spans = sentences_of(f" {text}\n")
    assert [f" {text}\n"[span.start : span.end] for span in spans] == sentences


def test_lines_are_sentences_and_blank_ones_are_none() -> None:
    text = "File\n\n\u200b\n  Edit \n\t\nView"
    assert [text[start:end] for start, end in sentences_of(text)] == ["File", "Edit", "View"]
    assert sentences_of(" \n\u200b\u00ad") == []


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Wait . . . What?", ["Wait .", "What?"]),
        ("A\n---\nB", ["A", "B"]),
        ("Open.\n\n🎉\n\nClose.", ["Open.", "Close."]),
        ("Done.\n\n🎉", ["Done.\n\n🎉"]),
        ("***\nDone. Really.", ["***\nDone.", "Really."]),
        (" ...\n?! ", ["...\n?!"]),
    ],
)
def test_what_has_no_letter_is_no_sentence(text: str, sentences: list[str]) -> None:
    """Between two sentences it is kept as it is; at the ends of the text it belongs to the first or the last one."""
    assert [text[start:end] for start, end in sentences_of(text)] == sentences


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith came. He left.",
        "Open. File",
        "We met. and went",
        "Open the file. save it",
        "No. 7 is here. Really.",
        "“Save it.” (Then close it.) Done.",
        "保存する。閉じる！",
    ],
)
@pytest.mark.parametrize("odd", ["\u200b", "\ufeff", "\u00ad", "\u200b\u2060"])
def test_characters_without_width_change_no_sentence(text: str, odd: str) -> None:
    expected = [text[start:end] for start, end in sentences_of(text)]
    for place in range(len(text) + 1):
        changed = text[:place] + odd + text[place:]
        assert [plain(changed[start:end])[0] for start, end in sentences_of(changed)] == expected


@pytest.mark.parametrize("space", ["\u00a0", "\u3164", "\u3000", " \u200b", "\u200b ", "\t"])
def test_all_white_space_within_a_line_ends_a_sentence_alike(space: str) -> None:
    for text in ("Mr. Smith came. He left.", "We met. and went", "Open. File"):
        changed = text.replace(" ", space)
        expected = [text[start:end] for start, end in sentences_of(text)]
        assert [plain(changed[start:end])[0] for start, end in sentences_of(changed)] == expected


@pytest.mark.parametrize("seed", range(50))
def test_what_is_between_sentences_has_no_letters(seed: int) -> None:
    rng = random.Random(seed)
    text = "".join(
        rng.choice(["a", "B", ".", "!", "?", " ", "\n", '"', ")", "1", "다", "。", "\u200b"]) for _ in range(200)
    )
    spans = sentences_of(text)
    ends = [0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), len(text)]
    for end, start in zip(ends, starts, strict=True):
        assert end <= start
        assert not any(map(str.isalnum, text[end:start]))
    assert not plain(text[: starts[0]])[0]
    assert not plain(text[ends[-1] :])[0]
    assert all(any(map(str.isalnum, text[start:end])) for start, end in spans)
    assert len(spans) <= most_sentences(text)


@pytest.mark.parametrize("unit", [" ", "! ", ". A", "\n", '."', "a", "\u200b", "!\u200b", ".", "。", '"', ")"])
@pytest.mark.parametrize("end", ["b", ""])
@pytest.mark.timeout(30)  # quadratic time would be minutes
def test_time_grows_with_the_length_alone(unit: str, end: str) -> None:
    sentences_of("a" + unit * (200_000 // len(unit)) + end)
