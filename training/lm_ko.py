"""Recipe of `lm-ko`: Korean of many kinds, subword after subword, by an LSTM.

The recurrence starts from the newest version in the model store; version 1 read film reviews alone.

    python -m training.lm_ko --data data
"""

from pathlib import Path

from training.cards import CardText
from training.data import read_general_lines, read_more_contrast, read_nsmc
from training.enko import read_phrases, read_written
from training.language import Config, language_model_recipe
from training.loop import Pool, Schedule

SHORT, LONG = 16, 24  # words of a text below which it counts as short, and from which as long
ENDINGS = (("오늘은 날씨가 정말", "좋"), ("배가 고파서 밥을", "먹"))
CONFIG = Config(lowercase=False, crop=96, schedule=Schedule(epochs=8, learning_rate=2.5e-3, average=0.997, patience=8))
CARD = CardText(
    data="""General Korean, 183,561 lines (`ko_general`): a chatbot's questions and answers (songys), intents and
questions (3i4K, ParaKQC, StyleKQC), KLUE dev, UD Kaist, Tatoeba, texts of games, and bills of the National Assembly;
the Korean of `phrases`, 16,186 everyday sentences, and of 8,689 more (`training/data/phrases.tsv`); 7,089 opinions
written for `sentiment-ko`; and film reviews of the train split of the Naver sentiment movie corpus
(github.com/e9t/nsmc). 0.5 % of the lines of `ko_general` are test and 0.3 % dev, by text. An epoch draws six in ten of
the lines of fewer than 16 words, a seventh of those of 16 to 23, a twentieth of the longer ones (most of them bills), a
random window of at most 96 subwords of each, an eighth of the reviews, all of `phrases`, and half of the opinions.
Training tells the right subword from 1,024 drawn ones (sampled softmax); the perplexity is over all 12,000. Version 2
starts from version 1 with another vocabulary.""",
    limits="""It knows which words go together in small talk, requests to a telephone and comments on films, and little
of the world. Sentences hold together, paragraphs do not, and the register changes from one to the next. What it says
about people, places and numbers is made up; it repeats the opinions, the rudeness and the prejudices of its texts. A
perplexity per subword must not be compared with one per word, nor with another vocabulary's.""",
    terms="""songys chatbot: MIT. 3i4K, ParaKQC, StyleKQC, KLUE, UD Kaist: CC BY-SA 4.0; Tatoeba: CC BY 2.0 FR;
games: GPL or CC BY-SA; National Assembly bills: CC BY 4.0; Naver corpus: CC0 1.0; `phrases` and opinions:
CC0. Weights: Apache-2.0, as the rest of this repository.""",
)


def by_words(lines: list[str], least: int, most: int) -> list[str]:
    """Lines of at least `least` words and fewer than `most`."""
    return [line for line in lines if least <= len(line.split()) < most]


def train_texts(data: Path) -> list[Pool[str]]:
    lines = read_general_lines(data, "ko", "train")
    return [
        (0.6, by_words(lines, 0, SHORT)),
        (0.15, by_words(lines, SHORT, LONG)),
        (0.05, by_words(lines, LONG, 10_000)),
        (0.12, [row.text for row in read_nsmc(data, "train", neutral=True)]),
        (1, [pair.target for pair in (*read_phrases(data, "train"), *read_written(data))]),
        (0.5, [row.text for row in read_more_contrast(data, "ko")]),
    ]


def dev_texts(data: Path) -> list[str]:
    return [
        *by_words(read_general_lines(data, "ko", "dev"), 0, LONG),
        *(pair.target for pair in read_phrases(data, "dev")),
        *(row.text for row in read_nsmc(data, "dev", neutral=True)[:300]),
    ]


def test_texts(data: Path) -> dict[str, list[str]]:
    lines = read_general_lines(data, "ko", "test")
    trained = {text for _, texts in train_texts(data) for text in texts}
    return {
        f"lines of `ko_general` of fewer than {SHORT} words, {{}}": by_words(lines, 0, SHORT),
        f"lines of `ko_general` of {SHORT} to {LONG - 1} words, {{}}": by_words(lines, SHORT, LONG),
        f"lines of `ko_general` of {LONG} and more words, {{}}": by_words(lines, LONG, 10_000),
        "Korean of `phrases`, {} set aside": [
            pair.target for pair in read_phrases(data, "test") if pair.target not in trained
        ],
        "NSMC test films, {} reviews": [row.text for row in read_nsmc(data, "test", neutral=True)],
    }


RECIPE = language_model_recipe(
    CONFIG,
    name="lm-ko",
    language="ko",
    description="Korean, word after word: continues a sentence of everyday Korean.",
    licence="Apache-2.0; trained on texts of several licences, see MODEL_CARD.md",
    minutes=40,
    card=CARD,
    train_texts=train_texts,
    dev_texts=dev_texts,
    test_texts=test_texts,
    endings=ENDINGS,
    start="lm-ko",
)

if __name__ == "__main__":
    RECIPE.command()()
