"""Accuracy over the distance between the decisive sentence and the end of a text."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm

from app.models.networks import Classifier
from app.text.tokenizer import TextTokenizer
from training.classify import positive_logit
from training.dependency.statements import FILLER, filler, statements


@dataclass(frozen=True, kw_only=True)
class Survival:
    """All decisive sentences, each before about `aimed` tokens of filler, `tokens` on average.

    `right` is the mean probability of the right label, `filler` the mean probability of positive for the filler alone.
    `difference` is the mean probability of positive after a positive beginning minus that after a negative one: the
    effect of the beginning, independent of the filler.
    """

    network: str
    aimed: int
    tokens: float
    accuracy: float
    right: float
    difference: float
    filler: float


def survival(name: str, network: Classifier, tokenizer: TextTokenizer, distances: Sequence[int]) -> list[Survival]:
    """One row for each distance. Opposite sentences get the same fillers."""
    return [
        _at(name, network, tokenizer, distance)
        for distance in tqdm(distances, desc=f"distance, {name}", unit="distance", dynamic_ncols=True)
    ]


def _at(name: str, network: Classifier, tokenizer: TextTokenizer, distance: int) -> Survival:
    decisive = statements()
    widths = [len(tokenizer.encode_target(sentence)) for sentence in FILLER]
    half = len(decisive) // 2
    behind = []
    for number in range(half):
        chosen = filler(widths, distance, random.Random(number))
        behind.append(" ".join(FILLER[index] for index in chosen))
    by_label = [[statement.text for statement in decisive if statement.label == label] for label in (0, 1)]
    negative, positive = (
        [tokenizer.encode(f"{text} {rest}".strip()) for text, rest in zip(texts, behind, strict=True)]
        for texts in by_label
    )
    with torch.inference_mode():
        after_negative, after_positive = (positive_logit(network, rows).sigmoid() for rows in (negative, positive))
        alone = positive_logit(network, [tokenizer.encode(rest) for rest in behind]).sigmoid() if distance else None
    right = torch.cat((1 - after_negative, after_positive))
    tokens = [len(tokenizer.encode_target(rest)) for rest in behind]
    return Survival(
        network=name,
        aimed=distance,
        tokens=round(sum(tokens) / half, 1),
        accuracy=round(float((right > 0.5).float().mean()), 4),
        right=round(float(right.mean()), 4),
        difference=round(float((after_positive - after_negative).mean()), 4),
        filler=round(float(alone.mean()), 4) if alone is not None else 0.5,
    )
