"""Recipe of `sentiment-ko`: Korean texts, negative or positive, by an LSTM that reads forward.

It continues from the newest version in the model store, with sentences of negation, contrast and irony beside film
reviews. Version 1 started from `lm-ko`.

    python -m training.sentiment_ko --data data
"""

from pathlib import Path

import torch

from app.models.networks import Classifier
from training.calibration import calibration_error
from training.cards import CardText
from training.classify import Config, draft_manifest, polarities, polarity_accuracy, train_classifier
from training.data import read_contrast, read_more_contrast, read_nsmc, read_opinions
from training.loop import Schedule
from training.recipe import Figure, Recipe, Shipped

CONFIG = Config(
    start="sentiment-ko",
    token_dropout=0.05,
    crop=100,
    tokens_per_batch=3600,
    dropout=0.3,
    kept=0.3,
    seed=7,
    schedule=Schedule(epochs=6, learning_rate=1e-3, average=0.997, patience=6),
)
CARD = CardText(
    data="""Naver sentiment movie corpus (github.com/e9t/nsmc), raw reviews with their rating: all of 1 to 4,
140,000 of 9 to 10, 60,000 of 5 to 8. 1 to 4 is negative, 9 to 10 positive; 5 to 8 is neutral, left
out of dev and test and kept for training. The target is a probability that follows the rating: 0.98
for 10, 0.02 for 1, near 0.5 between. Split by film, so that no film is in two parts: 5 % of the films
are test, 2 % dev (SHA-256 of the film's id, see `training/data.py`). Beside them 7,829 sentences of
negation, contrast, understatement and irony about films, products, food, travel and service, written
for this project (`sentiment_contrast_ko` and `training/data/sentiment_ko.tsv`), and 15,979 more
(`training/data/opinions_ko.tsv`; 72 of them came too late for this training) that tell what happened as often as what
somebody thinks, half of them in pairs that differ in a few words. An epoch has a fifth of
the reviews and each written sentence three times. Version 3 continues from version 2 in two rounds, the
first with half of the new sentences, and three tenths of its weights are those of version 2; that
continued from version 1, whose tokenizer, embedding and recurrence started from `lm-ko`. The
probabilities are calibrated by a temperature (Guo et
al. 2017) on dev, which is part of the output layer.""",
    limits="""Short reviews of films, in the spelling of web comments; other kinds of text are a change of domain.
There is no neutral class: a text without opinion still gets a label, with a `polarity` that should
be near 0 but need not be. Ratings and texts disagree in part of the corpus, which bounds what can
be reached. Of sentences of negation, contrast and irony, which words alone do not tell, three in four are
right.""",
    terms="Corpus: CC0 1.0. Weights: Apache-2.0, as the rest of this repository.",
)


def train(data: Path, folder: Path, epochs: int | None) -> None:
    pools = [
        (0.2, read_nsmc(data, "train", neutral=True)),
        (3, [*read_contrast(data, "ko", "train"), *read_more_contrast(data, "ko"), *read_opinions(data, "ko")]),
    ]
    dev = read_nsmc(data, "dev")[:1200] + 10 * read_contrast(data, "ko", "dev")
    train_classifier(CONFIG, folder, train=pools, dev=dev, epochs=epochs)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, Classifier)
    figures = []
    for texts, where, suffix in (
        (read_nsmc(data, "test"), "NSMC test films, {} reviews, 1-4 against 9-10", ""),
        (read_contrast(data, "ko", "test"), "`sentiment_contrast_ko`, {} set aside", " on contrast sentences"),
    ):
        polarity = polarities(shipped.network, shipped.tokenizer, texts)
        labels = torch.tensor([row.label for row in texts])
        place = where.format(len(texts))
        figures.append(Figure(f"accuracy{suffix}", polarity_accuracy(polarity, texts), place))
        error = calibration_error((polarity + 1) / 2, labels)
        figures.append(Figure(f"expected calibration error{suffix}", error, place))
    return figures


RECIPE = Recipe(
    draft=draft_manifest(
        CONFIG,
        name="sentiment-ko",
        language="ko",
        description="Korean sentiment: negative or positive, trained on film reviews.",
        licence="Apache-2.0",
        minutes=12,
        precision="int8",
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
