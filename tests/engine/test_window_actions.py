"""A language model that reads its window anew does not hold the engine: few steps, and few rows, in one action."""

from pathlib import Path

import pytest
import torch

from app.engine.check import check
from app.engine.cost import cost_of
from app.engine.models import Models
from app.engine.policy import Policy
from app.engine.protocol import Decode, Decoded, Embed, Tokens
from app.errors import EngineFailed
from app.store.encoders import TextEncoder
from app.store.recurrence import Recurrence
from app.store.window_language_model import WindowLanguageModel
from app.store.windowed_stages import Convolution
from tests.engine.loop import Loop, load
from tests.tiny_kinds import _decoding, _draft
from tests.tiny_store import VOCABULARY, publish_tiny, tiny_tokenizer
from training.loop import PAD

ANSWER = Decode(3, first=7, min_tokens=3)


def _published(folder: Path, window: int) -> Models:
    recurrence = Recurrence(cell="gru", input_size=4, hidden_size=4)
    front = (Convolution(width=4, kernel=3),)
    encoder = TextEncoder(vocabulary_size=VOCABULARY, embedding_size=4, front=front, recurrence=recurrence)
    network = WindowLanguageModel(encoder=encoder, window=window, pad=PAD)
    draft = _draft("window", "completion", network, decoding=_decoding())
    publish_tiny(draft, folder / "store", tiny_tokenizer(folder))
    return load(Models(torch.device("cpu"), slots=8, precision="float32"), folder / "store", draft.key)


def test_long_windows_take_turns(tmp_path: Path) -> None:
    models = _published(tmp_path, 1000)
    (key, model) = next(iter(models.items()))
    assert cost_of(Tokens([7]), ANSWER, model.manifest.architecture).rows == 10
    assert model.bounded(6) == (1 if model.policy.looks_each_step else 6)
    loop = Loop(models, slots=8, budget=1024)
    for _ in range(3):
        loop.add(key, Tokens([7, 8]), ANSWER)
    before, most = model.counters.decode_steps, 0
    while not loop.turn().is_idle:
        most = max(most, model.rows)
        if model.policy.looks_each_step:  # a GPU queues a whole unit
            assert model.counters.decode_steps - before <= 1
        before = model.counters.decode_steps
    assert most == 1
    for events in loop.events.values():
        assert isinstance(events[-1], Decoded)
        assert len(events[-1].hypotheses[0].tokens) == 3


def test_slow_cells_bound_the_window() -> None:
    def network(layers: int, window: int) -> WindowLanguageModel:
        recurrence = Recurrence(
            cell="gru", input_size=4, hidden_size=4, layers=layers, recurrent_activation="hard_sigmoid_6"
        )
        return WindowLanguageModel(
            encoder=TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence), window=window
        )

    assert network(10, 1000)
    with pytest.raises(
        ValueError, match=r"each token would read 1000 ids through 20 layers.*limit of the window is 500"
    ):
        network(20, 1000)


def test_a_gpu_makes_no_graph_of_slow_cells(tmp_path: Path) -> None:
    """Each step is a loop over the window, which a graph would hold as that many kernels."""
    recurrence = Recurrence(cell="gru", input_size=4, hidden_size=4, recurrent_activation="hard_sigmoid_6")
    encoder = TextEncoder(vocabulary_size=VOCABULARY, recurrence=recurrence)
    draft = _draft("slow", "completion", WindowLanguageModel(encoder=encoder, window=9), decoding=_decoding())
    publish_tiny(draft, tmp_path / "store", tiny_tokenizer(tmp_path))
    policy = Policy(looks_each_step=False)
    models = load(
        Models(torch.device("cpu"), slots=8, precision="float32", policy=policy), tmp_path / "store", draft.key
    )
    ((key, model),) = models.items()
    assert model.units is None
    assert model.bounded(6) == 1
    loop = Loop(models, slots=8)
    loop.add(key, Tokens([7, 8]), ANSWER)
    while not loop.turn().is_idle:
        pass
    ((*_, answer),) = loop.events.values()
    assert isinstance(answer, Decoded)


def test_an_embedding_needs_the_steps_of_the_stages(tmp_path: Path) -> None:
    (model,) = _published(tmp_path, 7).values()
    check(model.manifest, Tokens([7]), ANSWER, slots=8)
    check(model.manifest, Tokens([7, 8, 9]), Embed(), slots=8)
    with pytest.raises(EngineFailed, match="at least 3 steps, and got 1"):
        check(model.manifest, Tokens([7]), Embed(), slots=8)
