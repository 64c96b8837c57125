"""Recipe of `sentiment-en`: English texts, negative or positive, by an LSTM that reads forward.

It continues from the newest version in the model store, with sentences of negation, contrast and irony beside long
film reviews and short texts. Version 1 started from `lm-en` (Dai and Le 2015; Howard and Ruder 2018).

    python -m training.sentiment_en --data data
"""

from pathlib import Path

import torch

from app.models.networks import Classifier
from training.calibration import calibration_error
from training.cards import CardText
from training.classify import Config, draft_manifest, polarities, polarity_accuracy, train_classifier
from training.data import read_contrast, read_imdb, read_more_contrast, read_snippets
from training.loop import Schedule
from training.recipe import Figure, Recipe, Shipped

CONFIG = Config(
    start="sentiment-en",
    crop=200,
    kept=0.3,
    seed=5,
    dropout=0.3,
    schedule=Schedule(epochs=8, learning_rate=1e-3, average=0.997, patience=8),
)
CARD = CardText(
    data="""Large Movie Review Dataset (Maas et al., ACL 2011): the published train split, 4 % of it as dev by
text, and the published test split of 25,000 reviews. Beside it short texts with a human degree
(Hutto and Gilbert, ICWSM 2014: film and product snippets, tweets, news editorials; out of the
source archive of vaderSentiment 3.3.2): 10 % of those are test and 5 % dev, by text; and 12,259 sentences of negation,
contrast, understatement and irony about films, products, food, travel and service, written for this project. Short
texts rated within half a point of neutral, on a scale from -4 to +4, are left out of dev and test and kept
for training. The target is a probability that follows the rating: 0.98 for the best, 0.5 for neutral.
An epoch has three tenths of the reviews, each short text once and each written sentence four times. Training takes a
random window of at most 200 subwords of each text per epoch; at run time a text is read whole. Version 4 continues from
version 3, with three tenths of whose weights its own are averaged, as version 3 did from version 2; version 1 started
from the language model `lm-en`.
The probabilities are calibrated by a temperature (Guo et al. 2017) on dev, which is part of the output layer.""",
    limits="""Opinions about films and products, in English. There is no neutral class: a text without opinion
still gets a label. Irony, understatement, comparisons ("better than nothing"), set phrases ("never again") and
opinions about someone else's opinion are often missed: the measures say how often. A film may have reviews in both
dev and train, so the dev score is higher than the test score, which is the one to go by.""",
    terms="""Large Movie Review Dataset: published for research. The short texts have owners of their own
(vaderSentiment is MIT; tweets and news excerpts belong to their authors). Weights: Apache-2.0, as
the rest of this repository.""",
)


def train(data: Path, folder: Path, epochs: int | None) -> None:
    pools = [
        (0.3, read_imdb(data, "train")),
        (1.0, read_snippets(data, "train", neutral=True)),
        (4, [*read_contrast(data, "en", "train"), *read_more_contrast(data, "en")]),
    ]
    dev = read_imdb(data, "dev")[:600] + read_snippets(data, "dev")[:600] + 5 * read_contrast(data, "en", "dev")
    train_classifier(CONFIG, folder, train=pools, dev=dev, epochs=epochs)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, Classifier)
    figures = []
    for texts, where, suffix in (
        (read_imdb(data, "test"), "IMDB test, all {}", ""),
        (read_snippets(data, "test", kind="movieReview"), "film snippets, the test tenth, {}", " on film snippets"),
        (read_snippets(data, "test"), "film, product, tweet and news snippets, the test tenth, {}", " on short texts"),
        (read_contrast(data, "en", "test"), "`sentiment_contrast_en`, {} set aside", " on contrast sentences"),
    ):
        polarity = polarities(shipped.network, shipped.tokenizer, texts)
        labels = torch.tensor([row.label for row in texts])
        place = where.format(len(texts))
        figures.append(Figure(f"accuracy{suffix}", polarity_accuracy(polarity, texts), place))
        if suffix:
            degrees = torch.tensor([row.degree for row in texts])
            correlation = float(torch.corrcoef(torch.stack((polarity, degrees)))[0, 1])
            figures.append(Figure(f"correlation of polarity with the human degree{suffix}", correlation, place))
        error = calibration_error((polarity + 1) / 2, labels)
        figures.append(Figure(f"expected calibration error{suffix}", error, place))
    return figures


RECIPE = Recipe(
    draft=draft_manifest(
        CONFIG,
        name="sentiment-en",
        language="en",
        description="English sentiment: negative or positive, trained on film reviews and short texts.",
        licence="Apache-2.0; trained on research data, see MODEL_CARD.md",
        minutes=15,
        precision="int8",
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
