"""Recipe of `lm-en`: English film reviews, subword after subword, by an LSTM.

    python -m training.lm_en --data data

`sentiment_en` starts from its weights.
"""

from pathlib import Path

from app.models.networks import EncoderDecoder
from training.cards import CardText
from training.data import read_imdb, read_snippets
from training.language import Config, draft_manifest, encoded_texts, perplexity, train_language_model
from training.loop import Schedule
from training.recipe import Figure, Recipe, Shipped

CONFIG = Config(lowercase=True, schedule=Schedule(epochs=7, learning_rate=3e-3))
CARD = CardText(
    data="""Large Movie Review Dataset (Maas et al., ACL 2011): the texts of the published train split, 4 % of them
as dev, and the short texts of Hutto and Gilbert (ICWSM 2014; out of the source archive of
vaderSentiment 3.3.2), split as for `sentiment-en`. Lower case. Training takes a random window of at
most 128 subwords of each text per epoch, and tells the right subword from 1,024 drawn ones
(sampled softmax); the perplexity is over all 12,000. The subword tokenizer is trained on the
training part alone. The shipped weights ran the first four of their seven epochs with another
correction of the drawn logits, which favoured frequent subwords; the rest of them mended that.""",
    limits="""It writes like a film review, in lower case, and knows little else: seven million subwords is a small
corpus. Sentences hold together, paragraphs do not; names of actors and films are put together
freely, and what it says about them is made up. It repeats the opinions and the prejudices of its
texts. A perplexity per subword must not be compared with one per word.""",
    terms="""Large Movie Review Dataset: published for research. The short texts have owners of their own
(vaderSentiment is MIT; tweets and news excerpts belong to their authors). Weights: Apache-2.0, as
the rest of this repository.""",
)


def train(data: Path, folder: Path, epochs: int | None) -> None:
    texts = [row.text for row in read_imdb(data, "train") + read_snippets(data, "train")]
    dev = [row.text for row in read_imdb(data, "dev")]
    train_language_model(CONFIG, folder, train=texts, dev=dev[:400], epochs=epochs)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, EncoderDecoder)
    texts = [row.text for row in read_imdb(data, "test")][:2500]
    rows = encoded_texts(shipped.tokenizer, texts)
    where = f"the first {len(texts)} reviews of the IMDB test split, {sum(map(len, rows))} subwords"
    return [Figure("perplexity per subword", perplexity(shipped.network, rows), where)]


RECIPE = Recipe(
    draft=draft_manifest(
        CONFIG,
        name="lm-en",
        language="en",
        description="English, word after word: goes on with a text as a film review would.",
        licence="Apache-2.0; trained on research data, see MODEL_CARD.md",
        minutes=40,
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
