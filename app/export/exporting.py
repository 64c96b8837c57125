"""A version of the store as files that need no Unroll: `unroll export`."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from app.errors import ExportFailed, ModelNotFound
from app.export.comparison import difference, example_of, loaded, onnx_difference
from app.export.onnx.network import write_onnx
from app.export.pytorch import write_pytorch
from app.models.networks import Network, build_network
from app.store.manifest import Manifest
from app.store.model_store import Version, open_version
from app.store.names import MANIFEST
from app.store.weights import load_weights

Format = Literal["pytorch", "onnx"]
_MOST_DIFFERENCE = 1e-3  # of logits, by rounding


@dataclass(frozen=True)
class Exported:
    """The files that were written, and how far the answers of the exported network are from those of the version; None
    if nothing here can run it. `source` is an input as the model file takes it."""

    files: tuple[Path, ...]
    difference: float | None
    source: str


def network_of(version: Version) -> Network:
    """The network of a version with its weights, in float32."""
    image = version.manifest.image
    mean, std = (list(image.mean), list(image.std)) if image else ([0.0] * 3, [1.0] * 3)
    network = build_network(version.manifest.architecture, mean=mean, std=std)
    load_weights(network, version)
    return network.eval()


def export(store: Path, name: str, number: int, format: Format, folder: Path) -> Exported:
    """Raises ModelNotFound, StoreError, and ExportFailed for a network that the format cannot hold."""
    place = store / name / str(number)
    if not place.is_dir():
        raise ModelNotFound(f"{store} has no {name}/{number}; `unroll list` lists its versions")
    version = open_version(place)
    manifest = version.manifest
    network = network_of(version)
    fresh = not folder.exists()
    _check_is_empty(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        differs = _write(manifest, network, format, folder)
    except OSError as error:
        raise ExportFailed(f"{folder} cannot be written: {error.strerror}") from error
    except BaseException:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    for file in (MANIFEST, *manifest.tokenizer_files):
        shutil.copyfile(place / file, folder / file)
    return Exported(tuple(sorted(path for path in folder.iterdir() if path.is_file())), differs, example_of(manifest))


def _write(manifest: Manifest, network: Network, format: Format, folder: Path) -> float | None:
    differs: float | None
    match format:
        case "pytorch":
            write_pytorch(manifest, network, folder)
            differs = difference(manifest, network, loaded(folder))
        case "onnx":
            write_onnx(manifest, network, folder)
            differs = onnx_difference(manifest, network, folder)
        case _:
            assert_never(format)
    if differs is not None and not differs <= _MOST_DIFFERENCE:
        raise ExportFailed(f"a fault of Unroll: answers of the written network differ by {differs:.2g}")
    return differs


def _check_is_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportFailed(f"{folder} is not an empty folder: name a new one")
