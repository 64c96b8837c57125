"""What RNN, GRU and LSTM remember: `python -m training.long_term_dependency` measures, draws and writes the tables of
docs/long-term-dependency.md."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from app.models.networks import Classifier
from app.store.model_store import open_version
from training.data import read_imdb
from training.distance import gradient_norms, survival
from training.recall import CHANCE, LEARNERS, recall_accuracy
from training.recipe import STORE, Shipped, load_shipped

GAPS = (6, 12, 24, 48, 96, 192)
DISTANCES = (0, 6, 12, 24, 48, 96, 192, 384)
SHIPPED = {"RNN": "sentiment-en-rnn", "GRU": "sentiment-en-gru", "LSTM": "sentiment-en"}
COLORS = {"RNN": "tab:red", "GRU": "tab:green", "LSTM": "tab:blue", "LSTM, forget bias 1": "tab:purple"}
TEXTS, LENGTH = 64, 193  # of the gradient's texts: how many, and tokens of each
PAGE = Path("docs/long-term-dependency.md")
Table = dict[str, dict[str, float]]  # of each cell, a number at each gap or distance


def measure_recall(seeds: int, steps: int) -> dict[str, dict[str, list[float]]]:
    """Accuracy of each cell at each gap, for each seed."""
    work = [(learner, gap, seed) for learner in LEARNERS for gap in GAPS for seed in range(seeds)]
    found: dict[str, dict[str, list[float]]] = {}
    for learner, gap, seed in tqdm(work, desc="recall", mininterval=5):
        accuracy = recall_accuracy(learner, gap, seed=seed, steps=steps)
        found.setdefault(learner.name, {}).setdefault(str(gap), []).append(accuracy)
    return found


def _shipped(store: Path) -> dict[str, tuple[Classifier, Shipped]]:
    found = {}
    for name, model in SHIPPED.items():
        shipped = load_shipped(open_version(store / model / "1"))
        assert isinstance(shipped.network, Classifier)
        found[name] = (shipped.network, shipped)
    return found


def measure_gradients(store: Path, data: Path) -> dict[str, Table]:
    """For the memory and for the label: relative gradient norm of each shipped cell at each distance."""
    texts = [row.text for row in read_imdb(data, "test")]
    found: dict[str, Table] = {"memory": {}, "label": {}}
    for name, (network, shipped) in _shipped(store).items():
        rows = [ids[:LENGTH] for text in texts[: 8 * TEXTS] if len(ids := shipped.tokenizer.encode(text)) >= LENGTH]
        for of, table in found.items():
            norms = gradient_norms(network, rows[:TEXTS], of=of)
            table[name] = {str(distance): norms[distance] for distance in range(LENGTH)}
    return found


def measure_survival(store: Path) -> dict[str, Table]:
    """Accuracy and mean probability of the right label of each shipped cell at each distance."""
    found: dict[str, Table] = {"accuracy": {}, "probability": {}}
    for name, (network, shipped) in _shipped(store).items():
        for distance in DISTANCES:
            accuracy, probability = survival(network, shipped.tokenizer, distance)
            found["accuracy"].setdefault(name, {})[str(distance)] = accuracy
            found["probability"].setdefault(name, {})[str(distance)] = probability
    return found


def _draw(path: Path, panels: Sequence[tuple[str, str, Mapping[str, Mapping[str, float]]]], *, log: bool) -> None:
    figure = Figure(figsize=(5 * len(panels), 3.4), dpi=110, layout="constrained")
    for axis, (title, label, table) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, row in table.items():
            mark = {"marker": "o", "markersize": 3} if len(row) < 20 else {}
            axis.plot([int(place) for place in row], list(row.values()), label=name, color=COLORS[name], **mark)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("distance (tokens)")
        axis.set_ylabel(label)
        if log:
            axis.set_yscale("log")
        else:
            axis.set_xscale("symlog", linthresh=6)
            axis.axhline(CHANCE if "recall" in title else 0.5, color="gray", linestyle=":", label="chance")
            axis.set_ylim(0, 1.03)
        axis.legend(fontsize=8)
    figure.savefig(path)


def _table(rows: Mapping[str, Mapping[str, float]], form: Callable[[float], str], places: Sequence[int]) -> str:
    lines = [("cell", *map(str, places)), ("---",) * (len(places) + 1)]
    lines += [(name, *(form(row[str(place)]) for place in places)) for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _means(recall: dict[str, dict[str, list[float]]]) -> Table:
    return {name: {gap: sum(runs) / len(runs) for gap, runs in row.items()} for name, row in recall.items()}


def tables_of(
    recall: dict[str, dict[str, list[float]]], gradients: dict[str, Table], survived: dict[str, Table]
) -> dict[str, str]:
    """The tables of the page, by the names of their markers."""
    places = (0, 6, 12, 24, 48, 96, 192)
    lines = [("cell", *map(str, GAPS)), ("---",) * (len(GAPS) + 1)]
    for name, row in recall.items():
        runs = [row[str(gap)] for gap in GAPS]
        lines.append((name, *(f"{sum(run) / len(run):.2f} ({min(run):.2f} to {max(run):.2f})" for run in runs)))
    return {
        "recall": "\n".join(f"| {' | '.join(line)} |" for line in lines),
        "memory": _table(gradients["memory"], "{:.1e}".format, places),
        "label": _table(gradients["label"], "{:.2f}".format, places),
        "accuracy": _table(survived["accuracy"], "{:.2f}".format, DISTANCES),
        "probability": _table(survived["probability"], "{:.2f}".format, DISTANCES),
    }


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """A page with what stands between the markers `<!-- name -->` and `<!-- end -->` made anew."""
    for name, table in tables.items():
        page = re.sub(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", f"{table}\n", page, flags=re.DOTALL)
    return page


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Folder with the raw data.")
@click.option("--store", type=click.Path(path_type=Path), default=STORE, help="The model store.")
@click.option("--plots", type=click.Path(path_type=Path), default=Path("docs/plots"), help="Folder for the plots.")
@click.option("--seeds", default=2, show_default=True, help="Runs of each recall task.")
@click.option("--steps", default=600, show_default=True, help="Most training steps of a recall task.")
@click.option("--again", is_flag=True, help="Train the recall tasks again, even if their numbers are there.")
def main(data: Path, store: Path, plots: Path, seeds: int, steps: int, again: bool) -> None:
    torch.set_num_threads(1)
    plots.mkdir(parents=True, exist_ok=True)
    kept = plots / "long-term-dependency.json"
    result = json.loads(kept.read_text()) if kept.exists() and not again else {}
    if "recall" not in result:
        result["recall"] = measure_recall(seeds, steps)
        kept.write_text(json.dumps(result, indent=1) + "\n")
    result["gradients"] = measure_gradients(store, data)
    result["survival"] = measure_survival(store)
    kept.write_text(json.dumps(result, indent=1) + "\n")
    _draw(plots / "recall.png", [("recall of a symbol", "accuracy", _means(result["recall"]))], log=False)
    gradients, survived = result["gradients"], result["survival"]
    panels = [(f"gradient of the {of}", "norm, relative to distance 0", gradients[of]) for of in ("memory", "label")]
    _draw(plots / "gradients.png", panels, log=True)
    panels = [("decisive sentence, then neutral ones", name, survived[name]) for name in ("accuracy", "probability")]
    _draw(plots / "survival.png", panels, log=False)
    if PAGE.exists():
        PAGE.write_text(
            with_tables(PAGE.read_text(encoding="utf8"), tables_of(result["recall"], gradients, survived)),
            encoding="utf8",
        )


if __name__ == "__main__":
    main()
