"""English texts of realistic lengths, the same for every run: film reviews and sentences of software."""

import random
from collections.abc import Sequence

_REVIEW_CLAUSES = (
    "the {thing} was {degree} {quality}",
    "I {felt} the {thing} from beginning to end",
    "nobody in it could save the {quality} {thing}",
    "it has a {quality} {thing} and a {quality} {thing}",
    "we left with the feeling that the {thing} was {quality}",
    "my whole family {felt} it",
    "the director gives the {thing} a {degree} {quality} touch",
    "after an hour the {thing} becomes {quality}",
)
_REVIEW_WORDS = {
    "thing": "film story plot acting ending music dialogue camera cast script villain humour pace romance",
    "quality": "slow moving brilliant dull funny predictable beautiful hollow tense clumsy warm forgettable",
    "degree": "very rather surprisingly hardly truly almost painfully quietly",
    "felt": "loved enjoyed hated endured admired followed regretted forgot",
}
_MANUAL_CLAUSES = (
    "{do} the {thing}",
    "the {state} {thing} could not be {done}",
    "select a {thing} to {do} it",
    "do you want to {do} the {state} {thing}",
    "{do} the {thing} before you {do} the {state} {thing}",
    "if the {thing} is {state}, it is {done} at the next start",
    "shows whether the {thing} was {done}",
    "the {thing} of this {thing} is {state}",
)
_MANUAL_WORDS = {
    "thing": "file folder window server message password network image account printer page document key",
    "state": "new selected hidden remote current invalid local encrypted empty default",
    "do": "open save close delete rename send import check copy restart move change",
    "done": "opened saved closed deleted renamed sent imported found copied read moved changed",
}


def review(words: int, random_source: random.Random) -> str:
    """A film review with this number of words."""
    return _text(words, random_source, _REVIEW_CLAUSES, _REVIEW_WORDS)


def manual(words: int, random_source: random.Random) -> str:
    """A text with this number of words, like menus, messages and manuals of software."""
    return _text(words, random_source, _MANUAL_CLAUSES, _MANUAL_WORDS)


def _text(words: int, random_source: random.Random, clauses: Sequence[str], choices: dict[str, str]) -> str:
    text: list[str] = []
    while len(text) < words:
        if text:
            text[-1] += random_source.choice((",", ".", " and", " but"))
        clause = random_source.choice(clauses)
        for slot, options in choices.items():
            while (place := "{" + slot + "}") in clause:
                clause = clause.replace(place, random_source.choice(options.split()), 1)
        text = " ".join([*text, clause]).split()
    sentence = " ".join(text[:words]).rstrip(",.")
    return sentence[0].upper() + sentence[1:] + "."


def spread(lengths: Sequence[int], random_source: random.Random, *, stretch: int = 32) -> list[int]:
    """The same lengths, reordered so that every `stretch` of them has the mix of all. So a measurement sees the same
    mix however many inputs it sends."""
    ordered = sorted(lengths)
    steps = max(1, len(ordered) // stretch)
    order: list[int] = []
    for start in random_source.sample(range(steps), steps):
        part = ordered[start::steps]
        order += random_source.sample(part, len(part))
    return order
