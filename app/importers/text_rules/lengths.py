"""The length of sources in the words of Keras' `pad_sequences`."""

from app.errors import ImportFailed
from app.store.ids import MOST_TOKENS
from app.store.text_input import FixedLength

_SIDES = {"pre": "left", "post": "right"}


def padded(
    maxlen: int | None, *, padding: str = "pre", truncating: str = "pre", pad: int | None = 0
) -> FixedLength | None:
    """The length that `pad_sequences(maxlen=..., padding=..., truncating=...)` gives; its defaults are those of Keras,
    which pads and cuts at the beginning. `pad=None`: shorter sources stay short. `maxlen=None`: no length."""
    if maxlen is None:
        return None
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in _SIDES:
            raise ImportFailed(f"{name} is {side!r}; it must be pre or post")
    if not 0 < maxlen <= MOST_TOKENS:
        raise ImportFailed(f"maxlen is {maxlen}; it must be 1 to {MOST_TOKENS}")
    return FixedLength.model_validate(
        {"to": maxlen, "pad": pad, "pad_side": _SIDES[padding], "cut_side": _SIDES[truncating]}
    )
