"""Why no layout takes a network: the part that has no place, by name, and what a user can do about it."""

from collections.abc import Mapping, Sequence

from app.importers.chain import Chain, chain_of
from app.importers.structure import Group, Structure

_SHOWN = 4
_NO_CHAIN = "its layers do not make one chain from the source to the answer"


def reason_of(structures: Mapping[str, Structure]) -> str:
    """In a sentence without its end. `structures` are the networks of the files by name."""
    made = list(structures.values())
    recurrences = [group for structure in made for group in structure.of("recurrence", "cell")]
    unknown = [key for structure in made for key in structure.unknown]
    if not made:
        return "the files contain no tensors by name"
    if len(made) > 1 and len({_shapes(structure) for structure in made}) == 1:
        return (
            f"the files contain {len(made)} networks of the same parts: {', '.join(structures)}. Save the one that "
            "answers alone, such as torch.save(torch.load(FILE)[NAME], 'one.pt')"
        )
    if not recurrences:
        return _without_recurrence(made)
    if unknown:
        return f"these tensors belong to no part that Unroll has: {_listed(unknown)}"
    for structure in made:
        chain = chain_of(structure)
        if chain is not None and chain.leftover:
            names = _listed([group.name for group in chain.leftover])
            return f"beside {_chained(chain)} there are parts that have no place: {names}"
    if len(recurrences) == 2 and not any(structure.of("table") for structure in made):
        return (
            "it has 2 recurrences that are not one after the other, and no embedding. Of encoder-decoders over numbers "
            "(seq2seq forecasting) layout series-encoder-decoder takes an encoder and a decoder of the same cell and "
            "size, and linear layers after the decoder, whose inputs are its own rows or the encoder's last state; "
            f"beside these there are {_beside_recurrences(made)}. Attention over numbers, layers between both "
            "sides, and encoders in two directions with a fed decoder are not supported, and no mapping file has them"
        )
    if len(recurrences) > 1:
        sizes = "; ".join(size for structure in made for size in _sizes(structure))
        return f"it has {len(recurrences)} recurrences that are not one after the other" + (
            f": {sizes}" if sizes else ""
        )
    return _wrong_source(made[0]) or _wrong_head(made[0]) or _NO_CHAIN


def _shapes(structure: Structure) -> tuple[object, ...]:
    return tuple((key, tensor.shape) for key, tensor in structure.tensors.items())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _sizes(structure: Structure) -> list[str]:
    made = [(group, structure.recurrence(group)) for group in structure.of("recurrence")]
    return [f"{group.name} reads {r.input_size} numbers and gives {r.output_size}" for group, r in made]


def _without_recurrence(structures: Sequence[Structure]) -> str:
    projected = next((key for made in structures for key in made.unknown if "weight_hr_l" in key), None)
    if projected is not None:
        return f"{projected} projects the outputs of an LSTM (proj_size), which is not supported"
    none = "it has no recurrent layer of torch.nn (keys such as rnn.weight_ih_l0 and rnn.weight_hh_l0)"
    if any(made.of("image") for made in structures):
        return f"{none}, and its convolutions over images are no ResNet of torchvision. A ConvLSTM is not supported"
    return none


def _wrong_source(structure: Structure) -> str | None:
    """The reason why an embedding does not fit: there are several, or other numbers beside it."""
    recurrences, order = structure.of("recurrence"), list(structure.groups)
    if not recurrences:
        return None
    first = recurrences[0]
    before = order[: order.index(first)]
    tables = [group for group in structure.of("table") if group in before or "emb" in group.prefix.lower()]
    if not tables:
        return None
    size = structure.recurrence(first).input_size
    if len(tables) > 1:
        names = ", ".join(group.name for group in tables)
        return f"it has several embeddings ({names}): a network that reads several ids a step is not supported"
    readers = [group for group in structure.of("linear", "convolution") if group.weight.shape[1] == tables[0].inputs]
    if tables[0].inputs == size or readers:
        return None
    return (
        f"{first.name} reads {size} numbers a step, and {tables[0].name} has {tables[0].inputs} columns: other numbers "
        "beside an embedding are not supported"
    )


def _wrong_head(structure: Structure) -> str | None:
    """The reason why a head does not fit: it reads another number than the outputs of the last recurrence have."""
    recurrences, linears = structure.of("recurrence"), structure.of("linear")
    if not recurrences or not linears:
        return None
    last = recurrences[-1]
    width = structure.recurrence(last).output_size
    order = list(structure.groups)
    reader = next((group for group in linears if order.index(group) > order.index(last)), None)
    if reader is None or reader.inputs % width == 0:
        return None
    return (
        f"{reader.name} reads {reader.inputs} numbers, and the outputs of {last.name} have {width}: "
        f"{_beside_outputs(structure, reader.inputs - width)} not supported"
    )


def _beside_outputs(structure: Structure, size: int) -> str:
    table = next((group.name for group in structure.of("table") if group.inputs == size), None)
    return f"{table} beside them (as in an RCNN) is" if table else "other numbers beside them, or a part of them, are"


def _beside_recurrences(structures: Sequence[Structure]) -> str:
    groups: list[Group] = [
        group for made in structures for group in made.groups if group.kind not in ("recurrence", "cell")
    ]
    return ", ".join(group.name for group in groups[:6]) or "no other parts"


def _chained(chain: Chain) -> str:
    return ", ".join(group.name for group in (*chain.recurrences, *(layer.linear for layer in chain.head)))
