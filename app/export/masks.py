"""Texts with masked ids. A recurrence keeps its state there, so a text without these ids has the same answer, as long
as nothing else reads their outputs. A written network reads such a text."""

from torch import Tensor

from app.errors import ExportFailed
from app.store.architecture import Architecture
from app.store.classifier import Classifier
from app.store.encoder_part import EncoderPart, Pooling
from app.store.encoders import TextEncoder
from app.store.stages import RecurrenceStage

_SAME: tuple[Pooling, ...] = ("last", "last_cell", "mean", "sum", "attention")


def left_out(config: Architecture) -> int | None:
    """The masked id, which the texts of the written network are without; None if there is none. Raises ExportFailed if
    the answer to such a text may differ."""
    encoder = config.encoder
    if not isinstance(encoder, EncoderPart) or not encoder.is_masked:
        return None
    if reason := _why_not(config, encoder):
        raise ExportFailed(
            "a network with masked steps is exported only where a text without them has the same answer: this one "
            f"{reason}. Serve it with Unroll, or train it without a mask (Keras: mask_zero, Masking) and export that"
        )
    assert isinstance(encoder, TextEncoder)
    return encoder.mask_id


def _why_not(config: Architecture, encoder: EncoderPart) -> str | None:
    """Why the answer may differ."""
    if not isinstance(config, Classifier):
        return "does not label whole texts"
    if not isinstance(encoder, TextEncoder):
        return "reads no text"
    if other := [pooling for pooling in config.pooling if pooling not in _SAME]:
        return f"has pooling {other[0]}, which reads masked steps too"
    stages = (*encoder.front, *encoder.back)
    if not all(stage.keeps_mask for stage in stages):
        return "has a convolution or a pooling, which reads masked steps too"
    recurrences = [stage.recurrence for stage in stages if isinstance(stage, RecurrenceStage)]
    if any(recurrence.reverse for recurrence in (*recurrences, encoder.recurrence)):
        return "reads backward"
    return None


def without(source: Tensor, mask_id: int | None) -> Tensor:
    """A source (1, steps) without the masked ids."""
    return source if mask_id is None else source[source != mask_id].unsqueeze(0)
