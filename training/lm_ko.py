"""Recipe of `lm-ko`: Korean film reviews, subword after subword, by an LSTM.

    python -m training.lm_ko --data data

`sentiment_ko` starts from its weights.
"""

from pathlib import Path

from app.models.networks import EncoderDecoder
from training.cards import CardText
from training.data import read_nsmc
from training.language import Config, draft_manifest, encoded_texts, perplexity, train_language_model
from training.loop import Schedule
from training.recipe import Figure, Recipe, Shipped

CONFIG = Config(lowercase=False, schedule=Schedule(epochs=4, learning_rate=3e-3))
CARD = CardText(
    data="""Naver sentiment movie corpus (github.com/e9t/nsmc): 312,618 of its raw reviews, with all ratings, split by
film as for `sentiment-ko`: 5 % of the films are test, 2 % dev. Training tells the right subword
from 1,024 drawn ones (sampled softmax); the perplexity is over all 12,000. The subword tokenizer is
trained on the training part alone. The shipped weights ran the first two of their four epochs with another
correction of the drawn logits, which favoured frequent subwords; the rest of them mended that.""",
    limits="""It writes like a web comment on a film: short, spoken, with the spelling and the rudeness of such
comments. Three quarters of its texts are complaints or praise in few words, so it ends early, and
what it says about films and people is made up. A perplexity per subword must not be compared with
one per word.""",
    terms="Corpus: CC0 1.0. Weights: Apache-2.0, as the rest of this repository.",
)


def train(data: Path, folder: Path, epochs: int | None) -> None:
    texts = [row.text for row in read_nsmc(data, "train", neutral=True)]
    dev = [row.text for row in read_nsmc(data, "dev", neutral=True)]
    train_language_model(CONFIG, folder, train=texts, dev=dev[:3000], epochs=epochs)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, EncoderDecoder)
    texts = [row.text for row in read_nsmc(data, "test", neutral=True)]
    rows = encoded_texts(shipped.tokenizer, texts)
    where = f"NSMC test films, {len(texts)} reviews, {sum(map(len, rows))} subwords"
    return [Figure("perplexity per subword", perplexity(shipped.network, rows), where)]


RECIPE = Recipe(
    draft=draft_manifest(
        CONFIG,
        name="lm-ko",
        language="ko",
        description="Korean, word after word: goes on with a text as a film review on the web would.",
        licence="Apache-2.0",
        minutes=40,
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
