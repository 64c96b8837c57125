"""Units of plain decoding in one go: rows and memory beyond what runs change no answer, and on a GPU no graph does."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from app.engine.cost import cost_of
from app.engine.cuda_graphs import Units, plain_unit, rounded_memory, rounded_rows
from app.engine.encode import encode
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.protocol import Decode, Decoded, Tokens
from app.engine.request import Request, whole
from app.engine.slots import LENGTH, Slots
from app.models.networks import EncoderDecoder
from app.models.state import State
from app.store.model_store import open_version
from tests.engine.test_sampling import CAPTION, TRANSLATE, Sent, a_source, answers, some_options
from tests.tiny_store import VOCABULARY

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def loaded(store: Path, key: str, device: str = "cpu", *, runs_units: bool) -> LoadedModel:
    models = Models(torch.device(device), slots=48, precision="float32")
    models.load(open_version(store / key))
    models[key].runs_units = runs_units
    return models[key]


def plain_options(rng: random.Random) -> Decode:
    return Decode(rng.randint(1, 25), length_penalty=rng.choice([0.0, 1.0]), stream=rng.random() < 0.4)


def the_same(found: Sequence[Decoded], expected: Sequence[Decoded]) -> None:
    """Tokens exactly; numbers but for rounding, since sums over more rows are added up in another order."""
    for mine, theirs in zip(found, expected, strict=True):
        for one, other in zip(mine.hypotheses, theirs.hypotheses, strict=True):
            assert (one.tokens, one.finish_reason) == (other.tokens, other.finish_reason)
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
            assert one.score == pytest.approx(other.score, abs=1e-3)


@pytest.mark.parametrize("model", [TRANSLATE, CAPTION])
@pytest.mark.parametrize("mixed", [False, True], ids=["plain", "mixed"])
def test_units_in_one_go_answer_as_step_by_step(tiny_store: Path, model: str, mixed: bool) -> None:
    rng = random.Random(17)
    sent: list[Sent] = []
    for number in range(80):
        special = mixed and 20 <= number < 40  # so that both ways take turns over the same rows
        sent.append((a_source(rng, model), some_options(rng) if special else plain_options(rng)))
    in_one_go = loaded(tiny_store, model, runs_units=True)
    poison(in_one_go.slots)
    the_same(answers(in_one_go, sent), answers(loaded(tiny_store, model, runs_units=False), sent))


def poison(slots: Slots) -> None:
    """NaN and empty memory masks in all rows that do not run."""
    with torch.inference_mode():
        for storage in (*slots.state.values(), slots.log_probs):
            storage[slots.count :] = 0 if storage.dtype == torch.bool else float("nan")


def admitted(model: LoadedModel, count: int, most: int) -> tuple[EncoderDecoder, Slots]:
    rng, options = random.Random(3), Decode(most)
    sources = [Tokens([rng.randrange(4, VOCABULARY) for _ in range(rng.randint(2, 20))]) for _ in range(count)]
    requests = [
        Request((b"", number), model.key, source, options, cost_of(source, options))
        for number, source in enumerate(sources)
    ]
    encode(model, [whole(request) for request in requests])
    assert isinstance(model.network, EncoderDecoder)
    return model.network, model.slots


def test_rows_that_do_not_run_neither_move_nor_matter(tiny_store: Path) -> None:
    eos = loaded(tiny_store, TRANSLATE, runs_units=False).decoding.eos
    results = []
    for rows, memory in ((5, None), (8, 32), (48, 64)):
        network, slots = admitted(loaded(tiny_store, TRANSLATE, runs_units=False), 5, 9)
        poison(slots)
        with torch.inference_mode():
            for _ in range(3):
                plain_unit(network, slots, rows, memory or slots.longest, 4, eos)
        assert bool((slots.ended[5:] == LENGTH).all())
        assert not slots.steps[5:].any()
        results.append((slots.steps[:5].tolist(), slots.ended[:5].tolist(), slots.history[:5].tolist()))
        assert bool(slots.ended[:5].all()), "12 steps end all rows, which may have 9"
        assert max(results[0][0]) == 9, "and none goes past its limit"
    # tokens past the end of a row have no meaning
    decoded = [[ids[:steps] for ids, steps in zip(history, counts, strict=True)] for counts, _, history in results]
    assert decoded[0] == decoded[1] == decoded[2]
    assert results[0][1] == results[1][1] == results[2][1]


def test_rows_that_leave_count_as_ended(tiny_store: Path) -> None:
    _, slots = admitted(loaded(tiny_store, TRANSLATE, runs_units=False), 5, 9)
    with torch.inference_mode():
        slots.release(slots.requests[1:3])
    assert slots.ended.tolist() == [0] * 3 + [LENGTH] * 45


def test_storage_that_moves_is_noticed() -> None:
    slots = Slots(4, torch.device("cpu"))
    before = slots.growths
    slots._make_room(State(hidden=torch.zeros(1, 1, 3), memory=torch.zeros(1, 5, 3)), 10)
    assert slots.growths > before
    before = slots.growths
    addresses = [tensor.data_ptr() for tensor in (*slots.state.values(), slots.history)]
    slots._make_room(State(hidden=torch.zeros(1, 1, 3), memory=torch.zeros(1, 4, 3)), 9)
    assert (slots.growths, [tensor.data_ptr() for tensor in (*slots.state.values(), slots.history)]) == (
        before,
        addresses,
    )
    for memory, tokens in ((6, 1), (1, 11)):
        before = slots.growths
        slots._make_room(State(hidden=torch.zeros(1, 1, 3), memory=torch.zeros(1, memory, 3)), tokens)
        assert slots.growths > before


def test_there_are_few_shapes() -> None:
    assert {rounded_rows(count, 100) for count in range(1, 101)} == {1, 2, 4, 8, 16, 32, 64, 100}
    assert all(rounded_rows(count, 100) >= count for count in range(1, 101))
    assert [rounded_memory(longest) for longest in (0, 1, 16, 17, 64, 65)] == [0, 16, 16, 32, 64, 128]


@needs_gpu
@pytest.mark.parametrize("model", [TRANSLATE, CAPTION])
def test_graphs_answer_200_mixed_requests_as_eager_code(tiny_store: Path, model: str) -> None:
    rng = random.Random(23)
    sent: list[Sent] = []
    for number in range(200):
        special = number % 100 >= 70
        sent.append((a_source(rng, model), some_options(rng) if special else plain_options(rng)))
    with_graphs = loaded(tiny_store, model, "cuda:0", runs_units=True)
    found = answers(with_graphs, sent)
    units = with_graphs.units
    assert units is not None
    assert units.captures, "a capture failed"
    assert units.captured > 0
    the_same(found, answers(loaded(tiny_store, model, "cuda:0", runs_units=False), sent))


@needs_gpu
def test_graphs_are_captured_anew_when_storage_moves(tiny_store: Path) -> None:
    model = loaded(tiny_store, TRANSLATE, "cuda:0", runs_units=True)
    eager = loaded(tiny_store, TRANSLATE, "cuda:0", runs_units=False)
    units = model.units
    assert units is not None
    for length, most in ((10, 30), (10, 200), (100, 200)):
        sent: list[Sent] = [(Tokens([5 + n, *range(20, 19 + length)]), Decode(most)) for n in range(6)]
        the_same(answers(model, sent), answers(eager, sent))
        assert units.captured > 0


@needs_gpu
def test_a_capture_that_fails_gives_way_to_eager_code(tiny_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = loaded(tiny_store, TRANSLATE, "cuda:0", runs_units=True)
    assert isinstance(model.network, EncoderDecoder)
    model.units = Units(LooksAtTheHost(model.network), model.slots, model.decoding.eos)
    sent: list[Sent] = [(Tokens([5 + n, 9, 11]), Decode(30)) for n in range(6)]
    found = answers(model, sent)
    assert not model.units.captures
    assert "no CUDA graph" in caplog.text
    the_same(found, answers(loaded(tiny_store, TRANSLATE, "cuda:0", runs_units=False), sent))


class LooksAtTheHost(EncoderDecoder):
    """A network whose step waits for the device, which no graph may."""

    def __init__(self, network: EncoderDecoder) -> None:
        torch.nn.Module.__init__(self)
        self.inner = network

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        assert int(tokens.max()) >= 0
        return self.inner.step(tokens, state)
