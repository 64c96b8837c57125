"""A recipe: trains, publishes and measures a shipped checkpoint."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import click
import torch

from app.models.networks import Network, build_network
from app.models.serving.precision import Precision, precision_of, prepare
from app.store.confidence import Confidence
from app.store.listing import newest_version
from app.store.manifest import Manifest
from app.store.model_store import Version, open_version
from app.store.publishing import write_manifest
from app.store.registers import Register
from app.store.training_facts import Quality
from app.store.weights import load_weights
from app.text.tokenizer import TextTokenizer
from training.cards import CardText, write_card
from training.confidence import Judged, fitted
from training.domains import DOMAINS
from training.publish import publish

STORE = Path("model_store")


class Figure(NamedTuple):
    """A measured number, without a date."""

    measure: str
    value: float
    data: str


class Shipped(NamedTuple):
    """A version of the store, loaded for measurement."""

    network: Network
    source_tokenizer: TextTokenizer | None
    manifest: Manifest
    version: Version
    precision: Precision

    @property
    def tokenizer(self) -> TextTokenizer:
        """That of a network that reads texts or decodes tokens."""
        assert self.source_tokenizer is not None  # see `Manifest`
        return self.source_tokenizer

    def encode(self, text: str, register: Register | None = None) -> list[int]:
        """The ids of a source as the service reads it, in a register or in that of the manifest."""
        registers = self.manifest.registers
        if registers is None:
            return self.tokenizer.encode(text)
        wanted = register or registers.default
        return self.tokenizer.encode(text, before=[registers.tokens[wanted]] if wanted else [])


@dataclass(frozen=True)
class Calibration:
    """How a recipe judges answers. `judged(shipped, data, beams)` decodes and judges them; `acceptable` says in words
    what is acceptable, and in which test. An answer is unsure where its confidence is `unsure_below`."""

    acceptable: str
    judged: Callable[[Shipped, Path, int], list[Judged]]
    beams: int = 4
    unsure_below: float = 0.5


@dataclass(frozen=True)
class Recipe:
    """One shipped checkpoint. `train(data, folder, epochs)` writes `best.pt` into the folder, and `tokenizer.json` if
    the manifest has a tokenizer; `epochs` None is the number of the recipe. `draft` is the manifest before publishing
    and measuring. `measure(shipped, data)` returns the measurements; `calibration` is of answers with a confidence."""

    draft: Manifest
    card: CardText
    train: Callable[[Path, Path, int | None], None]
    measure: Callable[[Shipped, Path], list[Figure]]
    calibration: Calibration | None = None

    @property
    def name(self) -> str:
        return self.draft.name

    def publish(self, folder: Path, store: Path = STORE) -> Path:
        """The best weights of `folder` as the next version in the store."""
        network = _network(self.draft)
        network.load_state_dict(torch.load(folder / "best.pt", weights_only=True, map_location="cpu"))
        version = newest_version(store, self.name) + 1
        draft = self.draft.model_copy(update={"version": version, "domain": DOMAINS.get(self.name)})
        tokenizer = folder / "tokenizer.json" if draft.tokenizer is not None else None
        return publish(network, tokenizer, store, draft, self.card, log=folder / "log.tsv")

    def newest(self, store: Path) -> Version:
        """The newest version."""
        return open_version(store / self.name / str(newest_version(store, self.name)))

    def figures(self, data: Path, store: Path = STORE, *, precision: Precision = "float32") -> list[Figure]:
        """Measure the newest version in the store, in the serving form of a precision."""
        version = self.newest(store)
        with torch.inference_mode():
            return self.measure(load_shipped(version, precision), data)

    def evaluate(self, data: Path, store: Path = STORE) -> Manifest:
        """Measure the newest version in the store, and write the numbers into its manifest and card."""
        version = self.newest(store)
        figures = self.figures(data, store)
        command = f"python -m training.evaluate {self.name}"
        quality = tuple(Quality(**figure._asdict(), command=command, measured=date.today()) for figure in figures)
        return self._rewritten(version, quality=quality)

    def calibrate(self, data: Path, store: Path = STORE) -> Confidence:
        """Fit the confidence of the newest version in the store, and write it into its manifest and card."""
        assert self.calibration is not None
        version, calibration = self.newest(store), self.calibration
        shipped = load_shipped(version)
        with torch.inference_mode():
            greedy, searched = (calibration.judged(shipped, data, beams) for beams in (1, calibration.beams))
        confidence = fitted(
            greedy,
            searched,
            acceptable=" ".join(calibration.acceptable.split()),
            unsure_below=calibration.unsure_below,
            command=f"python -m training.calibrate {self.name}",
        )
        self._rewritten(version, confidence=confidence)
        return confidence

    def describe(self, store: Path = STORE) -> Manifest:
        """Write the texts of the recipe into manifest and card of the newest version in the store."""
        return self._rewritten(self.newest(store))

    def _rewritten(self, version: Version, **facts: object) -> Manifest:
        """The manifest of a version with new facts and with the texts of the recipe, written with its card."""
        draft = self.draft
        texts = {"description": draft.description, "domain": DOMAINS.get(self.name), "licence": draft.licence}
        manifest = version.manifest.model_copy(update=texts | facts)
        write_manifest(version.folder, manifest)
        write_card(version.folder, manifest, self.card)
        return manifest

    def command(self) -> click.Command:
        """`python -m training.<recipe>`: from raw data to the model store."""

        @click.command(help=f"Train {self.name} and publish it to the model store.")
        @click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Folder with the raw data.")
        @click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), help="Folder for checkpoints.")
        @click.option("--store", type=click.Path(path_type=Path), default=STORE, help="The model store.")
        @click.option("--threads", default=2, help="Torch threads.", show_default=True)
        @click.option("--epochs", type=click.IntRange(min=1), help="Number of epochs, for a trial.")
        @click.option("--restart", is_flag=True, help="Forget the checkpoints of an earlier run.")
        def run(data: Path, runs: Path, store: Path, threads: int, epochs: int | None, restart: bool) -> None:
            torch.set_num_threads(threads)
            folder = runs / self.name
            if restart:
                shutil.rmtree(folder, ignore_errors=True)
            self.train(data, folder, epochs)
            click.echo(f"published {self.publish(folder, store)}; measure it: python -m training.evaluate {self.name}")

        return run


def _network(manifest: Manifest) -> Network:
    image = manifest.image
    mean, std = (list(image.mean), list(image.std)) if image else ([0.0] * 3, [1.0] * 3)
    return build_network(manifest.architecture, mean=mean, std=std)


def load_shipped(version: Version, precision: Precision = "float32") -> Shipped:
    """A version in the form that the engine loads."""
    network = _network(version.manifest)
    load_weights(network, version)
    prepare(network, precision_of(network, precision, version.manifest.precision), torch.device("cpu"))
    use = version.manifest.tokenizer
    tokenizer = None if use is None else TextTokenizer(version.folder, use)
    return Shipped(network, tokenizer, version.manifest, version, precision)
