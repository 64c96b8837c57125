"""Models of the kinds that importers bring: the engine's batches against plain PyTorch, one request at a time."""

import random
from pathlib import Path
from typing import get_args

import pytest
import torch

from app.engine.check import check as check_request
from app.engine.cost import cost_of
from app.engine.models import Models
from app.engine.protocol import (
    AnswerSpec,
    Decode,
    Decoded,
    Embed,
    Event,
    Explain,
    Forecast,
    Label,
    Labelled,
    Series,
    Source,
    Tag,
    Tokens,
)
from app.errors import ContradictoryOptions, EngineFailed
from app.models.networks import EncoderDecoder
from app.models.serving.native.recurrent import NativeRecurrent
from app.models.serving.precision import Precision, capability
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from tests.engine.loop import Loop, answers, load
from tests.engine.number_references import frames, rows_of, scores_alone, series
from tests.engine.references import Reference, open_shipped
from tests.engine.test_numbers import check
from tests.tiny_kinds import FRAME_SIZE, MASK, WINDOW, kind_drafts, make_kinds_store
from tests.tiny_store import VOCABULARY
from training.recipe import Shipped

KEYS = [draft.key for draft in kind_drafts()]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_kinds_store(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def shipped(store: Path) -> dict[str, Shipped]:
    return {key: open_shipped(store, key) for key in KEYS}


def loaded(store: Path, precision: Precision = "float32", *keys: str) -> Models:
    return load(Models(CPU, slots=8, precision=precision), store, *(keys or KEYS))


def source_for(manifest: Manifest, rng: random.Random, steps: int | None = None) -> Source:
    """A random source with masked steps among others."""
    steps = max(manifest.architecture.least_steps, steps or rng.choice([1, 2, 5, 9, 30]))
    if manifest.image is not None:
        generator = torch.Generator().manual_seed(rng.randrange(10**6))
        size = (min(steps, 7), FRAME_SIZE, FRAME_SIZE, 3)
        return frames(torch.randint(256, size, generator=generator, dtype=torch.uint8))
    if manifest.series is not None:
        steps = manifest.series.window or steps
        rows = torch.randn(steps, 2, generator=torch.Generator().manual_seed(rng.randrange(10**6)))
        rows[torch.tensor([rng.random() < 0.3 for _ in range(steps)])] = 0.0
        return series(rows)
    return Tokens([MASK if rng.random() < 0.3 else rng.randrange(6, VOCABULARY) for _ in range(steps)])


def answer_for(manifest: Manifest, rng: random.Random) -> AnswerSpec:
    if rng.random() < 0.2:
        return Embed(rng.choice(["last", "max", "mean"]), rng.choice([None, 0]))
    match manifest.answer:
        case "label":
            return Label()
        case "tags":
            return Tag(scores=True)
        case "tokens":
            return Decode(rng.choice([1, 4, 2 * WINDOW]), first=rng.randrange(6, VOCABULARY))
        case _:
            assert isinstance(manifest.architecture, Forecaster)
            return Forecast(rng.randint(1, manifest.architecture.horizon), states=rng.random() < 0.3)


def check_answer(shipped: Shipped, source: Source, wanted: AnswerSpec, events: list[Event]) -> None:
    if not isinstance(wanted, Decode):
        check(shipped, source, wanted, events)
        return
    last, expected = events[-1], Reference(shipped, source, wanted).greedy()
    assert isinstance(last, Decoded), last
    assert last.hypotheses[0].tokens == expected.tokens
    torch.testing.assert_close(
        torch.tensor(last.hypotheses[0].log_probs), torch.tensor(expected.log_probs), rtol=0, atol=1e-4
    )


def test_a_mixed_crowd_is_answered_as_each_alone(store: Path, shipped: dict[str, Shipped]) -> None:
    models, rng = loaded(store), random.Random(1)
    loop = Loop(models)
    work: list[tuple[str, Source, AnswerSpec]] = []
    for number in range(150):
        key = KEYS[number % len(KEYS)]
        manifest = models[key].manifest
        work.append((key, source_for(manifest, rng), answer_for(manifest, rng)))
        check_request(manifest, *work[-1][1:], slots=8)
        loop.add(*work[-1])
        if rng.random() < 0.3:
            loop.turn()
    events = loop.run()
    for number, (key, source, wanted) in enumerate(work):
        check_answer(shipped[key], source, wanted, events[number])
    assert all(model.rows == 0 for model in models.values())


@pytest.mark.parametrize("precision", [name for name in get_args(Precision) if name != "float32"])
def test_the_fast_forms_answer_alike(store: Path, shipped: dict[str, Shipped], precision: Precision) -> None:
    """Kernels stay for the usual cells; a cell with other functions runs in plain torch beside them."""
    models, rng = (
        loaded(store, precision, "classify-keras/1", "classify-convolutions/1", "tag-stages/1"),
        random.Random(2),
    )
    for key, model in models.items():
        if capability().native and model.policy.looks_each_step:
            is_native = isinstance(model.network.encoder.recurrence, NativeRecurrent)
            assert is_native == (key != "classify-keras/1")
        source, wanted = source_for(model.manifest, rng, 9), Label()
        if key == "tag-stages/1":
            continue
        [event] = answers(models, [(key, source, wanted)])
        assert isinstance(event, Labelled)
        expected = scores_alone(shipped[key], source)
        torch.testing.assert_close(torch.tensor(event.scores), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("key", ["classify-keras/1", "classify-backward/1", "classify-pointwise/1"])
def test_an_explanation_has_the_label_after_each_step(store: Path, shipped: dict[str, Shipped], key: str) -> None:
    models, rng = loaded(store, "float32", key), random.Random(3)
    manifest = models[key].manifest
    source = source_for(manifest, rng, 8)
    [event] = answers(models, [(key, source, Label(Explain(0, None)))])
    assert isinstance(event, Labelled), event
    assert event.explanation is not None
    found = rows_of(event.explanation.probabilities)
    for steps, scores in enumerate(found, 1):
        beginning = Tokens(source.ids[:steps]) if isinstance(source, Tokens) else beginning_of(source, steps)
        torch.testing.assert_close(scores, scores_alone(shipped[key], beginning), rtol=0, atol=1e-5)
    [activations] = event.explanation.activations
    assert len(activations.hidden) == 8
    assert {len(table) for table in activations.gates.values()} == {8}
    assert manifest.architecture.encoder.kind != "image"
    if key == "classify-keras/1":  # one layer, whose masked outputs repeat the state
        network = shipped[key].network
        assert isinstance(source, Tokens)
        encoded = network.encoder(torch.tensor([source.ids]), torch.tensor([8]))
        torch.testing.assert_close(rows_of(activations.hidden), encoded.memory[0], rtol=0, atol=1e-5)


def beginning_of(source: Source, steps: int) -> Source:
    assert isinstance(source, Series)
    return Series(source.rows.rows(0, steps))


@pytest.mark.parametrize(
    ("key", "reason"), [("classify-flat/1", "at least 7"), ("classify-convolutions/1", "at least 4")]
)
def test_where_beginnings_have_no_label_an_explanation_is_refused(store: Path, key: str, reason: str) -> None:
    manifest = open_shipped(store, key).manifest
    with pytest.raises(ContradictoryOptions, match=reason):
        check_request(manifest, source_for(manifest, random.Random(4)), Label(Explain()), slots=8)


@pytest.mark.parametrize(("key", "least"), [("forecast-per-step/1", 4), ("classify-convolutions/1", 4)])
def test_a_source_that_is_too_short_is_refused(store: Path, key: str, least: int) -> None:
    manifest = open_shipped(store, key).manifest
    assert manifest.architecture.least_steps == least
    answer = Label() if manifest.answer == "label" else Forecast(1)
    long = source_for(manifest, random.Random(5), least)
    short = Tokens(long.ids[1:]) if isinstance(long, Tokens) else beginning_of(long, least - 1)
    check_request(manifest, long, answer, slots=8)
    with pytest.raises(EngineFailed, match=f"at least {least} steps, and got {least - 1}"):
        check_request(manifest, short, answer, slots=8)


def test_stages_of_single_steps_are_read_in_chunks(store: Path, shipped: dict[str, Shipped]) -> None:
    key = "classify-pointwise/1"
    models, rng = loaded(store, "float32", key), random.Random(6)
    assert models[key].is_divisible
    sources = [source_for(models[key].manifest, rng, steps) for steps in (900, 3, 40)]
    loop = Loop(models)
    for source in sources:
        loop.add(key, source, Label())
    longest = 0
    while not (plan := loop.turn()).is_idle:
        longest = max([longest, *(chunk.steps for chunk in plan.chunks)])
    assert longest < 900
    for number, source in enumerate(sources):
        check(shipped[key], source, Label(), loop.events[number])
    encoders = {draft.name: draft.architecture.encoder for draft in kind_drafts()}
    divisible = {name for name, encoder in encoders.items() if encoder.kind != "image" and encoder.is_divisible}
    forecasts = {"forecast-continued", "forecast-per-step", "forecast-repeat"}
    assert divisible == {"classify-pointwise", "classify-states", "classify-skip-in-parts", *forecasts}


def test_a_convolution_over_frames_waits_for_all_of_them(store: Path, shipped: dict[str, Shipped]) -> None:
    """The images are encoded one after the other."""
    key = "classify-clips/1"
    models, rng = loaded(store, "float32", key), random.Random(8)
    sources = [source_for(models[key].manifest, rng, steps) for steps in (7, 2, 3)]
    loop = Loop(models)
    for source in sources:
        loop.add(key, source, Label())
    chunks = 0
    while not (plan := loop.turn()).is_idle:
        chunks += len(plan.chunks)
    assert chunks > len(sources)
    for number, source in enumerate(sources):
        check(shipped[key], source, Label(), loop.events[number])


@pytest.mark.parametrize("key", ["window-padded/1", "window-short/1"])
def test_a_window_of_ids_is_the_state(store: Path, shipped: dict[str, Shipped], key: str) -> None:
    """Greedy, drawn and searched rows side by side; the searched ones as the reference's."""
    models, rng = loaded(store, "float32", key), random.Random(7)
    source = source_for(models[key].manifest, rng, 20)
    wanted = Decode(2 * WINDOW, first=9, beams=3, n_best=3)
    sampled = Decode(5, first=9, temperature=1.0, seed=4)
    found = answers(models, [(key, source, wanted), (key, source, sampled), (key, source, Decode(5, first=9))])
    expected = Reference(shipped[key], source, wanted).search()
    assert isinstance(found[0], Decoded)
    assert [one.tokens for one in found[0].hypotheses] == [one.tokens for one in expected]
    again = answers(models, [(key, source, sampled)])
    assert isinstance(found[1], Decoded)
    assert isinstance(again[0], Decoded)
    assert found[1].hypotheses[0].tokens == again[0].hypotheses[0].tokens


def test_a_token_of_a_window_costs_the_window(store: Path, shipped: dict[str, Shipped]) -> None:
    source, wanted = Tokens([7] * 10), Decode(5)
    one, other = (shipped[key].manifest.architecture for key in ("window-short/1", "translate-masked/1"))
    assert cost_of(source, wanted, one).answer == WINDOW * cost_of(source, wanted, other).answer


def test_the_kernel_of_attention_is_not_used_where_positions_are_masked(store: Path) -> None:
    """It reads the first positions of a memory."""
    model = loaded(store, "auto", "translate-masked/1")["translate-masked/1"]
    network = model.network
    assert isinstance(network, EncoderDecoder)
    assert not network.decoder.attention.natively


def test_attention_does_not_see_masked_tokens(store: Path, shipped: dict[str, Shipped]) -> None:
    network = shipped["translate-masked/1"].network
    assert isinstance(network, EncoderDecoder)
    tokens = torch.tensor([[MASK, 8, 9, MASK, 10]])
    _, _, weights = network.step(torch.tensor([1]), network.encode(tokens, torch.tensor([5])))
    assert weights is not None
    assert weights[0, [0, 3]].tolist() == [0, 0]
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
