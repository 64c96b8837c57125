"""Which layout a checkpoint has: that of a repository by its names, or else one by its structure."""

from dataclasses import dataclass
from typing import Any

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.layout import Layout
from app.importers.layouts import GENERAL, LAYOUTS, PRESETS
from app.importers.skeleton import halves_of, recurs, skeleton_of, unmappable


class UnknownStructure(ImportFailed):
    """No layout fits. `skeleton` is a mapping file to be filled in, with all keys of the files."""

    def __init__(self, detail: str, skeleton: dict[str, Any]) -> None:
        super().__init__(detail)
        self.skeleton = skeleton


@dataclass(frozen=True)
class Recognised:
    """A layout, and the names of others that fit the same tensors."""

    layout: Layout
    others: tuple[str, ...] = ()


def recognise(checkpoint: Checkpoint, name: str | None) -> Recognised:
    """The layout that matches, or the one of that name. Raises ImportFailed."""
    if name is not None:
        return Recognised(_named(checkpoint, name))
    presets = [layout for layout in PRESETS.values() if layout.matches(checkpoint)]
    general = [layout for layout in GENERAL.values() if layout.matches(checkpoint)]
    if len(presets) > 1:
        names = ", ".join(layout.name for layout in presets)
        raise ImportFailed(f"several layouts match: {names}. Choose one with --layout")
    fitting = [*presets, *general]
    if not fitting:
        raise _unknown(checkpoint)
    return Recognised(fitting[0], tuple(layout.name for layout in fitting[1:]))


def _unknown(checkpoint: Checkpoint) -> ImportFailed:
    if half := halves_of(checkpoint):
        return ImportFailed(half)
    if why := unmappable(checkpoint):
        return ImportFailed(f"no layout matches: {why}. `unroll layouts` lists what is read. {summary(checkpoint)}")
    skeleton = skeleton_of(checkpoint)
    doubt = "" if recurs(checkpoint) else "Nothing recurs here by its names, and Unroll serves recurrent networks. "
    return UnknownStructure(
        "no layout matches, and the structure is unknown: "
        f"{skeleton['why']}. {doubt}`unroll layouts` lists the layouts. If the network has parts that Unroll has, "
        "describe it in a mapping file; --write-mapping FILE writes this one, with all keys of your files. Fill in "
        f"`parts`, and import with --layout {skeleton['layout']} --set mapping=FILE",
        skeleton,
    )


def _named(checkpoint: Checkpoint, name: str) -> Layout:
    layout = LAYOUTS.get(name)
    if layout is None:
        raise ImportFailed(f"there is no layout {name}; `unroll layouts` lists the layouts")
    if not layout.is_generic and not layout.fits(checkpoint):
        fitting = [other.name for other in LAYOUTS.values() if other.matches(checkpoint)]
        advice = f"; these match: {', '.join(fitting)}" if fitting else ""
        raise ImportFailed(f"layout {name} does not match{advice}. The files contain {summary(checkpoint)}")
    return layout


def summary(checkpoint: Checkpoint) -> str:
    """The tensors in the files, shortened."""
    parts = []
    for path, tensors in checkpoint.networks.items():
        keys = [f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:_KEYS_SHOWN]]
        more = f" and {len(tensors) - _KEYS_SHOWN} more" if len(tensors) > _KEYS_SHOWN else ""
        parts.append(f"[{checkpoint.name_of(path)}: {', '.join(keys)}{more}]")
    return " ".join(parts)


_KEYS_SHOWN = 8
