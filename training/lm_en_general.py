"""Recipe of `lm-en-general`: English of many kinds, subword after subword, by an LSTM.

The recurrence starts from `lm-en`, which read film reviews alone, with another vocabulary.

    python -m training.lm_en_general --data data
"""

from pathlib import Path

from training.cards import CardText
from training.data import read_general_lines, read_imdb, written
from training.enko import read_phrases
from training.language import Config, language_model_recipe
from training.loop import Pool, Schedule

COMMON = "common_en.txt"
LONG = 64  # words of a text from which it counts as long
ENDINGS = (("The clouds are in the", "sky"), ("I grew up in France. I speak fluent", "French"))
CONFIG = Config(lowercase=False, crop=96, schedule=Schedule(epochs=8, learning_rate=2.5e-3, average=0.997, patience=8))
CARD = CardText(
    data="""General English, 415,971 lines (`en_general`): 29 OpenStax text books (CC BY 4.0), glosses of WordNet, the
World Factbook, dialogues (SGD, self-dialogues), questions (CLINC, GSM8K train), Tatoeba, LJSpeech, and texts of games
and stories; the English of `phrases`, 16,186 everyday sentences; film reviews of the train split of the Large
Movie Review Dataset (Maas et al., ACL 2011); and 169 sentences of common knowledge written for this model (the
first of `training/data/common_en.txt`), among them some that say where somebody grew up and which language they
speak. The two beginnings of the table whose next word is ranked are not in these sentences. 0.5 % of the lines
of `en_general` are test and 0.3 % dev, by text. An epoch draws a quarter of the lines of fewer than 64 words, a
tenth of the longer ones, a random window of at most 96 subwords of each, half of `phrases`, a twentieth of the
reviews, and the common knowledge three times. Training tells the right subword from 1,024 drawn ones (sampled
softmax); the perplexity is over all 12,000. The recurrence started from `lm-en`. The shipped weights are those
of the sixth of the recipe's eight epochs.""",
    limits="""It knows the words that go together in English and a little of the world: text books, dictionaries and
small talk. It says that who grew up in France speaks French, and says the same of who grew up in Germany: what a
text said a sentence before counts little. Sentences hold together, paragraphs do not. What it says about people,
places and numbers is made up. It repeats the opinions and the prejudices of its texts. A perplexity per subword must
not be compared with one per word, nor with another vocabulary's.""",
    terms="""OpenStax: CC BY 4.0. WordNet: its own licence, free with notice. World Factbook: public domain. SGD: CC
BY-SA 4.0; self-dialogues: BSD-3-Clause. CLINC: CC BY 3.0; GSM8K: MIT; LJSpeech: public domain; Tatoeba: CC BY 2.0
FR; games: GPL or CC BY-SA. `phrases` and common knowledge: CC0. Large Movie Review Dataset: published for research.
Weights: Apache-2.0, as the rest of this repository.""",
)


def train_texts(data: Path) -> list[Pool[str]]:
    lines = read_general_lines(data, "en", "train")
    return [
        (0.25, [line for line in lines if len(line.split()) < LONG]),
        (0.1, [line for line in lines if len(line.split()) >= LONG]),
        (0.5, [pair.source for pair in read_phrases(data, "train")]),
        (0.05, [row.text for row in read_imdb(data, "train")]),
        (3, written(data, COMMON).read_text("utf8").splitlines()),
    ]


def dev_texts(data: Path) -> list[str]:
    return [*read_general_lines(data, "en", "dev")[:700], *(pair.source for pair in read_phrases(data, "dev"))]


def test_texts(data: Path) -> dict[str, list[str]]:
    lines = read_general_lines(data, "en", "test")
    return {
        f"lines of `en_general` of fewer than {LONG} words, {{}}": [line for line in lines if len(line.split()) < LONG],
        f"lines of `en_general` of {LONG} and more words, {{}}": [line for line in lines if len(line.split()) >= LONG],
        "English of `phrases`, {} set aside": [pair.source for pair in read_phrases(data, "test")],
        "the first {} reviews of the IMDB test split": [row.text for row in read_imdb(data, "test")][:500],
    }


RECIPE = language_model_recipe(
    CONFIG,
    name="lm-en-general",
    language="en",
    description="English, word after word: continues a sentence of everyday or text book English.",
    licence="Apache-2.0; trained on texts of several licences, see MODEL_CARD.md",
    minutes=70,
    card=CARD,
    train_texts=train_texts,
    dev_texts=dev_texts,
    test_texts=test_texts,
    endings=ENDINGS,
    start="lm-en",
)

if __name__ == "__main__":
    RECIPE.command()()
