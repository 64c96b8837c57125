"""Axes of values in a graph of ONNX, by name: which one has the steps, which the features. Operators move them.

Axes of a source are numbers until a recurrence reads it. Behind a recurrence they are `steps`, `sides` (its
directions), `batch` and `features`. The layer before a recurrence marks `features`.
"""

from collections.abc import Mapping, Sequence

STEPS, SIDES, BATCH, FEATURES, NEW = "steps", "sides", "batch", "features", "new"
OUTPUTS = (STEPS, SIDES, BATCH, FEATURES)  # of a recurrence
STATES = (SIDES, BATCH, FEATURES)
Axes = tuple[str, ...]


class Unknown(Exception):
    """An operator that does with its axes what no network of ours does."""


def place_of(axes: Axes, axis: int) -> int:
    if not -len(axes) <= axis < len(axes):
        raise Unknown
    return axis % len(axes)


def permuted(axes: Axes, order: Sequence[int]) -> Axes:
    if sorted(order) != list(range(len(axes))):
        raise Unknown
    return tuple(axes[place] for place in order)


def squeezed(axes: Axes, places: Sequence[int], directions: int) -> Axes:
    """Without the batch of one, or without the directions if there is one; without `places` these axes of size 1."""
    removable = {BATCH, NEW} | ({SIDES} if directions == 1 else set())
    if not places:
        return tuple(axis for axis in axes if axis != SIDES or directions > 1)
    removed = {place_of(axes, place) for place in places}
    if not {axes[place] for place in removed} <= removable:
        raise Unknown
    return tuple(axis for place, axis in enumerate(axes) if place not in removed)


def unsqueezed(axes: Axes, places: Sequence[int]) -> Axes:
    made = list(axes)
    for place in sorted(place % (len(axes) + len(places)) for place in places):
        made.insert(place, NEW)
    return tuple(made)


def reshaped(axes: Axes, shape: Sequence[int], sizes: Mapping[str, int], directions: int) -> Axes:
    """Where the shape is known: each axis as it was, or the two directions and their features as one axis."""
    if len(shape) == len(axes):
        known = [number in (0, -1) or number == sizes.get(axis) for number, axis in zip(shape, axes, strict=True)]
        if not all(known) or list(shape).count(-1) > 1:
            raise Unknown
        return axes
    is_joined = axes[-2:] == (SIDES, FEATURES) or (SIDES in axes and directions == 1)
    if not shape or len(shape) != len(axes) - 1 or not is_joined:
        raise Unknown
    return tuple(axis for axis in axes if axis != SIDES)
