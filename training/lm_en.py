"""Recipe of `lm-en`: English film reviews, subword after subword, by an LSTM.

    python -m training.lm_en --data data

`sentiment_en` starts from its weights.
"""

from training.cards import CardText
from training.data import read_imdb, read_snippets
from training.language import Config, language_model_recipe
from training.loop import Schedule

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


RECIPE = language_model_recipe(
    CONFIG,
    name="lm-en",
    language="en",
    description="English, word after word: continues a text as a film review would.",
    licence="Apache-2.0; trained on research data, see MODEL_CARD.md",
    minutes=40,
    card=CARD,
    default=False,
    train_texts=lambda data: [(1, [row.text for row in read_imdb(data, "train") + read_snippets(data, "train")])],
    dev_texts=lambda data: [row.text for row in read_imdb(data, "dev")][:400],
    test_texts=lambda data: {
        "the first {} reviews of the IMDB test split": [row.text for row in read_imdb(data, "test")][:2500]
    },
)

if __name__ == "__main__":
    RECIPE.command()()
