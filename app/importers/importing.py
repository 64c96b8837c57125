"""A foreign checkpoint into the model store: read, recognise, convert, load, write.

The order is that of `import_checkpoint`. Nothing becomes visible in the store before all of it has worked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from app.errors import ImportFailed
from app.importers.card import CARD, card_of
from app.importers.finding import find, vocabularies
from app.importers.formats.torch_files import read
from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors
from app.importers.layouts import LAYOUTS
from app.importers.vocabularies import words_of
from app.models.networks import Classifier, EncoderDecoder, build_network
from app.store.manifest import Manifest, TokenizerUse
from app.store.model_store import WEIGHTS
from app.store.publishing import check_is_free, file_entry, publishing, write_manifest
from app.store.weights import distinct_tensors

SOURCE_FILE, TARGET_FILE = "tokenizer.json", "target_tokenizer.json"


@dataclass(frozen=True)
class Request:
    """What `unroll import` was told."""

    name: str
    checkpoints: Sequence[Path]
    vocabularies: Sequence[tuple[Role | None, Path]] = ()
    layout: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    takes_usual: bool = False
    labels: Sequence[str] = ()
    version: int = 1
    languages: tuple[str | None, str | None] = (None, None)
    licence: str = "unknown"


@dataclass(frozen=True)
class Understood:
    """What a checkpoint turned out to be."""

    layout: Layout
    answers: Answers
    converted: Converted
    network: Classifier | EncoderDecoder
    manifest: Manifest


def understand(request: Request) -> Understood:
    """Read the files and make a network of ours of them. Raises ImportFailed, which says what to add."""
    networks, inside = find([read(path) for path in request.checkpoints])
    layout = recognise(networks, request.layout)
    answers = _answered(layout.options(networks), request)
    given = [(role, _words(path)) for role, path in request.vocabularies]
    converted = layout.convert(Found(networks, vocabularies(layout.words, given, inside)), answers)
    network = _loaded(converted)
    return Understood(layout, answers, converted, network, _manifest(request, layout, answers, converted, network))


def import_checkpoint(request: Request, store: Path) -> tuple[Understood, Path]:
    """A new version in the store; returns what was understood, and its folder. Raises ImportFailed, VersionExists."""
    check_is_free(store, request.name, request.version)  # before minutes of reading
    understood = understand(request)
    converted = understood.converted
    files = {
        use.file: vocabulary.tokenizer.to_str(pretty=False).encode()
        for vocabulary, use in (
            (converted.source or converted.target, understood.manifest.tokenizer),
            (converted.target if converted.source else None, understood.manifest.target_tokenizer),
        )
        if vocabulary is not None and use is not None
    }
    manifest = understood.manifest
    with publishing(store, manifest.name, manifest.version) as folder:
        tensors = {name: tensor.contiguous() for name, tensor in distinct_tensors(understood.network).items()}
        save_file(tensors, folder / WEIGHTS)
        folder.joinpath(WEIGHTS).chmod(0o644)
        for name, content in files.items():
            folder.joinpath(name).write_bytes(content)
        entries = {path.name: file_entry(path) for path in sorted(folder.iterdir())}
        manifest = manifest.model_copy(update={"files": entries})
        write_manifest(folder, manifest)
        folder.joinpath(CARD).write_text(card_of(manifest, understood.layout, understood.answers), encoding="utf8")
    return understood, store / manifest.name / str(manifest.version)


def recognise(networks: Mapping[str, Tensors], name: str | None) -> Layout:
    """The layout that these state dicts are of. A name is needed only where several fit."""
    if name is not None:
        chosen = LAYOUTS.get(name)
        if chosen is None:
            raise ImportFailed(f"there is no layout {name}; `unroll layouts` lists them")
        if not chosen.name.startswith("generic-") and not chosen.matches(networks):
            raise ImportFailed(f"these files are not of layout {name}. They hold {_summary(networks)}")
        return chosen
    fitting = [layout for layout in LAYOUTS.values() if layout.matches(networks)]
    if not fitting:
        raise ImportFailed(
            f"no layout fits. The files hold {_summary(networks)}. `unroll layouts` lists what is supported"
        )
    if len(fitting) > 1:
        names = ", ".join(layout.name for layout in fitting)
        raise ImportFailed(f"several layouts fit: {names}. Choose one with --layout")
    return fitting[0]


def _summary(networks: Mapping[str, Tensors]) -> str:
    parts = []
    for path, tensors in networks.items():
        keys = [f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:8]]
        more = f" and {len(tensors) - 8} more" if len(tensors) > 8 else ""
        parts.append(f"[{path}: {', '.join(keys)}{more}]")
    return " ".join(parts)


def _answered(options: Sequence[Option], request: Request) -> Answers:
    """Every option with its answer. Raises ImportFailed with the ones that are open, ready to be copied."""
    known = {option.name: option for option in options}
    for name, value in request.settings.items():
        if name not in known:
            raise ImportFailed(f"this layout has no option {name}; it has {', '.join(known) or 'none'}")
        choices = known[name].choices
        if choices and value not in choices and not value.startswith("spacy:"):
            raise ImportFailed(f"--set {name}={value}: {', '.join(choices)} are the choices")
    open_options = [option for option in options if option.name not in request.settings]
    if request.takes_usual:
        open_options = [option for option in open_options if option.usual is None]
    if open_options:
        lines = "\n  ".join(option.described for option in open_options)
        raise ImportFailed(
            f"the file does not tell these; a wrong answer may go unnoticed, so say them, or take what is usual with "
            f"--usual:\n  {lines}"
        )
    usual = {option.name: option.usual for option in options if option.usual is not None}
    return Answers(usual | dict(request.settings))


def _words(path: Path) -> list[str]:
    words = words_of(read(path))
    if words is None:
        raise ImportFailed(f"{path.name} is not a vocabulary that can be read: give a JSON list of words, word 0 first")
    return words


def _loaded(converted: Converted) -> Classifier | EncoderDecoder:
    """The network with its weights. Raises ImportFailed with the first tensor that does not fit."""
    mean, std = (list(converted.image.mean), list(converted.image.std)) if converted.image else ([0.0] * 3, [1.0] * 3)
    network = build_network(converted.architecture, mean=mean, std=std)
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        if name not in converted.tensors:
            raise ImportFailed(f"the checkpoint lacks what becomes {name}")
        shape = tuple(converted.tensors[name].shape)
        if shape != tuple(tensor.shape):
            raise ImportFailed(f"what becomes {name} has shape {shape}, and {tuple(tensor.shape)} is needed")
        if not torch.isfinite(converted.tensors[name]).all():
            raise ImportFailed(f"what becomes {name} holds numbers that are not finite: the training has diverged")
    if extra := sorted(converted.tensors.keys() - wanted.keys()):
        raise ImportFailed(f"{extra[0]} has no place in the network")
    network.load_state_dict(dict(converted.tensors))
    return network.eval()


def _manifest(
    request: Request,
    layout: Layout,
    answers: Answers,
    converted: Converted,
    network: Classifier | EncoderDecoder,
) -> Manifest:
    source = converted.source or converted.target
    assert source is not None
    target: TokenizerUse | None = None
    if converted.source is not None and converted.target is not None:
        target = converted.target.use.model_copy(update={"file": TARGET_FILE})
    labels = tuple(request.labels or converted.labels)
    if isinstance(network, Classifier) and len(labels) != network.config.labels:
        raise ImportFailed(
            f"the network has {network.config.labels} labels: name them in their order, for example --labels "
            + ",".join(["negative", "positive", *map(str, range(2, network.config.labels))][: network.config.labels])
        )
    said = ", ".join(f"{name}={value}" for name, value in answers.given.items())
    try:
        return Manifest(
            name=request.name,
            version=request.version,
            task=converted.task,
            description=f"Imported from {layout.source} ({said}).",
            source_language=request.languages[0],
            target_language=request.languages[1],
            architecture=converted.architecture,
            tokenizer=source.use.model_copy(update={"file": SOURCE_FILE}),
            target_tokenizer=target,
            labels=labels,
            image=converted.image,
            decoding=converted.decoding,
            limits=converted.limits,
            precision="float32",
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            files={},
            licence=request.licence,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ImportFailed(f"this would be no valid version, {where}: {first['msg']}") from error
