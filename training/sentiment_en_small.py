"""`sentiment-en` with other cells: smaller, the embedding from `lm-en`, the recurrence from scratch."""

from dataclasses import replace
from pathlib import Path

from app.store.recurrence import CellKind
from training.classify import draft_manifest, train_classifier
from training.data import read_imdb, read_snippets
from training.loop import Schedule
from training.recipe import Recipe
from training.sentiment_en import CARD, CONFIG, measure


def small_recipe(name: str, cell: CellKind, words: str) -> Recipe:
    """The recipe `name`. `words` describe its cell."""
    config = replace(
        CONFIG,
        start="lm-en",
        cell=cell,
        hidden=192,
        crop=160,
        slow_encoder=1.0,
        schedule=Schedule(epochs=3, learning_rate=1.5e-3 if cell == "gru" else 7e-4),
    )

    def train(data: Path, folder: Path, epochs: int | None) -> None:
        pools = [(1, read_imdb(data, "train")), (2, read_snippets(data, "train", neutral=True))]
        dev = read_imdb(data, "dev") + read_snippets(data, "dev")
        train_classifier(config, folder, train=pools, dev=dev, epochs=epochs)

    reading = CARD.data.replace("at most 256 subwords", "at most 160 subwords")
    return Recipe(
        draft=draft_manifest(
            config,
            name=name,
            language="en",
            description=f"English sentiment by {words}: small, to be compared with the LSTM of sentiment-en.",
            licence="Apache-2.0; trained on research data, see MODEL_CARD.md",
            minutes=8,
            default=False,
        ),
        card=CARD._replace(
            data=reading.replace("Tokenizer, embedding and recurrence start", "Tokenizer and embedding start")
        ),
        train=train,
        measure=measure,
    )
