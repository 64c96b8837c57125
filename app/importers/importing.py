"""A foreign checkpoint into the model store: read, recognise, ask, convert, check, publish.

Nothing is visible in the store before all steps have succeeded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import save_file

from app.importers.card import CARD, card_of
from app.importers.checkpoint import checkpoint_of
from app.importers.layout import Converted, Given, Layout
from app.importers.manifest import manifest_of
from app.importers.network import network_of
from app.importers.options import OptionValues, resolve
from app.importers.reading import read
from app.importers.recognition import recognise
from app.importers.vocabularies import Role, assign, read_words
from app.models.networks import Network
from app.store.manifest import Manifest
from app.store.model_store import WEIGHTS
from app.store.publishing import check_is_free, file_entry, publishing, write_manifest
from app.store.weights import distinct_tensors


@dataclass(frozen=True)
class ImportRequest:
    """The options of `unroll import`."""

    name: str
    checkpoints: Sequence[Path]
    vocabularies: Sequence[tuple[Role | None, Path]] = ()
    layout: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    accept_usual: bool = False
    labels: Sequence[str] = ()
    version: int = 1
    languages: tuple[str | None, str | None] = (None, None)
    licence: str = "unknown"


@dataclass(frozen=True)
class Conversion:
    """A checkpoint as a version of ours, ready to be published."""

    layout: Layout
    options: OptionValues
    converted: Converted
    network: Network
    manifest: Manifest


def import_checkpoint(request: ImportRequest, store: Path) -> tuple[Conversion, Path]:
    """Publish a checkpoint as a version in the store; returns its folder, too. Raises ImportFailed, VersionExists."""
    check_is_free(store, request.name, request.version)  # before minutes of reading
    conversion = convert_checkpoint(request)
    return conversion, _publish(conversion, store)


def convert_checkpoint(request: ImportRequest) -> Conversion:
    """All steps but the last. Raises ImportFailed, which says what to add."""
    names = [path.name for path in request.checkpoints]
    checkpoint = checkpoint_of([read(path) for path in request.checkpoints], names)
    layout = recognise(checkpoint, request.layout)
    values = resolve(layout.options(checkpoint), request.settings, accept_usual=request.accept_usual)
    given = [(role, read_words(path)) for role, path in request.vocabularies]
    needs = layout.needs(checkpoint, values.given)
    words = assign(needs.vocabularies, given, checkpoint.vocabularies)
    converted = layout.convert(checkpoint, Given(values=values, words=words, labels=request.labels))
    network = network_of(converted)
    draft = manifest_of(
        converted,
        network,
        name=request.name,
        version=request.version,
        description=f"Imported from {layout.source} ({values.describe()}).",
        labels=request.labels,
        languages=request.languages,
        licence=request.licence,
    )
    return Conversion(layout, values, converted, network, draft)


def _publish(conversion: Conversion, store: Path) -> Path:
    manifest, converted = conversion.manifest, conversion.converted
    with publishing(store, manifest.name, manifest.version) as folder:
        tensors = {name: tensor.contiguous() for name, tensor in distinct_tensors(conversion.network).items()}
        save_file(tensors, folder / WEIGHTS)
        folder.joinpath(WEIGHTS).chmod(0o644)
        for vocabulary, use in (
            (converted.source or converted.target, manifest.tokenizer),
            (converted.target if converted.source else None, manifest.target_tokenizer),
        ):
            if vocabulary is not None and use is not None:
                folder.joinpath(use.file).write_bytes(vocabulary.tokenizer.to_str(pretty=False).encode())
        entries = {path.name: file_entry(path) for path in sorted(folder.iterdir())}
        manifest = manifest.model_copy(update={"files": entries})
        write_manifest(folder, manifest)
        folder.joinpath(CARD).write_text(card_of(manifest, conversion.layout, conversion.options), encoding="utf8")
    return store / manifest.name / str(manifest.version)
