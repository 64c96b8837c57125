"""States that outlive a request: which models can carry theirs, and whether a given one fits. Free of torch."""

from app.engine.protocol import AnswerSpec, Carried, Carry, Embed, Forecast, Label
from app.errors import ContradictoryOptions, EngineFailed
from app.store.architecture import Architecture
from app.store.classifier import Classifier
from app.store.encoder_part import EncoderPart
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from app.store.recurrence import CELLS
from app.store.tagger import Tagger
from app.store.window_language_model import WindowLanguageModel

OF_LAYER = "layer "  # before a pooling of a layer's outputs, without the stages that follow it
_FLOAT32 = 4  # bytes


def why_not_carried(manifest: Manifest) -> str | None:
    """Why a model cannot continue from a state of an earlier request; None if it can."""
    architecture = manifest.architecture
    if isinstance(architecture, WindowLanguageModel):
        return f"it reads its last {architecture.window} tokens anew for each token"
    encoder = architecture.encoder
    if encoder.kind == "image":
        return "it reads an image in one step"
    if encoder.kind == "frames":
        return "it reads clips of a fixed number of frames"
    if encoder.recurrence.directions == 2:
        return "it reads in both directions, so what follows changes what was read"
    if encoder.is_masked:
        return "it leaves out masked steps, and reads a source as a whole"
    if not encoder.is_divisible:
        return "it reads a source as a whole, not step by step"
    return _why_whole(architecture, manifest)


def _why_whole(architecture: Architecture, manifest: Manifest) -> str | None:
    if isinstance(architecture, Tagger) and architecture.crf:
        return "its CRF chooses the labels of a text together"
    if isinstance(architecture, Classifier | Forecaster):
        if architecture.reads_all_outputs:
            return "its answer needs all outputs of the source again"
        if architecture.fixed_steps is not None:
            return f"it reads {architecture.fixed_steps} steps, no more and no fewer"
    if manifest.series is not None and manifest.series.window is not None:
        return f"it reads a window of {manifest.series.window} rows anew for each answer"
    return None


def check_pools(manifest: Manifest, start: Carried, answer: AnswerSpec) -> None:
    """Raises ContradictoryOptions for a state that was kept without the poolings of an answer."""
    lacking = sorted(_pools_for(manifest, answer) - start.pools.keys())
    if lacking and start.steps:
        raise ContradictoryOptions(
            f"the state was kept without {' and '.join(lacking)} pooling, which this answer needs: keep one with a "
            "request of the same kind and options",
            options=["state"],
        )


def _pools_for(manifest: Manifest, answer: AnswerSpec) -> set[str]:
    """The poolings of an answer that need more than the last state."""
    architecture = manifest.architecture
    if isinstance(answer, Embed):
        encoder = architecture.encoder
        has_stages = encoder.kind != "image" and bool(encoder.back)
        pools = {f"{OF_LAYER if has_stages else ''}{answer.pooling}"}
    elif isinstance(answer, Label | Forecast) and isinstance(architecture, Classifier | Forecaster):
        pools = {*architecture.pooling}
    else:
        pools = set()
    return {pool for pool in pools if not pool.endswith(("last", "last_cell", "last_output"))}


def check_carry(manifest: Manifest, carry: Carry, answer: AnswerSpec, steps: int) -> None:
    """Raises EngineFailed for a state that the model cannot have, or a step that its source does not have."""
    if reason := why_not_carried(manifest):
        raise EngineFailed(f"{manifest.key} cannot carry its state: {reason}")
    if carry.keep is not None and not 1 <= carry.keep <= steps:
        raise EngineFailed(f"{manifest.key} reads {steps} steps; the state after step {carry.keep} was requested")
    start = carry.start
    if start is None:
        return
    check_pools(manifest, start, answer)
    encoder = manifest.architecture.encoder
    assert isinstance(encoder, EncoderPart)  # see `why_not_carried`
    recurrence = encoder.recurrence
    needed = recurrence.layers * recurrence.hidden_size * _FLOAT32
    has_cell = CELLS[recurrence.cell].has_cell
    sizes = {len(start.hidden), needed if start.cell is None else len(start.cell)}
    if sizes != {needed} or has_cell != (start.cell is not None):
        raise EngineFailed(
            f"the state does not fit {manifest.key}: its layers need {needed} bytes each of hidden and cell"
        )
