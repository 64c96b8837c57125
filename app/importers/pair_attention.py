"""The layers of a decoder's attention, by their shapes and names: which score function, and which layer reads what."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.importers.structure import Group

Form = Literal["general", "projected", "concat", "energy", "separate", "location"]
_NAMES = ("att", "score", "energy", "query", "key", "align", "f_beta", "gate")
_SHORT = re.compile(r"(?:^|\.)(?:[wuv]_?a?|w[12qk]|[wuv]_?[hsqk])\.$")
_NOT_ATTENTION = ("combine", "concat", "out.", "linear_out", "w_c.", "wc.")
_QUERIES = ("query", "hidden", "dec", "state", "wa.", "w_a.", "w_q", "wq")
_KEYS = ("key", "enc", "mem", "source", "src", "feat", "ua.", "u_a.", "w_k", "wk")


@dataclass(frozen=True)
class PairAttention:
    """`general`: one layer between hidden state and memory. `concat`: `layers[0]` on both side by side, and a score of
    it; `energy` is such a layer with one output. `separate`: a layer on each, and a score of their sum. `location`:
    scores of positions from embedding and hidden state. `is_told`: sizes or names say which layer reads which."""

    form: Form
    layers: Sequence[Group]
    score: Group | None = None
    gate: Group | None = None
    is_told: bool = True

    @property
    def groups(self) -> list[Group]:
        return [*self.layers, *(group for group in (self.score, self.gate) if group is not None)]

    def describe(self) -> str:
        names = ", ".join(group.name for group in self.groups)
        kinds = {"concat": "additive", "energy": "additive", "separate": "additive"}
        return f"{kinds.get(self.form, self.form)} attention ({names})"


def attention_among(
    groups: Sequence[Group], *, hidden: int, memory: int, embedding: int
) -> tuple[PairAttention | None, list[Group]]:
    """The attention, and the groups that are not of it."""
    named = [group for group in groups if _is_named(group)]
    others = [group for group in groups if group not in named and group.outputs == 1]
    gate = next((group for group in named if len(named) > 2 and _is_gate(group, hidden, memory)), None)
    mine = [group for group in groups if group is not gate and (group in named or group in others)]
    widths = [group.inputs for group in mine if group.outputs == 1]
    for chosen in (mine, [group for group in groups if group in mine or group.outputs in widths]):
        found = _form(chosen, hidden, memory, embedding)
        if found is not None:
            form, layers, score, is_told = found
            made = PairAttention(form, layers, score, gate, is_told)
            return made, [group for group in groups if all(group is not other for other in made.groups)]
    return None, list(groups)


def _is_named(group: Group) -> bool:
    name = group.prefix.lower()
    is_attention = any(word in name for word in _NAMES) or _SHORT.search(name) is not None
    return is_attention and not any(name.endswith(word) or f"{word}." in name for word in _NOT_ATTENTION)


def _is_gate(group: Group, hidden: int, memory: int) -> bool:
    name = group.prefix.lower()
    return ("beta" in name or "gate" in name) and (group.inputs, group.outputs) == (hidden, memory)


_Found = tuple[Form, Sequence[Group], Group | None, bool]


def _form(groups: Sequence[Group], hidden: int, memory: int, embedding: int) -> _Found | None:
    scores = [group for group in groups if group.outputs == 1]
    layers = [group for group in groups if group.outputs != 1]
    if len(scores) > 1:
        return None
    score = scores[0] if scores else None
    if score is None and len(layers) == 1:
        (layer,) = layers
        if (layer.inputs, layer.outputs) in ((memory, hidden), (hidden, memory)):
            return "general", layers, None, hidden != memory
        return ("location", layers, None, True) if layer.inputs == embedding + hidden else None
    if score is not None and not layers:
        return ("energy", [score], None, True) if score.inputs == hidden + memory else None
    if score is not None and len(layers) == 1:
        (layer,) = layers
        fits = layer.inputs == hidden + memory and score.inputs == layer.outputs
        return ("concat", layers, score, True) if fits else None
    if len(layers) == 2 and layers[0].outputs == layers[1].outputs:
        return _two(layers, score, hidden, memory)
    return None


def _two(layers: Sequence[Group], score: Group | None, hidden: int, memory: int) -> _Found | None:
    """A layer on the hidden state and one on the memory, in this order if sizes or names say it."""
    if score is not None and score.inputs != layers[0].outputs:
        return None
    form: Form = "projected" if score is None else "separate"
    one, other = layers
    if hidden != memory:
        ordered = [one, other] if one.inputs == hidden else [other, one]
        fits = (ordered[0].inputs, ordered[1].inputs) == (hidden, memory)
        return (form, ordered, score, True) if fits else None
    if one.inputs != hidden or other.inputs != hidden:
        return None
    said = [_said(group) for group in layers]
    if said in (["query", "key"], ["query", None], [None, "key"]):
        return form, layers, score, True
    if said in (["key", "query"], ["key", None], [None, "query"]):
        return form, [other, one], score, True
    return form, layers, score, False


def _said(group: Group) -> str | None:
    """Which of both the last name of a layer says."""
    name = group.prefix.lower().removesuffix(".").rpartition(".")[2] + "."
    found = {side for side, words in (("query", _QUERIES), ("key", _KEYS)) if any(word in name for word in words)}
    return found.pop() if len(found) == 1 else None
