"""Recipe of `sentiment-en`: English reviews, negative or positive, by a bidirectional LSTM over subwords.

Long film reviews and short snippets together, so that one sentence is judged as well as a whole review.

    python -m training.sentiment_en --data data
"""

from pathlib import Path

import torch

from app.models.networks import Classifier
from training.cards import CardText
from training.classify import Config, draft_manifest, polarities, polarity_accuracy, train_classifier
from training.data import read_imdb, read_snippets
from training.loop import Schedule
from training.recipe import Figure, Recipe, Shipped

CONFIG = Config(
    vocabulary=12000,
    lowercase=True,
    embedding=160,
    hidden=160,
    dropout=0.5,
    token_dropout=0.1,
    crop=280,
    tokens_per_batch=5600,
    schedule=Schedule(epochs=10, learning_rate=1.5e-3),
)
CARD = CardText(
    data="""Large Movie Review Dataset (Maas et al., ACL 2011): the published train split, 4 % of it as dev by
text, and the published test split of 25,000 reviews. Beside it 16,496 short texts with a human
degree (Hutto and Gilbert, ICWSM 2014: film and product snippets, tweets, news editorials; out of
the source archive of vaderSentiment 3.3.2): 10 % of those are test and 5 % dev, by text. Short
texts rated within half a point of neutral, on a scale from -4 to +4, are left out. Training takes a
random window of at most 280 subwords of each text per epoch; at run time a text is read whole. The
subword tokenizer (byte-pair encoding, lower case, 12,000 subwords) is trained on the training part
alone.""",
    limits="""Opinions about films and products, in English. There is no neutral class: a text without opinion
still gets a label. Irony, comparisons ("better than nothing") and opinions about someone else's
opinion are often missed. A film may have reviews in both dev and train, so the dev score is higher
than the test score, which is the one to go by.""",
    terms="""Large Movie Review Dataset: published for research. The short texts have owners of their own
(vaderSentiment is MIT; tweets and news excerpts belong to their authors). Weights: Apache-2.0, as
the rest of this repository.""",
)


def train(data: Path, folder: Path) -> None:
    texts = read_imdb(data, "train") + read_snippets(data, "train")
    train_classifier(CONFIG, folder, train=texts, dev=read_imdb(data, "dev"))


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, Classifier)
    reviews, snippets = read_imdb(data, "test"), read_snippets(data, "test")
    polarity = polarities(shipped.network, shipped.tokenizer, reviews)
    short = polarities(shipped.network, shipped.tokenizer, snippets)
    degrees = torch.tensor([row.degree for row in snippets])
    correlation = float(torch.corrcoef(torch.stack((short, degrees)))[0, 1])
    held_out = f"short texts, the test tenth, {len(snippets)}"
    return [
        Figure("accuracy", polarity_accuracy(polarity, reviews), f"IMDB test, all {len(reviews)}"),
        Figure("accuracy on short texts", polarity_accuracy(short, snippets), held_out),
        Figure("correlation of polarity with the human degree", correlation, held_out),
    ]


RECIPE = Recipe(
    draft=draft_manifest(
        CONFIG,
        name="sentiment-en",
        language="en",
        description="English sentiment: negative or positive, trained on film reviews and short texts.",
        licence="Apache-2.0; trained on research data, see MODEL_CARD.md",
        minutes=15,
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
