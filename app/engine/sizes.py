"""Memory that versions need in an engine, known before they are loaded. Free of torch."""

from app.store.model_store import Version

FIXED_BYTES = 2**16  # of a loaded version without its weights: modules, and numbers of its rows
_BUILD_BYTES = 8  # for each weight: it is read in float32, and packed in 16 bits by way of copies


def needed_bytes(version: Version) -> int:
    """Memory that a version needs while it is loaded. Later it takes less (`LoadedModel.bytes`), and at most this when
    it has explained a label."""
    return FIXED_BYTES + _BUILD_BYTES * version.weights
