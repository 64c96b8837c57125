"""Which layout a checkpoint has."""

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.layout import Layout
from app.importers.layouts import LAYOUTS

_KEYS_SHOWN = 8


def recognise(checkpoint: Checkpoint, name: str | None) -> Layout:
    """The layout that matches, or the one of that name. Raises ImportFailed."""
    if name is not None:
        return _named(checkpoint, name)
    matching = [layout for layout in LAYOUTS.values() if layout.matches(checkpoint)]
    if not matching:
        raise ImportFailed(
            f"no layout matches. The files contain {_summary(checkpoint)}. `unroll layouts` lists the layouts"
        )
    if len(matching) > 1:
        names = ", ".join(layout.name for layout in matching)
        raise ImportFailed(f"several layouts match: {names}. Choose one with --layout")
    return matching[0]


def _named(checkpoint: Checkpoint, name: str) -> Layout:
    layout = LAYOUTS.get(name)
    if layout is None:
        raise ImportFailed(f"there is no layout {name}; `unroll layouts` lists the layouts")
    if not layout.is_generic and not layout.matches(checkpoint):
        raise ImportFailed(f"layout {name} does not match. The files contain {_summary(checkpoint)}")
    return layout


def _summary(checkpoint: Checkpoint) -> str:
    parts = []
    for path, tensors in checkpoint.networks.items():
        keys = [f"{key} {tuple(tensor.shape)}" for key, tensor in list(tensors.items())[:_KEYS_SHOWN]]
        more = f" and {len(tensors) - _KEYS_SHOWN} more" if len(tensors) > _KEYS_SHOWN else ""
        parts.append(f"[{path}: {', '.join(keys)}{more}]")
    return " ".join(parts)
