"""Memory that versions need in an engine, known before they are loaded. Free of torch."""

from app.store.architecture import WritesTokens
from app.store.model_store import Version
from app.store.recurrence import CELLS
from app.store.window_language_model import WindowLanguageModel

FIXED_BYTES = 2**16  # of a loaded version without its weights: modules, and numbers of its rows
_ID_BYTES = 8
_BUILD_BYTES = 8  # for each weight: it is read in float32, and packed in 16 bits by way of copies


def needed_bytes(version: Version) -> int:
    """Memory that a version needs while it is loaded. Later it takes less (`LoadedModel.bytes`), and at most this when
    it has explained a label."""
    return FIXED_BYTES + _BUILD_BYTES * version.weights


def row_bytes(architecture: WritesTokens, positions: int) -> int:
    """Memory of the state of one row (`app.models.state`) in float32, with a memory of `positions`."""
    if isinstance(architecture, WindowLanguageModel):
        return _ID_BYTES * (architecture.window + 1)  # the ids, and how many they are
    decoder, encoder = architecture.decoder, architecture.encoder
    attention = decoder.attention
    numbers = decoder.layers * decoder.hidden_size * (2 if CELLS[decoder.cell].has_cell else 1)
    truths = 0
    memory = encoder.summary_size if attention.kind == "fixed" else encoder.memory_size
    if attention.kind != "none":
        projected = {"general": decoder.hidden_size, "additive": attention.size, "gated": attention.size}
        numbers += positions * (memory + (projected.get(attention.kind) or memory))
        truths += positions
    if decoder.first_input == "summary":
        numbers += encoder.summary_size
        truths += 1
    if decoder.input_feeding:
        numbers += decoder.readout_size or 0
    return 4 * numbers + truths
