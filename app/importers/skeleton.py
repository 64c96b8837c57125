"""What an import says about a network of unknown structure: a mapping file to be filled in, and what is missing."""

from collections.abc import Sequence
from typing import Any

from app.importers.checkpoint import Checkpoint
from app.importers.fastai import missing_of
from app.importers.structure import Group, Structure, structure_of
from app.importers.torchvision import resnet_by_name
from app.importers.unknown_structure import reason_of

_CLASSIFIER = ("encoder.embedding", "encoder.recurrence", "output")
_PAIR = ("encoder.embedding", "encoder.recurrence", "decoder.embedding", "decoder.recurrence", "decoder.output")
_STARTS = ("<bos>", "<sos>", "<s>", "<start>", "SOS", "BOS", "[CLS]", "sos", "start_", "sostok")
_ENDS = ("<eos>", "</s>", "<end>", "EOS", "[SEP]", "eos", "_end", "eostok")
_DECODERS = ("decoder", "attn", "out", "fc", "linear", "lm_head", "generator")


def skeleton_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """A mapping file: our parts with the likeliest prefixes of the keys, and every key with its shape under `keys`."""
    paths = list(checkpoint.networks)
    structures = {path: structure_of(tensors) for path, tensors in checkpoint.networks.items()}
    several = len(paths) > 1
    recurrences = [(path, group) for path, found in structures.items() for group in found.of("recurrence", "cell")]
    is_pair = len(recurrences) > 1
    parts = {}
    for part in _PAIR if is_pair else _CLASSIFIER:
        likely = _likely(part, structures)
        parts[part] = "" if likely is None else _prefix(*likely, several=several)
    return {
        "why": reason_of({checkpoint.name_of(path): structure for path, structure in structures.items()}),
        "layout": "generic-encoder-decoder" if is_pair else "generic-classifier",
        "parts": parts,
        **(_beside(checkpoint) if is_pair else {}),
        "keys": {
            (f"{path}.{key}" if several else key): str(tuple(tensor.shape))
            for path, tensors in checkpoint.networks.items()
            for key, tensor in tensors.items()
        },
    }


def unmappable(checkpoint: Checkpoint) -> str | None:
    """Why no mapping file can have the network; None if one may. A mapping describes networks over words, and some read
    numbers or images."""
    structures = {checkpoint.name_of(path): structure_of(tensors) for path, tensors in checkpoint.networks.items()}
    made = list(structures.values())
    reason = reason_of(structures)
    if not recurs(checkpoint):
        return None
    if any(structure.of("image") for structure in made) and not any(map(resnet_by_name, checkpoint.networks.values())):
        return (
            f"{reason}. It has convolutions over images of its own ({_first_images(made)}); captioners and classifiers "
            "of clips are read with a ResNet of torchvision only, and no mapping file has other ones"
        )
    if not any(_may_be_embedding(group) for structure in made for group in structure.groups):
        return f"{reason}. It reads numbers, and mapping files describe networks over words: none has this one"
    return None


def recurs(checkpoint: Checkpoint) -> bool:
    """Whether keys have names of a recurrence. A cell written by hand may have others."""
    structures = [structure_of(tensors) for tensors in checkpoint.networks.values()]
    return any(
        structure.of("recurrence", "cell") or any("weight_h" in key for key in structure.unknown)
        for structure in structures
    )


def _may_be_embedding(group: Group) -> bool:
    return group.kind == "table" or (group.kind == "linear" and "bias" not in group.tensors)


def _first_images(structures: Sequence[Structure]) -> str:
    return next(group.name for structure in structures for group in structure.of("image"))


def _beside(checkpoint: Checkpoint) -> dict[str, Any]:
    """The other members of a pair's mapping, with the marks of a text as the vocabularies spell them."""
    lists = [*checkpoint.vocabularies.values(), *checkpoint.given]
    words = {word for found in lists for word in found}
    bos, eos = (next((mark for mark in marks if mark in words), marks[0]) for marks in (_STARTS, _ENDS))
    return {"bos": bos, "eos": eos, "prepend": [], "append": [eos], "decoder": {"bridge": "copy"}}


def _likely(part: str, structures: dict[str, Structure]) -> tuple[str, Group] | None:
    side, _, what = part.partition(".")
    kinds = {"embedding": ("table",), "recurrence": ("recurrence", "cell")}.get(what, ("linear", "table"))
    found = [(path, group) for path, made in structures.items() for group in made.groups if group.kind in kinds]
    hinted = [(path, group) for path, group in found if side[:3] in f"{path}.{group.prefix}".lower()]
    if what in ("embedding", "recurrence"):
        return next(iter(hinted or (found if side == "encoder" else found[1:])), None)
    outputs = [(path, group) for path, group in found if any(word in group.prefix.lower() for word in _DECODERS)]
    return next(reversed(outputs or found), None)


def _prefix(path: str, group: Group, *, several: bool) -> str:
    return f"{path}.{group.prefix}".removesuffix(".") if several else group.prefix.removesuffix(".")


def halves_of(checkpoint: Checkpoint) -> str | None:
    """The missing part where the files have one half of a pair; None if they seem whole."""
    if len(checkpoint.networks) != 1:
        return None
    if missing := missing_of(checkpoint):
        return missing
    path, tensors = next(iter(checkpoint.networks.items()))
    structure = structure_of(tensors)
    recurrences, linears = structure.of("recurrence", "cell"), structure.of("linear")
    tables, images = structure.of("table"), structure.of("image")
    name = checkpoint.name_of(path)
    if images and not recurrences and resnet_by_name(tensors):
        return (
            f"{name} has an image encoder without a recurrence, which is one half of a pair: the other half has the "
            "recurrence and the output layer, over frames of a clip, or with an embedding over words. Give both: "
            "--checkpoint ENCODER --checkpoint DECODER"
        )
    if not images and len(recurrences) == 1 and tables and not linears and len(structure.groups) == len(tables) + 1:
        return (
            f"{name} has an embedding and a recurrence without an output layer, which is the encoder of a pair: the "
            "other half is the decoder, with an embedding, a recurrence and an output layer. Give both: --checkpoint "
            "ENCODER --checkpoint DECODER"
        )
    return None
