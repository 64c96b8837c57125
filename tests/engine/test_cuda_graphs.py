"""Units of plain rows as graphs: captured before the first request, in storage that never moves, beside other rows."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from app.engine.cuda_graphs import Shape, Units, memory_sizes, plain_unit, row_sizes, shapes
from app.engine.encode import encode
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.policy import Policy
from app.engine.protocol import Decode, Decoded, Tokens
from app.engine.request import whole
from app.engine.slots import LENGTH, Slots
from app.models.networks import EncoderDecoder
from app.models.serving.precision import Precision
from app.models.state import State
from app.store.model_store import open_version
from tests.engine.conftest import QUEUED
from tests.engine.test_encode import request
from tests.engine.test_sampling import CAPTION, TRANSLATE, Sent, a_source, answers, some_options
from tests.tiny_store import VOCABULARY

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
CPU = Policy(looks_each_step=True)


def loaded(
    store: Path, key: str, policy: Policy = QUEUED, device: str = "cpu", precision: Precision = "float32"
) -> LoadedModel:
    models = Models(torch.device(device), slots=48, precision=precision, policy=policy)
    models.load(open_version(store / key))
    return models[key]


def plain_options(rng: random.Random) -> Decode:
    return Decode(rng.randint(1, 25), length_penalty=rng.choice([0.0, 1.0]), stream=rng.random() < 0.4)


def some_requests(rng: random.Random, model: str, count: int, *, special: float) -> list[Sent]:
    """Requests of which a share of `special` draws nothing but asks for all else."""
    chosen = [some_options(rng) if rng.random() < special else plain_options(rng) for _ in range(count)]
    return [(a_source(rng, model), options) for options in chosen]


def the_same(found: Sequence[Decoded], expected: Sequence[Decoded]) -> None:
    """Tokens exactly; numbers but for rounding, since sums over more rows are added up in another order."""
    for mine, theirs in zip(found, expected, strict=True):
        for one, other in zip(mine.hypotheses, theirs.hypotheses, strict=True):
            assert (one.tokens, one.finish_reason) == (other.tokens, other.finish_reason)
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
            assert one.score == pytest.approx(other.score, abs=1e-3)


def poison(slots: Slots) -> None:
    """NaN and empty memory masks in all rows that do not run."""
    with torch.inference_mode():
        for storage in (*slots.state.values(), slots.log_probs):
            storage[slots.count :] = 0 if storage.dtype == torch.bool else float("nan")


@pytest.mark.parametrize("model", [TRANSLATE, CAPTION])
@pytest.mark.parametrize("special", [0, 0.3], ids=["plain", "mixed"])
def test_queued_units_answer_as_a_look_after_each_step(tiny_store: Path, model: str, special: float) -> None:
    sent = some_requests(random.Random(17), model, 80, special=special)
    queued = loaded(tiny_store, model)
    for slots in queued.groups:
        poison(slots)
    the_same(answers(queued, sent), answers(loaded(tiny_store, model, CPU), sent))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("model", [TRANSLATE, CAPTION, "lm-en/1"])
def test_types_of_16_bits_run_whatever_the_rows_want(tiny_store: Path, model: str, precision: Precision) -> None:
    """Answers differ from those of float32, but not by much at their first token."""
    sent = some_requests(random.Random(29), model, 24, special=0.5)
    sent += [(a_source(random.Random(seed), model), Decode(9, temperature=0.8, seed=seed)) for seed in range(4)]
    found = answers(loaded(tiny_store, model, precision=precision), sent)
    expected = answers(loaded(tiny_store, model), sent)
    first = [
        (one.hypotheses[0].log_probs[0], other.hypotheses[0].log_probs[0])
        for one, other in zip(found[:24], expected[:24], strict=True)
        if one.hypotheses[0].tokens[:1] == other.hypotheses[0].tokens[:1]
    ]
    assert len(first) >= 12
    assert all(mine == pytest.approx(theirs, abs=0.1) for mine, theirs in first)


def test_plain_rows_run_as_graphs_whatever_runs_beside_them(tiny_store: Path) -> None:
    """All graphs are there when the model is, none comes later, and their storage never moves: neither when longer
    sources and answers come, nor when rows draw or search."""
    model = loaded(tiny_store, TRANSLATE)
    runs = counted(model)
    captured, before = len(model.units or ()), addresses(model.slots)
    assert captured == len(list(shapes(48, [16, 32])))
    rng = random.Random(4)
    for length, most in ((10, 30), (10, 900), (200, 20)):
        others = [Decode(12, temperature=0.9, seed=3), Decode(12, beams=4), Decode(12, alternatives=3)]
        sent = [(Tokens([rng.randrange(4, VOCABULARY) for _ in range(10)]), options) for options in others]
        sent += [(Tokens([5 + n, *range(20, 19 + length)]), Decode(most)) for n in range(3)]
        sent += [(Tokens([5 + n, 9, 11]), Decode(most)) for n in range(3)]
        runs.clear()
        the_same(answers(model, sent, join=9), answers(loaded(tiny_store, TRANSLATE, CPU), sent, join=9))
        assert len(runs) >= min(most, 24) // 6
    assert len(model.units or ()) == captured
    assert addresses(model.slots) == before


def counted(model: LoadedModel) -> list[Shape]:
    """Grows by a shape whenever the graph of that shape runs."""
    assert model.units is not None
    runs: list[Shape] = []
    for shape, graph in model.units._graphs.items():

        def run(shape: Shape = shape, graph=graph) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
            runs.append(shape)
            return graph()  # type: ignore[no-any-return]

        model.units._graphs[shape] = run
    return runs


def addresses(slots: Slots) -> list[int]:
    tensors = (slots.previous, slots.progress, slots.limits, *slots.state.values())
    return [tensor.data_ptr() for tensor in tensors]


def test_a_unit_of_another_length_or_a_smaller_block_runs_step_by_step(tiny_store: Path) -> None:
    sent = some_requests(random.Random(2), TRANSLATE, 20, special=0)
    model = loaded(tiny_store, TRANSLATE)
    runs = counted(model)
    expected = answers(model, sent)
    assert runs
    runs.clear()
    the_same(answers(model, sent, unit=4), expected)
    assert not runs
    model.block = 3
    the_same(answers(model, sent, join=20), expected)
    assert not runs


@pytest.mark.parametrize("call", [1, 2, 5, 9])
def test_a_fault_within_a_unit_leaves_the_steps_before_it(tiny_store: Path, call: int) -> None:
    """Rows go on in smaller blocks from where they were."""
    sent = some_requests(random.Random(8), TRANSLATE, 12, special=0.7)
    model = loaded(tiny_store, TRANSLATE)
    assert isinstance(model.network, EncoderDecoder)
    model.network, model.units = RunsOutOfMemory(model.network, call), None
    the_same(answers(model, sent), answers(loaded(tiny_store, TRANSLATE, CPU), sent))
    assert model.counters.out_of_memory == 1
    assert model.block < 48


class RunsOutOfMemory(EncoderDecoder):
    """A network whose step runs out of memory in one call."""

    def __init__(self, network: EncoderDecoder, call: int) -> None:
        torch.nn.Module.__init__(self)
        self.inner, self.encoder, self.decoder, self.config = network, network.encoder, network.decoder, network.config
        self.left = call

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        self.left -= 1
        if self.left == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner.step(tokens, state)


def admitted(model: LoadedModel, count: int, most: int) -> tuple[EncoderDecoder, Slots]:
    rng = random.Random(3)
    sources = [[rng.randrange(4, VOCABULARY) for _ in range(rng.randint(2, 20))] for _ in range(count)]
    requests = [request(number, model.key, source, Decode(most)) for number, source in enumerate(sources)]
    encode(model, [whole(one) for one in requests])
    assert isinstance(model.network, EncoderDecoder)
    return model.network, model.slots


def test_rows_that_do_not_run_neither_move_nor_matter(tiny_store: Path) -> None:
    results = []
    for rows, memory in ((5, 20), (8, 32), (48, 32)):
        model = loaded(tiny_store, TRANSLATE)
        network, slots = admitted(model, 5, 9)
        poison(slots)
        with torch.inference_mode():
            units = [plain_unit(network, slots, Shape(rows, memory), steps=4, eos=model.decoding.eos) for _ in range(3)]
        assert bool((slots.ended[5:] == LENGTH).all())
        assert not slots.steps[5:].any()
        assert bool(slots.ended[:5].all()), "12 steps end all rows, which may have 9"
        steps = slots.steps[:5].tolist()
        tokens = torch.cat([tokens for tokens, _ in units])[:, :5].T.tolist()
        # tokens past the end of a row have no meaning
        results.append((steps, slots.ended[:5].tolist(), [ids[:n] for ids, n in zip(tokens, steps, strict=True)]))
    assert max(results[0][0]) == 9, "none goes past its limit"
    assert results[0] == results[1] == results[2]


def test_rows_that_leave_count_as_ended(tiny_store: Path) -> None:
    _, slots = admitted(loaded(tiny_store, TRANSLATE), 5, 9)
    with torch.inference_mode():
        slots.release(slots.requests[1:3])
    assert slots.ended.tolist() == [0] * 3 + [LENGTH] * 45


def test_there_are_few_shapes() -> None:
    assert row_sizes(1024) == [4, 16, 64, 128, 256, 512, 1024]
    assert [row_sizes(capacity) for capacity in (2, 4, 5, 100)] == [[2], [4], [4, 5], [4, 16, 64, 100]]
    assert [memory_sizes(positions) for positions in (0, 8, 16, 49, 256)] == [[0], [8], [16], [16, 49], [16, 64, 256]]
    assert len(list(shapes(1024, memory_sizes(256)))) == 21


@needs_gpu
@pytest.mark.parametrize("model", [TRANSLATE, CAPTION])
def test_graphs_answer_200_mixed_requests_as_steps(tiny_store: Path, model: str) -> None:
    sent = some_requests(random.Random(23), model, 200, special=0.3)
    with_graphs = loaded(tiny_store, model, QUEUED, "cuda:0")
    assert with_graphs.units, "a capture failed"
    without = loaded(tiny_store, model, QUEUED, "cuda:0")
    without.units = None
    the_same(answers(with_graphs, sent), answers(without, sent))


@needs_gpu
def test_a_capture_that_fails_gives_way_to_steps(tiny_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = loaded(tiny_store, TRANSLATE, QUEUED, "cuda:0")
    assert isinstance(model.network, EncoderDecoder)
    eos = model.decoding.eos
    model.units = Units(LooksAtTheHost(model.network), model.slots, eos, steps=6, memories=[16])
    model.units.capture()
    assert not model.units
    assert "no CUDA graphs" in caplog.text
    sent: list[Sent] = [(Tokens([5 + n, 9, 11]), Decode(30)) for n in range(6)]
    the_same(answers(model, sent), answers(loaded(tiny_store, TRANSLATE, QUEUED, "cuda:0"), sent))


class LooksAtTheHost(EncoderDecoder):
    """A network whose step waits for the device, which no graph may."""

    def __init__(self, network: EncoderDecoder) -> None:
        torch.nn.Module.__init__(self)
        self.inner = network

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        assert int(tokens.max()) >= 0
        return self.inner.step(tokens, state)
