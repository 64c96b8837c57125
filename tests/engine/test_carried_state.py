"""A source has the same bits wherever it is cut, within one request and across requests."""

import random

import msgspec
import pytest
import torch

from app.engine.carrying import check_carry, why_not_carried
from app.engine.cost import cost_of
from app.engine.encode import encode
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.protocol import Carried, Carry, Label, Labelled, Tokens
from app.engine.request import Chunk, Request
from app.errors import ContradictoryOptions, EngineFailed
from app.models.networks import build_network
from app.store.classifier import Classifier
from app.store.encoders import TextEncoder
from app.store.manifest import Manifest
from app.store.recurrence import CellKind, Recurrence
from tests.tiny_store import drafts

LENGTH = 61


def _model(cell: CellKind) -> LoadedModel:
    """Wide layers in float32: the products of narrow ones have the same bits with any kernel."""
    torch.manual_seed(3)
    recurrence = Recurrence(cell=cell, input_size=192, hidden_size=192)
    encoder = TextEncoder(vocabulary_size=50, recurrence=recurrence)
    architecture = Classifier(encoder=encoder, pooling=("last", "max", "mean"), labels=2)
    draft = next(draft for draft in drafts() if draft.name == "sentiment-en-uni")
    manifest = draft.model_copy(update={"architecture": architecture})
    models = Models(torch.device("cpu"), slots=2, precision="float32")
    models.add(manifest, build_network(architecture, mean=[], std=[]))
    return models[manifest.key]


def _read(model: LoadedModel, ids: list[int], cuts: list[int], carry: Carry) -> tuple[Labelled, Carried | None]:
    source, answer = Tokens(ids), Label()
    cost = cost_of(source, answer, model.manifest.architecture)
    request = Request((b"", 1), model.key, source, answer, cost, carry=carry)
    outputs = []
    for first, last in zip([0, *cuts], [*cuts, len(ids)], strict=True):
        outputs += encode(model, [Chunk(request, first, last - first)])
    ((_, event),) = outputs
    assert isinstance(event, Labelled)
    return event, request.carried


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_a_source_has_the_same_bits_wherever_it_is_cut(cell: CellKind) -> None:
    model, draw = _model(cell), random.Random(cell)
    ids = [draw.randrange(50) for _ in range(LENGTH)]
    whole, _ = _read(model, ids, [], Carry())
    _, last = _read(model, ids, [], Carry(keep=LENGTH))
    for keep in (1, 3, draw.randrange(8, 40), LENGTH - 5):
        kept, carried = _read(model, ids, [keep], Carry(keep=keep))
        assert kept.scores == whole.scores
        assert carried is not None
        assert carried.steps == keep
        rest = LENGTH - keep
        cuts = sorted(draw.sample(range(1, rest), 2))
        continued, end = _read(model, ids[keep:], cuts, Carry(carried, rest))
        assert continued.scores == whole.scores
        assert end == last


def test_a_state_that_does_not_fit_is_refused() -> None:
    manifest = next(draft for draft in drafts() if draft.name == "sentiment-en-uni")
    fitting = Carried(3, bytes(40), bytes(40), {"max": bytes(40), "mean": bytes(80)})
    check_carry(manifest, Carry(fitting, 2), Label(), 5)
    for wrong in ({"hidden": bytes(36)}, {"cell": None}, {"cell": bytes(44)}):
        with pytest.raises(EngineFailed, match="does not fit"):
            check_carry(manifest, Carry(msgspec.structs.replace(fitting, **wrong)), Label(), 5)
    with pytest.raises(ContradictoryOptions, match="without mean pooling"):
        check_carry(manifest, Carry(msgspec.structs.replace(fitting, pools={"max": bytes(40)})), Label(), 5)
    with pytest.raises(EngineFailed, match="after step 6"):
        check_carry(manifest, Carry(keep=6), Label(), 5)


@pytest.mark.parametrize("draft", drafts(), ids=lambda draft: draft.name)
def test_only_models_that_read_in_one_direction_carry_states(draft: Manifest) -> None:
    assert (why_not_carried(draft) is None) == (draft.name in ("sentiment-en-uni", "lm-en", "lm-ko"))
