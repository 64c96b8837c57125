"""Unroll in Python: `unroll.save` publishes a trained network from a training script or a notebook.

The command `unroll` serves what it writes.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.saving.saving import Saved, save

__all__ = ["Saved", "save"]


def __getattr__(name: str) -> Any:
    """Loaded when it is used: the service never needs it, and it imports torch."""
    if name not in __all__:
        raise AttributeError(f"module 'unroll' has no attribute {name!r}")
    from app.saving import saving

    return getattr(saving, name)
