"""Rewrites Korean sentences in other registers: the everyday pairs are polite, and a network learns from what it sees.

The morphemes of the last predicate keep their stem and get another ending. Kiwi (github.com/bab2min/Kiwi, LGPL) finds
them and joins them again, with contractions and irregular stems. It is not among the requirements: its result is kept
in `training/data/registers.tsv.gz`, and made anew by

    pip install kiwipiepy
    python -m training.endings --data data
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from app.store.registers import Register
from training.data import WRITTEN
from training.enko import read_phrases, read_translated, read_written
from training.registers import REGISTERS, register_of

if TYPE_CHECKING:
    from kiwipiepy import Kiwi

REWRITTEN = WRITTEN / "registers.tsv.gz"

Mood = Literal["statement", "question", "command", "proposal"]


class Morpheme(NamedTuple):
    """A morpheme, its part of speech (Sejong tag set) and its place in the text."""

    form: str
    tag: str
    start: int
    end: int


_STATEMENTS = {
    *("어요", "아요", "에요", "예요", "네요", "ᆫ데요", "은데요", "는데요"),
    *("습니다", "ᆸ니다", "다", "ᆫ다", "는다", "어", "아", "야"),
}
_QUESTIONS = {"나요", "ᆫ가요", "은가요", "습니까", "ᆸ니까", "니", "는가", "ᆫ가", "은가"}
_BARE = {"어", "아"}  # 반말 states and commands with them
_HONORIFIC = {"세요", "으세요", "셔요", "시어요", "십시오", "으십시오"}
_PROPOSALS = {"ᆸ시다", "읍시다"}
_PROMISES = {"ᆯ게요", "을게요"}
_SAME_STEM: dict[str, dict[Register, str]] = {
    "ᆯ까요": {"polite": "ᆯ까요", "casual": "ᆯ까"},
    "을까요": {"polite": "을까요", "casual": "을까"},
    "죠": {"polite": "죠", "casual": "지"},
    "지요": {"polite": "죠", "casual": "지"},
    "잖아요": {"polite": "잖아요", "casual": "잖아"},
    "거든요": {"polite": "거든요", "casual": "거든"},
    "군요": {"polite": "군요", "casual": "군"},
    "는군요": {"polite": "는군요", "casual": "는군"},
}
_ENDINGS: dict[Mood, dict[Register, str]] = {
    "statement": {"polite": "어요", "formal": "습니다", "casual": "어"},
    "question": {"polite": "어요", "formal": "습니까", "casual": "어"},
    "command": {"polite": "으세요", "formal": "으십시오", "plain": "으라", "casual": "어"},
    "proposal": {"polite": "어요", "formal": "ᆸ시다", "plain": "자", "casual": "자"},
}
_PROMISE: dict[Register, list[tuple[str, str]]] = {
    "polite": [("ᆯ게요", "EF")],
    "formal": [("겠", "EP"), ("습니다", "EF")],
    "plain": [("겠", "EP"), ("다", "EF")],
    "casual": [("ᆯ게", "EF")],
}
_ADJECTIVES = {"VA", "VA-I", "VA-R", "XSA", "XSA-I", "XSA-R"}
_LIKE_ADJECTIVES = {"있", "없", "계시", "싶", "같", "듯하", "만하"}
_PROPOSES = re.compile(r"^(let's|let us|shall we)\b", re.IGNORECASE)
_SUBJECT = re.compile(
    r"^(i|you|he|she|it|we|they|there|this|that|these|those|the|a|an|my|your|his|her|our|their|its|who|what|where|when"
    r"|why|how|which|everyone|nobody|grandmother|grandfather|mr|mrs|dr|[a-z]+'(s|re|m|ve|ll|d))\b",
    re.IGNORECASE,
)
_HUMBLE = {"저희": "우리", "저는": "나는", "제가": "내가", "저를": "나를", "저에게": "나에게", "저한테": "나한테"}
_HUMBLE_ALONE = {"저도": "나도", "저와": "나와", "저랑": "나랑", "저만": "나만", "제": "내", "전": "난", "절": "날"}


@cache
def _kiwi() -> "Kiwi":
    from kiwipiepy import Kiwi

    return Kiwi()


def rewritten(english: str, korean: str, register: Register) -> str | None:
    """The Korean of a pair in another register, or None if one of its sentences has no safe way there."""
    found = _kiwi().tokenize(korean)
    tokens = [Morpheme(token.form, token.tag, token.start, token.start + token.len) for token in found]
    pieces: list[str] = []
    done = 0
    for place, token in enumerate(tokens):
        if not _ends_a_sentence(tokens, place):
            continue
        last = place + 1 if tokens[place + 1 : place + 2] and tokens[place + 1].tag == "JX" else place
        mark = korean[tokens[last].end : tokens[last].end + 1]
        begin = _stem(tokens, place)
        mood = _mood(english, token.form, mark)
        ending = None if mood is None else _ending(tokens[: place + 1], begin, mood, register)
        if ending is None:
            return None
        stem = [(part.form, part.tag) for part in tokens[begin:place] if (part.form, part.tag) != ("시", "EP")]
        pieces += [_humble(korean[done : tokens[begin].start], register), _kiwi().join(stem + ending)]
        done = tokens[last].end
    text = "".join((*pieces, korean[done:])).replace("거입니", "것입니")
    return text if pieces and text != korean and register_of(text) == register else None


def _ends_a_sentence(tokens: Sequence[Morpheme], place: int) -> bool:
    """Whether an ending, or one with 요 behind it, has a mark or nothing after it."""
    if not tokens[place].tag.startswith("EF"):
        return False
    rest = [token.tag for token in tokens[place + 1 : place + 3]]
    return not rest or rest[0] == "SF" or (rest[0] == "JX" and rest[1:] in ([], ["SF"]))


def _stem(tokens: Sequence[Morpheme], end: int) -> int:
    """Where the stem of the ending at `end` begins: before it stand no more than suffixes and 이다."""
    place = end - 1
    while place > 0 and tokens[place].tag.split("-")[0] in ("EP", "XSV", "XSA", "VCP"):
        place -= 1
    return place


def _mood(english: str, ending: str, mark: str) -> Mood | None:
    """What the sentence does; None if neither its ending nor the English tells."""
    if _PROPOSES.match(english) or ending in _PROPOSALS:
        return "proposal"
    if mark == "?":
        return "question"
    if _SUBJECT.match(english) or ending not in _HONORIFIC | _BARE:
        return "statement"
    return "command" if ending in _HONORIFIC else None


def _ending(tokens: Sequence[Morpheme], begin: int, mood: Mood, register: Register) -> list[tuple[str, str]] | None:
    """The ending of a register for the predicate from `begin` on: its stem, suffixes and, last, its present ending."""
    ending, before = tokens[-1].form, tokens[:-1]
    if ending in _PROMISES:
        return _PROMISE[register]
    if ending in _SAME_STEM:
        found = _SAME_STEM[ending].get(register)
        return None if found is None else [(found, "EF")]
    if ending not in _STATEMENTS | _QUESTIONS | _HONORIFIC | _PROPOSALS or len(before) == begin:
        return None
    honours = ending in _HONORIFIC and mood != "command" and register in ("polite", "formal")
    if register == "plain" and mood in ("statement", "question"):
        return [(_plain(before, mood), "EF")]
    if register in ("polite", "casual") and before[-1].tag in ("VCP", "VCN"):
        return [("에요" if register == "polite" else "야", "EF")]
    return [*([("시", "EP")] if honours else []), (_ENDINGS[mood][register], "EF")]


def _plain(before: Sequence[Morpheme], mood: Mood) -> str:
    """한다체 tells verbs from adjectives, and both from a past or future."""
    last = before[-1]
    if last.form in ("않", "못하") and last.tag.startswith("VX") and len(before) > 2:
        last = before[-3]  # 좋지 않다, but 가지 않는다
    describes = last.tag in _ADJECTIVES or last.tag in ("VCP", "VCN") or last.form in _LIKE_ADJECTIVES
    if mood == "question":
        return "ᆫ가" if describes and last.form not in ("있", "없") else "는가"
    return "다" if before[-1].tag == "EP" or describes else "ᆫ다"


def _humble(text: str, register: Register) -> str:
    """저 and its forms are 나 in 한다체 and 반말."""
    if register in ("polite", "formal"):
        return text
    for humble, usual in _HUMBLE.items():
        text = re.sub(rf"(?<![가-힣]){humble}", usual, text)
    for humble, usual in _HUMBLE_ALONE.items():
        text = re.sub(rf"(?<![가-힣]){humble}(?![가-힣])", usual, text)
    return text


def rewritten_pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Each pair in every other register that it can have."""
    for english, korean in pairs:
        for register in REGISTERS:
            if register != register_of(korean) and (text := rewritten(english, korean, register)):
                yield english, text


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
def main(data: Path) -> None:
    """Write `training/data/registers.tsv.gz`."""
    everyday = (*read_phrases(data, "train"), *read_written(data), *read_translated(data))
    pairs = [(pair.source, pair.target) for pair in everyday]
    lines = [f"{english}\t{korean}\n" for english, korean in dict.fromkeys(rewritten_pairs(pairs))]
    with REWRITTEN.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        packed.write("".join(lines).encode("utf8"))
    click.echo(f"{len(lines)} pairs in {REWRITTEN}")


if __name__ == "__main__":
    main()
