"""What an import says about a network of unknown structure: a mapping file to be filled in, and what is missing."""

from typing import Any

from app.importers.chain import Chain, chain_of
from app.importers.checkpoint import Checkpoint
from app.importers.fastai import missing_of
from app.importers.structure import Group, Structure, structure_of
from app.importers.torchvision import resnet_by_name

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
        "why": _why(structures, len(recurrences)),
        "layout": "generic-encoder-decoder" if is_pair else "generic-classifier",
        "parts": parts,
        **(_beside(checkpoint) if is_pair else {}),
        "keys": {
            (f"{path}.{key}" if several else key): str(tuple(tensor.shape))
            for path, tensors in checkpoint.networks.items()
            for key, tensor in tensors.items()
        },
    }


def _beside(checkpoint: Checkpoint) -> dict[str, Any]:
    """The other members of a pair's mapping, with the marks of a text as the vocabularies spell them."""
    lists = [*checkpoint.vocabularies.values(), *checkpoint.given]
    words = {word for found in lists for word in found}
    bos, eos = (next((mark for mark in marks if mark in words), marks[0]) for marks in (_STARTS, _ENDS))
    return {"bos": bos, "eos": eos, "prepend": [], "append": [eos], "decoder": {"bridge": "copy"}}


def _why(structures: dict[str, Structure], recurrences: int) -> str:
    unknown = [key for structure in structures.values() for key in structure.unknown]
    if not structures:
        return "the files contain no tensors by name"
    if not recurrences:
        return _without_recurrence(structures)
    if unknown:
        more = f" and {len(unknown) - 4} more" if len(unknown) > 4 else ""
        return f"these tensors belong to no part that Unroll has: {', '.join(unknown[:4])}{more}"
    for structure in structures.values():
        chain = chain_of(structure)
        if chain is not None and chain.leftover:
            names = ", ".join(group.name for group in chain.leftover[:4])
            more = f" and {len(chain.leftover) - 4} more" if len(chain.leftover) > 4 else ""
            return f"beside {_chained(chain)} there are parts that have no place: {names}{more}"
    readers = [group for structure in structures.values() for group in structure.of("table")]
    if recurrences == 2 and not readers:
        return (
            "it has 2 recurrences that are not one after the other, and no embedding. Of encoder-decoders over numbers "
            "(seq2seq forecasting) layout series-encoder-decoder takes an encoder and a decoder of the same cell and "
            "size, and linear layers after the decoder, whose inputs are its own rows or the encoder's last state; "
            f"beside these there are {_beside_recurrences(structures)}. Attention over numbers, layers between both "
            "sides, and encoders in two directions with a fed decoder are not supported, and no mapping file has them"
        )
    if recurrences > 1:
        return f"it has {recurrences} recurrences that are not one after the other"
    return next(filter(None, map(_wrong_head, structures.values())), None) or (
        "its layers do not make one chain from the source to the answer"
    )


def _without_recurrence(structures: dict[str, Structure]) -> str:
    if projected := next((key for made in structures.values() for key in made.unknown if "weight_hr_l" in key), None):
        return f"{projected} projects the outputs of an LSTM (proj_size), which is not supported"
    none = "it has no recurrent layer of torch.nn (keys such as rnn.weight_ih_l0 and rnn.weight_hh_l0)"
    if any(made.of("image") for made in structures.values()):
        return f"{none}, and its convolutions over images are no ResNet of torchvision. A ConvLSTM is not supported"
    return none


def _wrong_head(structure: Structure) -> str | None:
    """What is wrong with a head that reads another number than the outputs of the last recurrence have."""
    recurrences = structure.of("recurrence")
    linears, tables = structure.of("linear"), structure.of("table")
    if not recurrences or not linears:
        return None
    last = recurrences[-1]
    width = structure.recurrence(last).output_size
    order = list(structure.groups)
    reader = next((group for group in linears if order.index(group) > order.index(last)), None)
    if reader is None or reader.inputs % width == 0:
        return None
    more = reader.inputs - width
    beside = next((table.name for table in tables if table.inputs == more), None)
    what = f"{beside} beside them (as in an RCNN)" if beside else "other numbers beside them, or a part of them,"
    return (
        f"{reader.name} reads {reader.inputs} numbers, and the outputs of {last.name} have {width}: {what} "
        f"{'is' if beside else 'are'} not supported"
    )


def _beside_recurrences(structures: dict[str, Structure]) -> str:
    groups = [
        group for made in structures.values() for group in made.groups if group.kind not in ("recurrence", "cell")
    ]
    return ", ".join(group.name for group in groups[:6]) or "no other parts"


def _chained(chain: Chain) -> str:
    return ", ".join(group.name for group in (*chain.recurrences, *(layer.linear for layer in chain.head)))


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
