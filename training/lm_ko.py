"""Recipe of `lm-ko`: Korean film reviews, subword after subword, by an LSTM.

    python -m training.lm_ko --data data

`sentiment_ko` starts from its weights.
"""

from pathlib import Path

from training.cards import CardText
from training.data import Split, read_nsmc
from training.language import Config, language_model_recipe
from training.loop import Schedule

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


def texts_of(data: Path, split: Split) -> list[str]:
    """Reviews of all ratings."""
    return [row.text for row in read_nsmc(data, split, neutral=True)]


RECIPE = language_model_recipe(
    CONFIG,
    name="lm-ko",
    language="ko",
    description="Korean, word after word: continues a text as a film review on the web would.",
    licence="Apache-2.0",
    minutes=40,
    card=CARD,
    train_texts=lambda data: [(1, texts_of(data, "train"))],
    dev_texts=lambda data: texts_of(data, "dev")[:3000],
    test_texts=lambda data: {"NSMC test films, {} reviews": texts_of(data, "test")},
)

if __name__ == "__main__":
    RECIPE.command()()
