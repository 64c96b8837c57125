"""A foreign checkpoint into the model store: read, recognise, ask, convert, check, publish.

Nothing is visible in the store before all steps have succeeded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError
from safetensors.torch import save_file

from app.errors import ImportFailed, StoreError, printable
from app.importers.answers import answer, open_doubts, understanding_of
from app.importers.card import card_of
from app.importers.checkpoint import Checkpoint, checkpoint_of
from app.importers.layout import Converted, Layout, Understanding
from app.importers.manifest import invalid, manifest_of
from app.importers.network import network_of
from app.importers.options import OptionValues
from app.importers.reading import read
from app.importers.recognition import recognise
from app.importers.request import ImportRequest
from app.importers.vocabularies import WordFile, read_words
from app.models.networks import Network
from app.store.manifest import Manifest
from app.store.model_store import WEIGHTS
from app.store.names import CARD
from app.store.publishing import check_is_free, file_entry, publishing, write_manifest
from app.store.weights import distinct_tensors


@dataclass(frozen=True)
class Conversion:
    """A checkpoint as a version of ours, ready to be published. `found` says what the files contained beside weights,
    `usual` which usual values were taken, `assumed` which options were not asked for, `idle` which do not
    matter, `doubts` what may be wrong."""

    layout: Layout
    options: OptionValues
    converted: Converted
    network: Network
    manifest: Manifest
    understanding: Understanding
    found: Sequence[str] = ()
    usual: Sequence[str] = ()
    assumed: Sequence[str] = ()
    idle: Sequence[str] = ()
    doubts: Sequence[str] = ()


def import_checkpoint(request: ImportRequest, store: Path) -> tuple[Conversion, Path]:
    """Publish a checkpoint as a version in the store; returns its folder, too. Raises ImportFailed, VersionExists."""
    check_is_free(store, request.name, request.version)  # before minutes of reading
    conversion = convert_checkpoint(request)
    return conversion, publish(conversion, store)


def convert_checkpoint(request: ImportRequest) -> Conversion:
    """All steps but the last. Raises ImportFailed, which says what to add."""
    return convert(read_checkpoint(request), request)


def read_checkpoint(request: ImportRequest) -> Checkpoint:
    """What the files contain. Raises ImportFailed."""
    names = [path.name for path in request.checkpoints]
    return checkpoint_of([read(path) for path in request.checkpoints], names)


def convert(checkpoint: Checkpoint, request: ImportRequest, words: Sequence[WordFile] | None = None) -> Conversion:
    """A checkpoint that is read, with the answers of the user; `words` are vocabularies that are read already. Raises
    QuestionsOpen and ImportFailed."""
    files = words if words is not None else [read_words(path, role) for role, path in request.vocabularies]
    checkpoint = replace(
        checkpoint, given=[file.words for file in files], given_contents=[file.content for file in files]
    )
    recognised = recognise(checkpoint, request.layout)
    layout = recognised.layout
    given, state = answer(recognised, checkpoint, request, files)
    with _whole_errors(layout):
        converted = layout.convert(checkpoint, given)
    network = network_of(converted)
    manifest = manifest_of(
        converted,
        network,
        name=request.name,
        version=request.version,
        description=f"Imported from {layout.source} ({given.values.describe()}).",
        labels=given.labels or converted.labels,
        languages=request.languages,
        licence=request.licence,
        task=request.task,
        default=request.default,
    )
    understanding = understanding_of(layout, checkpoint, state)
    return Conversion(
        layout,
        given.values,
        converted,
        network,
        manifest,
        understanding,
        tuple(state.found),
        tuple(state.usual),
        tuple(state.assumed),
        tuple(state.idle),
        tuple(open_doubts(understanding, request)),
    )


@contextmanager
def _whole_errors(layout: Layout) -> Iterator[None]:
    """Errors of a conversion as ImportFailed: parts of an architecture that do not fit, and tensors that are not there
    although the layout matches."""
    try:
        yield
    except ValidationError as error:
        raise invalid(error, f"the network does not fit layout {layout.name}") from error
    except StoreError as error:
        raise ImportFailed(error.detail) from error
    except (KeyError, IndexError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ImportFailed(
            f"the checkpoint is not quite of layout {layout.name}: {type(error).__name__}: {printable(str(error))}. "
            "`--write-mapping FILE` writes a mapping with all its keys, see docs/importing.md"
        ) from error


def publish(conversion: Conversion, store: Path) -> Path:
    """Write the version into the store; returns its folder. Raises VersionExists."""
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
