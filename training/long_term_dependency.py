"""Long-term dependency of RNN, GRU and LSTM: measurements, plots and tables of `docs/long-term-dependency.md`.

python -m training.long_term_dependency --plots docs/plots --output docs/long-term-dependency.json
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
import torch
from tqdm import tqdm

from app.errors import StoreError
from app.models.encoders import TextEncoder
from app.models.networks import Classifier
from app.store.model_store import open_version
from app.text.tokenizer import TextTokenizer
from training.data import read_imdb
from training.dependency.distance import survival
from training.dependency.gradients import Norms, gradient_norms, typical
from training.dependency.page import fill
from training.dependency.plots import draw
from training.dependency.recall import Effort, race
from training.dependency.results import Fading, Results
from training.loop import chunks
from training.recipe import STORE, load_shipped

CLASSIFIERS = {"RNN": "sentiment-en-rnn", "GRU": "sentiment-en-gru", "LSTM": "sentiment-en-lstm"}
GAPS = (6, 12, 24, 48, 96, 192)
SEEDS = (1, 2, 3)
DISTANCES = (0, 12, 24, 48, 96, 192, 384)
FURTHEST = 193  # distances of the gradient: 0 to 192
LONGEST = 400  # tokens of a text whose gradient is measured
PARTS = ("recall", "gradients", "distance")


class Unfit(Exception):
    """A classifier cannot be measured; the message says why."""


def load(store: Path, name: str) -> tuple[Classifier, TextTokenizer]:
    """The newest version of a classifier of one direction, in float32. Raises Unfit."""
    folders = sorted((folder for folder in store.glob(f"{name}/*") if folder.name.isdigit()), key=lambda f: int(f.name))
    if not folders:
        raise Unfit("which is not in the model store")
    try:
        shipped = load_shipped(open_version(folders[-1]), "float32")
    except StoreError as error:
        raise Unfit(f"which is broken: {error.detail}") from error
    network = shipped.network
    if not isinstance(network, Classifier) or not isinstance(network.encoder, TextEncoder):
        raise Unfit("which is not a classifier of texts")
    if network.config.encoder.recurrence.directions != 1:
        raise Unfit("which does not read in one direction")
    return network, shipped.tokenizer


def fading(name: str, network: Classifier, tokenizer: TextTokenizer, data: Path, texts: int) -> Fading:
    """Gradient norms on the first `texts` test reviews of `FURTHEST` to `LONGEST` tokens."""
    rows = []
    for review in tqdm(read_imdb(data, "test"), desc=f"gradients, {name}: texts", unit="text", dynamic_ncols=True):
        tokens = tokenizer.encode(review.text)
        if FURTHEST <= len(tokens) <= LONGEST:
            rows.append(tokens)
        if len(rows) == texts:
            break
    parts = [
        gradient_norms(network, part, FURTHEST)
        for part in tqdm(list(chunks(rows, 10)), desc=f"gradients, {name}", unit="batch", dynamic_ncols=True)
    ]
    norms = Norms(*(torch.cat(part) for part in zip(*parts, strict=True)))
    return Fading(
        network=name,
        description=network.config.describe(),
        texts=len(rows),
        state=typical(norms.state),
        label=typical(norms.label),
    )


def classifiers(store: Path, missing: dict[str, str]) -> Iterator[tuple[str, Classifier, TextTokenizer]]:
    """The classifiers that can be measured; the others go into `missing`."""
    missing.clear()
    for label, name in CLASSIFIERS.items():
        try:
            yield label, *load(store, name)
        except Unfit as error:
            missing[name] = str(error)
            tqdm.write(f"not measured: {name}, {error}")


FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
PAGES = (Path("docs/long-term-dependency.md"), Path("docs/ko/long-term-dependency.md"))


@click.command()
@click.option("--output", type=FILE, default=Path("docs/long-term-dependency.json"), help="JSON file for the numbers.")
@click.option("--plots", type=FOLDER, default=Path("docs/plots"), help="Folder for the plots.")
@click.option("--page", "pages", type=FILE, multiple=True, default=PAGES, help="Pages whose tables are written.")
@click.option("--store", type=FOLDER, default=STORE, help="The model store.")
@click.option("--data", type=FOLDER, default=Path("data"), help="Folder with the raw data.")
@click.option(
    "--part",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    default=PARTS,
    help="What to measure; the rest is kept from --output.",
)
@click.option("--steps", type=click.IntRange(1), default=Effort().steps, show_default=True, help="Of the recall task.")
@click.option("--texts", type=click.IntRange(1), default=100, show_default=True, help="Of which gradients are taken.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Torch threads.")
def main(
    output: Path,
    plots: Path,
    pages: tuple[Path, ...],
    store: Path,
    data: Path,
    parts: tuple[str, ...],
    steps: int,
    texts: int,
    threads: int,
) -> None:
    """Measure, draw, and write the tables into the page."""
    torch.set_num_threads(threads)
    results = Results.read(output) if output.exists() else Results()
    if "recall" in parts:
        effort = Effort(steps=steps)
        results.effort = asdict(effort)
        results.recall = list(race(GAPS, SEEDS, effort))
        results.write(output)
    if "gradients" in parts or "distance" in parts:
        measured = list(classifiers(store, results.missing))
        if "gradients" in parts:
            results.gradients = [fading(name, network, words, data, texts) for name, network, words in measured]
        if "distance" in parts:
            results.distance = [
                row for name, network, words in measured for row in survival(name, network, words, DISTANCES)
            ]
    results.write(output)
    for path in draw(results, plots):
        click.echo(f"wrote {path}")
    for page in pages:
        page.write_text(fill(page.read_text(encoding="utf8"), results), encoding="utf8")
    click.echo(f"wrote {output} and the tables of {', '.join(map(str, pages))}")


if __name__ == "__main__":
    main()
