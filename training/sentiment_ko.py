"""Recipe of `sentiment-ko`: Korean film reviews, negative or positive, by an LSTM that reads forward.

It starts from `lm-ko`, which must be in the model store.

    python -m training.sentiment_ko --data data
"""

from pathlib import Path

import torch

from app.models.networks import Classifier
from training.calibration import calibration_error
from training.cards import CardText
from training.classify import Config, draft_manifest, polarities, polarity_accuracy, train_classifier
from training.data import read_nsmc
from training.loop import Schedule
from training.recipe import STORE, Figure, Recipe, Shipped

CONFIG = Config(
    language_model=STORE / "lm-ko" / "1",
    token_dropout=0.05,
    crop=120,
    tokens_per_batch=3600,
    slow_encoder=0.5,
    schedule=Schedule(epochs=3, learning_rate=1.5e-3),
)
CARD = CardText(
    data="""Naver sentiment movie corpus (github.com/e9t/nsmc), raw reviews with their rating: all of 1 to 4,
140,000 of 9 to 10, 60,000 of 5 to 8. 1 to 4 is negative, 9 to 10 positive; 5 to 8 is neutral, left
out of dev and test and kept for training. The target is a probability that follows the rating: 0.98
for 10, 0.02 for 1, near 0.5 between. Split by film, so that no film is in two parts: 5 % of the films
are test, 2 % dev (SHA-256 of the film's id, see `training/data.py`). Tokenizer, embedding and
recurrence start from `lm-ko`. The probabilities are calibrated by a temperature (Guo et al. 2017)
on dev, which is part of the output layer.""",
    limits="""Short reviews of films, in the spelling of web comments; other kinds of text are a change of domain.
There is no neutral class: a text without opinion still gets a label, with a `polarity` that should
be near 0 but need not be. Ratings and texts disagree in part of the corpus, which bounds what can
be reached. Irony is mostly missed.""",
    terms="Corpus: CC0 1.0. Weights: Apache-2.0, as the rest of this repository.",
)


def train(data: Path, folder: Path, epochs: int | None) -> None:
    texts = read_nsmc(data, "train", neutral=True)
    train_classifier(CONFIG, folder, train=texts, dev=read_nsmc(data, "dev"), epochs=epochs)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, Classifier)
    test = read_nsmc(data, "test")
    polarity = polarities(shipped.network, shipped.tokenizer, test)
    where = f"NSMC test films, {len(test)} reviews, 1-4 against 9-10"
    labels = torch.tensor([row.label for row in test])
    return [
        Figure("accuracy", polarity_accuracy(polarity, test), where),
        Figure("expected calibration error", calibration_error((polarity + 1) / 2, labels), where),
    ]


RECIPE = Recipe(
    draft=draft_manifest(
        CONFIG,
        name="sentiment-ko",
        language="ko",
        description="Korean sentiment: negative or positive, trained on film reviews.",
        licence="Apache-2.0",
        minutes=25,
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
