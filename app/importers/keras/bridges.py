"""How a decoder of Keras starts: from the last states of the layers of an encoder."""

from app.errors import ImportFailed
from app.importers.keras.encoders import Encoder, encoder_of
from app.importers.keras.pairs import Pair
from app.importers.keras.stacking import as_one
from app.importers.keras.values import Piece
from app.importers.layout import require
from app.store.decoder import Bridge


def bridge_of(pair: Pair, decoder: Piece) -> tuple[Bridge, Encoder]:
    """How the encoder's last states start the decoder, and the encoder."""
    states, encoder, embedding = pair.decoder.started_by, pair.encoder, pair.embedding
    recurrence = decoder.recurrence
    which = ["hidden", "cell"] if recurrence.cell == "lstm" else ["hidden"]
    if [state.which for state in states] != which * recurrence.layers:
        raise ImportFailed(
            f"each of the {recurrence.layers} layers of the decoder must start from the last "
            f"{' and '.join(which)} states of an encoder's layer"
        )
    each = states[:: len(which)]
    if any(
        state.steps.pieces[-1].layer.name != other.steps.pieces[-1].layer.name
        for state, other in zip(each, states[len(which) - 1 :: len(which)], strict=True)
    ):
        raise ImportFailed("hidden and cell state of a decoder's layer must be of one layer of the encoder")
    places = [len(state.steps.pieces) - 1 for state in each]
    pieces = list(encoder.pieces)
    if len(each) == 1:
        made = encoder_of(encoder, embedding=embedding, layers=pieces)
        direction = each[0].direction
        if made.config.recurrence.directions == 1:
            return "copy", made
        return ("join" if direction is None else _first(direction)), made
    if places != list(range(places[0], len(pieces))):
        raise ImportFailed("the layers of the decoder must start from the layers of the encoder in their order")
    last = as_one(pieces[places[0] :])
    made = encoder_of(encoder, embedding=embedding, layers=[*pieces[: places[0]], last])
    return ("copy" if each[0].direction is None and made.config.recurrence.directions == 1 else "join"), made


def _first(direction: int) -> Bridge:
    require(direction == 0, "a decoder that starts from the backward state of an encoder is not supported")
    return "first"
