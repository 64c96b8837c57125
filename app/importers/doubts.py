"""What the shapes of a chain leave open: parts that could stand elsewhere, or do something else."""

from itertools import pairwise

from app.importers.chain import LARGEST_CAT, Chain
from app.importers.structure import Group


def doubts_of(chain: Chain) -> list[str]:
    """Each in a sentence; empty if the sizes leave one chain."""
    doubts = []
    recurrences = [(group, chain.structure.recurrence(group)) for group in chain.recurrences]
    same = [
        f"{one.name} and {other.name}"
        for (one, first), (other, second) in pairwise(recurrences)
        if first.input_size == first.output_size == second.input_size == second.output_size
    ]
    if same:
        doubts.append(
            f"the order of {', '.join(same)} is that of their definition: by their sizes it may be another, or they "
            "may stand side by side"
        )
    square = [group.name for group in (*chain.front, *(layer.linear for layer in chain.head)) if _is_square(group)]
    if square:
        doubts.append(
            f"the place of {', '.join(square)} is that of the definition: by the size it may be another one, or one "
            "beside another part, such as a gate"
        )
    if convolutions := [group.name for group in chain.front if group.kind == "convolution"]:
        doubts.append(f"stride and dilation of {', '.join(convolutions)} are taken as 1 (conv_stride, conv_dilation)")
    if chain.width < chain.pooled <= LARGEST_CAT * chain.width:
        layers = "several layers, or of " if recurrences[-1][1].layers > 1 else ""
        doubts.append(
            f"states of {layers}several sources (two texts) side by side have the size that the head reads, too, and "
            "are not read here"
        )
    return doubts


def _is_square(group: Group) -> bool:
    return group.kind in ("linear", "convolution") and group.weight.shape[0] == group.weight.shape[1]
