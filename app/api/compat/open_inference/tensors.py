"""What models take and tell, as tensors of the Open Inference Protocol."""

from dataclasses import dataclass

from app.store.manifest import Manifest

ANY = -1  # in a shape
SCORES = "scores"


@dataclass(frozen=True)
class Tensor:
    """What a model takes or tells. `shape` begins with the number of inputs."""

    name: str
    datatype: str
    shape: tuple[int, ...] = (ANY,)


TEXT, IMAGE = Tensor("text_input", "BYTES"), Tensor("image", "BYTES")
PIXELS = Tensor("pixels", "UINT8", (ANY, ANY, ANY, 3))
_LABELLED = (Tensor("label", "BYTES"), Tensor("score", "FP32"), Tensor("polarity", "FP32"))
SENTENCES = (Tensor("text", "BYTES"), Tensor("score", "FP32"), Tensor("finish_reason", "BYTES"))


def inputs_of(manifest: Manifest) -> tuple[Tensor, ...]:
    """What a model takes: one of these in a request."""
    return (IMAGE, PIXELS) if manifest.image else (TEXT,)


def outputs_of(manifest: Manifest) -> tuple[Tensor, ...]:
    """What a model tells."""
    if manifest.task == "sentiment":
        return (*_LABELLED, Tensor(SCORES, "FP32", (ANY, len(manifest.labels))))
    return SENTENCES
