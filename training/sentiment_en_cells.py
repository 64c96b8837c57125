"""Three classifiers that differ in the cell alone: `sentiment-en-rnn`, `sentiment-en-gru`, `sentiment-en-lstm`.

The label comes from the last hidden state, so all that a network knows of a text has gone through its memory. Width,
data, windows, start (tokenizer and embedding of `lm-en`), learning rate and steps are equal. Each is trained from three
seeds; the one with the median dev score is published.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from app.store.recurrence import CellKind
from training.classify import draft_manifest, train_classifier
from training.curves import read_log
from training.data import read_contrast, read_imdb, read_more_contrast, read_snippets
from training.loop import Schedule
from training.recipe import Recipe
from training.sentiment_en import CARD, CONFIG, measure

SEEDS = (1, 2, 3)
DATA = """Large Movie Review Dataset (Maas et al., ACL 2011): half of the published train split in each epoch, 4 % of
it as dev by text, and the published test split of 25,000 reviews. Beside it short texts with a human degree
(Hutto and Gilbert, ICWSM 2014: film and product snippets, tweets, news editorials; out of the
source archive of vaderSentiment 3.3.2): 10 % of those are test and 5 % dev, by text; and sentences of negation,
contrast and irony, written for this project. Short texts
rated within half a point of neutral, on a scale from -4 to +4, are left out of dev and test and kept
for training. The target is a probability that follows the rating: 0.98 for the best, 0.5 for neutral.
Training takes a random window of at most 160 subwords of each text per epoch; at run time a text is
read whole. Tokenizer and embedding start from `lm-en`, the recurrence from scratch. `sentiment-en-rnn`,
`sentiment-en-gru` and `sentiment-en-lstm` have equal width, data, windows, start, learning rate and steps; only the
cell differs. Each was trained from seeds 1, 2 and 3, and the one with the median dev score is published. The
probabilities are calibrated by a temperature (Guo et al. 2017) on dev, which is part of the output layer."""


def cell_recipe(cell: CellKind, words: str) -> Recipe:
    """The recipe of a cell. `words` name it in the description."""
    name = f"sentiment-en-{cell.removesuffix('_tanh')}"
    config = replace(
        CONFIG,
        start="lm-en",
        cell=cell,
        hidden=256,
        pooling=("last",),
        crop=160,
        kept=0,
        schedule=Schedule(epochs=6, learning_rate=6e-4),
    )

    def train(data: Path, folder: Path, epochs: int | None) -> None:
        pools = [
            (0.5, read_imdb(data, "train")),
            (1, read_snippets(data, "train", neutral=True)),
            (1, [*read_contrast(data, "en", "train"), *read_more_contrast(data, "en")]),
        ]
        dev = read_imdb(data, "dev") + read_snippets(data, "dev") + 5 * read_contrast(data, "en", "dev")
        runs = {seed: folder / f"seed-{seed}" for seed in SEEDS}
        for seed, run in runs.items():
            train_classifier(replace(config, seed=seed), run, train=pools, dev=dev, epochs=epochs)
        best = {seed: max(line.dev for line in read_log(run / "log.tsv")) for seed, run in runs.items()}
        median = sorted(SEEDS, key=best.__getitem__)[len(SEEDS) // 2]
        for file in runs[median].iterdir():
            if file.is_file():
                shutil.copyfile(file, folder / file.name)

    return Recipe(
        draft=draft_manifest(
            config,
            name=name,
            language="en",
            description=f"English sentiment by the last state of {words}; two more differ from it in the cell alone.",
            licence="Apache-2.0; trained on research data, see MODEL_CARD.md",
            minutes=25,
            default=False,
        ),
        card=CARD._replace(data=DATA),
        train=train,
        measure=measure,
    )
