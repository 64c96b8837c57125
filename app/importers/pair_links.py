"""Places for the layers of an encoder-decoder by their sizes: attention, output, and what is between them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Literal

from app.importers.pair_attention import attention_among
from app.importers.pairs import Pair, Reader, ReadoutPart, side_of
from app.importers.structure import Group

_COMBINES = ("combine", "concat", "input", "merge")
_BRIDGES = ("bridge", "init", "enc2dec", "h2h", "reduce", "encoder", "hidden", "cell", "state")


def linked(
    encoder: Reader | None,
    decoder: Reader,
    groups: Sequence[Group],
    *,
    memory: int,
    is_summed: bool = False,
    may_be_tied: bool = True,
) -> Pair | None:
    """The pair with a memory of this width, if each of the other groups has a place."""
    rest = list(groups)
    if any(group.kind not in ("linear", "table") for group in rest):
        return None
    outputs = [group for group in rest if group.outputs == decoder.rows and side_of(group.prefix) != "encoder"]
    plain = [group for group in outputs if not any(word in group.prefix.lower() for word in ("att", "energy"))]
    output = (plain or outputs)[-1] if outputs else None
    if output is None and not may_be_tied:
        return None
    rest = [group for group in rest if group is not output]
    width, size = decoder.recurrence.hidden_size, int(decoder.table.shape[1])
    attention, rest = attention_among(rest, hidden=width, memory=memory, embedding=size)
    read = output.inputs if output is not None else size
    pair = Pair(encoder, decoder, memory, is_summed, attention, (), None, None, output, (), ())
    for combine, readout, bridge in _roles(pair, rest, read):
        made = replace(pair, combine=combine, readout=readout, bridge=bridge)
        gets = _gets(made)
        reads = _reads(made, readout.inputs if readout is not None else read, gets)
        if gets and reads:
            doubt = _unlikely((combine, readout, bridge)) + 2 * (output is None)
            return replace(made, gets=gets, reads=reads, doubt=doubt)
    return None


_Roles = tuple[Group | None, Group | None, Sequence[Group]]


def _roles(pair: Pair, rest: Sequence[Group], read: int) -> list[_Roles]:
    """Each way to give all groups of `rest` a place by their sizes: a layer before the recurrence, one after it, and
    the bridge. The likeliest by their names is first."""
    combines = [None, *(group for group in rest if _fits_combine(pair, group))]
    readouts = [None, *(group for group in rest if group.outputs == read)]
    found: list[_Roles] = []
    for combine in combines:
        for readout in readouts:
            if combine is readout and combine is not None:
                continue
            left = [group for group in rest if group is not combine and group is not readout]
            if _fit_bridge(pair, left):
                found.append((combine, readout, left))
    return sorted(found, key=_unlikely)


def _unlikely(roles: _Roles) -> int:
    combine, readout, bridge = roles
    doubts = [
        combine is not None and not _is_named(combine, _COMBINES),
        readout is not None and side_of(readout.prefix) == "encoder",
        *(not _is_named(group, _BRIDGES) for group in bridge),
    ]
    return sum(doubts)


def _is_named(group: Group, words: Sequence[str]) -> bool:
    return any(word in group.prefix.lower() for word in words)


def _fits_combine(pair: Pair, group: Group) -> bool:
    recurrent = pair.decoder.recurrence
    return group.inputs == pair.embedding_size + pair.memory and group.outputs == recurrent.input_size


def _fit_bridge(pair: Pair, groups: Sequence[Group]) -> bool:
    """Whether these are layers on the last states of the encoder: one, or one for each state of an LSTM."""
    recurrent = pair.decoder.recurrence
    states = 2 if recurrent.cell == "lstm" else 1
    inputs = pair.memory if pair.encoder is None else pair.encoder.recurrence.output_size
    widths = (recurrent.hidden_size, recurrent.hidden_size * recurrent.layers)
    return len(groups) <= states and all(group.inputs == inputs and group.outputs in widths for group in groups)


def _gets(pair: Pair) -> list[Literal["nothing", "context", "fed"]]:
    """What the decoder's recurrence may read beside an embedding."""
    if pair.combine is not None:
        return ["context"]
    more = pair.decoder.recurrence.input_size - pair.embedding_size
    if not more:
        return ["nothing"]
    found: list[Literal["nothing", "context", "fed"]] = []
    if pair.readout is not None and more == pair.readout.outputs:
        found.append("fed")
    if more == pair.memory:
        found.append("context")
    return found


def _reads(pair: Pair, width: int, gets: Sequence[str]) -> list[tuple[ReadoutPart, ...]]:
    """The parts with this width together, in every order, the usual one first."""
    sizes: dict[ReadoutPart, int] = {
        "hidden": pair.hidden_size,
        "context": pair.memory,
        "embedding": pair.embedding_size,
    }
    needs_context = pair.attention is not None and "context" not in gets
    chosen: list[tuple[ReadoutPart, ...]] = []
    for several in (1, 2, 3):
        for parts in permutations(sizes, several):
            fits = "hidden" in parts and sum(sizes[part] for part in parts) == width
            if fits and ("context" in parts or not needs_context):
                chosen.append(parts)
    return sorted(chosen, key=lambda parts: "context" not in parts and len(parts) > 1)
