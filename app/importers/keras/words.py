"""Facts of a Keras model, in words."""

from app.importers.keras.pairs import Pair, pair_of
from app.importers.keras.understood import Understood
from app.importers.keras.values import Source, Steps, Vector
from app.importers.layout import Understanding
from app.store.stages import describe


def described(understood: Understood) -> Understanding:
    """Facts of the graph; and what it does not say."""
    version = understood.model.version
    facts = [f"a Keras model{f' of version {version}' if version else ''}: {understood.kind.replace('_', ' ')}"]
    root = understood.root
    if understood.kind == "encoder_decoder":
        pair = pair_of(understood)
        root = pair.encoder
        facts.append(_attention(pair))
    source = root.origin
    assert isinstance(source, Source)
    if root.embedding is not None:
        mask = ", masks id 0" if root.mask is not None else ", reads padding like words"
        facts.append(f"embedding {len(root.embedding):,} x {root.embedding.shape[1]}{mask}")
    else:
        facts.append(f"rows of {source.shape[-1]} numbers")
    facts += [f"layers: {words}" for words in _stages(understood)]
    facts.append(f"{understood.outputs:,} outputs" + (" and a softmax" if understood.is_softmax else ""))
    return Understanding(facts, _unsure(understood))


def _attention(pair: Pair) -> str:
    rows = "embeddings" if pair.encoder.embedding is not None else "one-hot rows"
    how = "no attention" if pair.attended is None else f"{pair.attended.layer.kind} over the outputs of the encoder"
    return f"{rows} of {pair.rows[0]:,} ids in the source and {pair.rows[1]:,} in the target, {how}"


def _stages(understood: Understood) -> list[str]:
    output = understood.output
    found = []
    if isinstance(output, Steps) and isinstance(output.origin, Source):
        found.append(output)
    if isinstance(output, Vector):
        found.append(max((part.steps for part in output.parts), key=lambda steps: len(steps.pieces)))
    return [words for steps in found if (words := describe(tuple(piece.stage for piece in steps.pieces)))]


def _unsure(understood: Understood) -> list[str]:
    if understood.kind == "classifier" and not understood.is_softmax and isinstance(understood.output, Vector):
        layers = understood.output.layers
        if not layers or layers[-1].free:
            known = " (the loss says so)" if understood.is_entropy else ""
            return [f"the last layer has no function: its outputs are taken for logits{known}"]
    return []
