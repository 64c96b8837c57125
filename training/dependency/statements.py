"""Texts whose first sentence decides the label: an opinion, then neutral facts."""

import random
from collections.abc import Sequence
from typing import NamedTuple

TEMPLATES = (
    "This film is {}.",
    "I found the movie {}.",
    "The whole story was {}.",
    "The acting in this one is simply {}.",
    "What a {} picture.",
    "My friends and I thought it was {}.",
    "The result is {} from start to finish.",
    "All in all a {} evening at the cinema.",
)
POSITIVE = ("wonderful", "excellent", "brilliant", "superb", "fantastic", "delightful", "perfect", "great")
NEGATIVE = ("terrible", "awful", "dreadful", "horrible", "boring", "pathetic", "stupid", "bad")
FILLER = (
    "The film was shot in a small town near the coast.",
    "It runs for about a hundred minutes.",
    "The story is set in the spring of 1962.",
    "Two brothers share a house at the end of a street.",
    "One of them works at the railway station.",
    "The other one drives a van and delivers newspapers.",
    "Most of the scenes take place indoors.",
    "The script was written by three people.",
    "It is based on a book from the same year.",
    "The camera stands on the left side of the room.",
    "A letter arrives in the second half.",
    "The sister of the younger man lives in another city.",
    "They meet her at the airport on a Tuesday.",
    "The music was recorded with a small orchestra.",
    "Some of the dialogue is in French.",
    "The director had made two other films before.",
    "There is a car, a bridge and a long road.",
    "The names of the crew are shown at the end.",
    "It was first shown in October.",
    "The second part is set ten years later.",
)


class Statement(NamedTuple):
    """A decisive sentence and its label: 0 negative, 1 positive."""

    text: str
    label: int


def statements() -> list[Statement]:
    """Every template with every adjective; half of them are positive."""
    return [
        Statement(template.format(adjective), label)
        for template in TEMPLATES
        for label, adjectives in enumerate((NEGATIVE, POSITIVE))
        for adjective in adjectives
    ]


def filler(lengths: Sequence[int], goal: int, generator: random.Random) -> list[int]:
    """Indices of whole sentences of `FILLER` in random order, until their `lengths` in tokens add up to `goal`.

    No sentence repeats before all others were used.
    """
    chosen: list[int] = []
    deck: list[int] = []
    while sum(lengths[index] for index in chosen) < goal:
        if not deck:
            deck = generator.sample(range(len(FILLER)), len(FILLER))
        chosen.append(deck.pop())
    return chosen
