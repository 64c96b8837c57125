"""Recipe of `sentiment-ko`: Korean film reviews, negative or positive, by a bidirectional LSTM over subwords.

python -m training.sentiment_ko --data data
"""

from pathlib import Path

from app.models.networks import Classifier
from training.cards import CardText
from training.classify import Config, draft_manifest, polarities, polarity_accuracy, train_classifier
from training.data import read_nsmc
from training.loop import Schedule
from training.recipe import Figure, Recipe, Shipped

CONFIG = Config(
    vocabulary=12000,
    lowercase=False,
    embedding=192,
    hidden=192,
    dropout=0.4,
    token_dropout=0.05,
    crop=120,
    tokens_per_batch=3000,
    schedule=Schedule(epochs=4, learning_rate=1.5e-3),
)
CARD = CardText(
    data="""Naver sentiment movie corpus (github.com/e9t/nsmc), raw reviews with their rating: all of 1 to 4,
140,000 of 9 to 10. Ratings of 5 to 8 are neutral and left out; 1 to 4 is negative, 9 to 10
positive. Split by film, so that no film is in two parts: 5 % of the films are test, 2 % dev
(SHA-256 of the film's id, see `training/data.py`). The subword tokenizer (byte-pair encoding,
12,000 subwords) is trained on the training part alone.""",
    limits="""Short reviews of films, in the spelling of web comments; other kinds of text are a change of domain.
There is no neutral class: a text without opinion still gets a label, with a `polarity` that should
be near 0 but need not be. Ratings and texts disagree in part of the corpus, which bounds what can
be reached. Irony is mostly missed.""",
    terms="Corpus: CC0 1.0. Weights: Apache-2.0, as the rest of this repository.",
)


def train(data: Path, folder: Path) -> None:
    train_classifier(CONFIG, folder, train=read_nsmc(data, "train"), dev=read_nsmc(data, "dev"))


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, Classifier)
    test = read_nsmc(data, "test")
    polarity = polarities(shipped.network, shipped.tokenizer, test)
    return [
        Figure("accuracy", polarity_accuracy(polarity, test), f"NSMC test films, {len(test)} reviews, 1-4 against 9-10")
    ]


RECIPE = Recipe(
    draft=draft_manifest(
        CONFIG,
        name="sentiment-ko",
        language="ko",
        description="Korean sentiment: negative or positive, trained on film reviews.",
        licence="Apache-2.0",
        minutes=6,
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
