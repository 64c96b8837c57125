"""Series, frames, tags, forecasts and states: the engine's batches against plain PyTorch, one request at a time."""

import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

from app.engine.decode import release
from app.engine.faults import NOT_FINITE
from app.engine.models import Models
from app.engine.protocol import (
    AnswerSpec,
    Embed,
    Embedded,
    Event,
    Explain,
    Failed,
    Forecast,
    Forecasted,
    Label,
    Labelled,
    Series,
    Source,
    Tag,
    Tagged,
    Tokens,
    Values,
)
from app.engine.scheduler import CHUNK_UNITS
from app.models.networks import build_network
from app.store.classifier import Classifier
from app.store.encoder_part import Pooling
from app.store.encoders import SeriesEncoder
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.series_input import Feature, SeriesInput
from tests.engine.loop import Loop, answers, load
from tests.engine.number_references import (
    embedded_alone,
    forecast_alone,
    frames,
    outputs_alone,
    rows_of,
    scores_alone,
    series,
    tags_alone,
)
from tests.engine.references import open_shipped
from tests.tiny_numbers import FRAME_SIZE, WINDOW, number_drafts
from tests.tiny_store import VOCABULARY, publish_tiny, tiny_tokenizer
from training.recipe import Shipped

KEYS = [draft.key for draft in number_drafts()]
FORECASTERS = ["forecast-tiny/1", "forecast-state/1", "forecast-window/1", "forecast-decoder/1"]
STEPWISE = FORECASTERS[1:]
EXACT = 4e-6  # a mean sums thousands of steps, in an order that depends on the instruction set


@pytest.fixture(scope="module")
def models(number_store: Path, device_way: str) -> Models:
    return load(Models(torch.device("cpu"), slots=8), number_store, *KEYS)


@pytest.fixture(scope="module")
def shipped(number_store: Path) -> dict[str, Shipped]:
    return {key: open_shipped(number_store, key) for key in KEYS}


def source_for(manifest: Manifest, rng: random.Random, steps: int | None = None) -> Source:
    """A random source; `steps` of it, unless the model has a window."""
    steps = steps or rng.choice([1, 2, 5, 17, 40])
    generator = torch.Generator().manual_seed(rng.randrange(10**6))
    if manifest.series is not None:
        steps = manifest.series.window or steps
        return series(torch.randn(steps, len(manifest.series.features), generator=generator))
    if manifest.image is not None:
        size = (min(steps, 7), FRAME_SIZE, FRAME_SIZE, 3)
        return frames(torch.randint(256, size, generator=generator, dtype=torch.uint8))
    return Tokens([rng.randrange(4, VOCABULARY) for _ in range(steps)])


def answer_for(manifest: Manifest, rng: random.Random) -> AnswerSpec:
    if rng.random() < 0.2:
        return Embed(rng.choice(["last", "max", "mean"]), rng.choice([None, 0]))
    match manifest.answer:
        case "label":
            return Label()
        case "tags":
            return Tag(scores=True)
        case _:
            architecture = manifest.architecture
            assert isinstance(architecture, Forecaster)
            most = 20 if architecture.is_stepwise else architecture.horizon
            return Forecast(rng.randint(1, most), states=rng.random() < 0.3, stream=rng.random() < 0.5)


def check(shipped: Shipped, source: Source, wanted: AnswerSpec, events: list[Event]) -> None:
    """The events of a request are those that plain PyTorch gives alone."""
    last = events[-1]
    match wanted:
        case Label():
            assert isinstance(last, Labelled), last
            close(torch.tensor(last.scores), scores_alone(shipped, source))
        case Tag():
            assert isinstance(last, Tagged), last
            assert isinstance(source, Tokens)
            labels, scores = tags_alone(shipped, source)
            assert last.labels == labels
            assert last.scores is not None
            close(rows_of(last.scores), scores)
        case Embed():
            assert isinstance(last, Embedded), last
            close(rows_of(last.state)[0], embedded_alone(shipped, source, wanted))
        case Forecast():
            assert isinstance(last, Forecasted), last
            assert isinstance(source, Series)
            close(rows_of(last.rows), forecast_alone(shipped, source, wanted.horizon))
            parts = b"".join(event.rows.numbers for event in events if isinstance(event, Values))
            assert parts == (last.rows.numbers if wanted.stream else b"")
            assert (last.states is not None) == wanted.states
            if last.states is not None:
                close(rows_of(last.states), outputs_alone(shipped, source))
        case _:
            raise NotImplementedError


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=EXACT, atol=EXACT)


def is_text(key: str) -> bool:
    return key.startswith("tag")


def test_a_mixed_crowd_is_answered_as_each_alone(number_store: Path, shipped: dict[str, Shipped]) -> None:
    """200 requests of all models: one after the other joins, between the units of others."""
    models = load(Models(torch.device("cpu"), slots=8, precision="float32"), number_store, *KEYS)
    rng = random.Random(1)
    loop = Loop(models)
    work: list[tuple[str, Source, AnswerSpec]] = []
    while len(work) < 200:
        for _ in range(rng.randint(0, 6)):
            key = rng.choice(KEYS)
            manifest = models[key].manifest
            work.append((key, source_for(manifest, rng), answer_for(manifest, rng)))
            loop.add(*work[-1])
        loop.turn()
    events = loop.run()
    for number, (key, source, wanted) in enumerate(work):
        check(shipped[key], source, wanted, events[number])
    assert all(model.rows == 0 for model in models.values())


def test_networks_over_numbers_and_frames_compute_in_float32(models: Models, shipped: dict[str, Shipped]) -> None:
    """Also with the fast types of this processor for all others."""
    rng = random.Random(2)
    for key in (key for key in KEYS if not is_text(key)):
        manifest = models[key].manifest
        assert models[key].precision.startswith("float32"), models[key].precision
        source, wanted = source_for(manifest, rng), answer_for(manifest, rng)
        loop = Loop(models)
        loop.add(key, source, wanted)
        check(shipped[key], source, wanted, loop.run()[0])


@pytest.mark.parametrize("key", STEPWISE)
def test_a_forecast_joins_and_leaves_between_units(models: Models, shipped: dict[str, Shipped], key: str) -> None:
    rng = random.Random(3)
    loop = Loop(models)
    manifest = models[key].manifest
    horizons = [40, 3, 1, 25]
    sources = [source_for(manifest, rng, 12) for _ in horizons]
    long = loop.add(key, sources[0], Forecast(horizons[0]))
    loop.run(until=lambda: long.made_rows >= 6)
    for source, horizon in zip(sources[1:], horizons[1:], strict=True):
        loop.add(key, source, Forecast(horizon))
    loop.run(until=lambda: bool(loop.events[1]) and bool(loop.events[2]))
    assert long.made_rows < horizons[0] - 12, "the short ones waited for the long one"
    loop.run()
    for number, (source, horizon) in enumerate(zip(sources, horizons, strict=True)):
        check(shipped[key], source, Forecast(horizon), loop.events[number])


@pytest.mark.parametrize("key", STEPWISE)
def test_a_cancelled_forecast_leaves_its_neighbours_as_they_are(
    models: Models, shipped: dict[str, Shipped], key: str
) -> None:
    rng = random.Random(4)
    model = models[key]
    for cancelled in range(3):
        loop = Loop(models)
        horizons = [30, 20, 10]
        sources = [source_for(model.manifest, rng, 9) for _ in horizons]
        requests = [loop.add(key, source, Forecast(horizon)) for source, horizon in zip(sources, horizons, strict=True)]
        loop.run(until=lambda sent=requests: all(one.made_rows >= 2 for one in sent))  # type: ignore[misc]
        loop.scheduler.remove(requests[cancelled].key)
        release(model, requests[cancelled])
        loop.run()
        assert model.rows == 0
        for number in {0, 1, 2} - {cancelled}:
            check(shipped[key], sources[number], Forecast(horizons[number]), loop.events[number])
        assert loop.events[cancelled] == []


def any_length(
    name: str, *, pooling: tuple[Pooling, ...] = ("last",), directions: int = 1, cell: str = "lstm"
) -> Manifest:
    """A classifier of series of any length, without blocks or branch."""
    recurrence = Recurrence.model_validate(
        {"cell": cell, "input_size": 2, "hidden_size": 8, "layers": 2, "directions": directions}
    )
    features = (Feature(name="a"), Feature(name="b"))
    draft = next(draft for draft in number_drafts() if draft.name == "classify-series")
    architecture = Classifier(
        encoder=SeriesEncoder(features=2, recurrence=recurrence),
        pooling=pooling,
        labels=3,
    )
    return draft.model_copy(
        update={"name": name, "architecture": architecture, "series": SeriesInput(features=features)}
    )


@pytest.mark.parametrize("pooling", [("last",), ("last", "max", "mean")])
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_a_long_series_is_encoded_in_chunks_beside_short_ones(
    tmp_path: Path, pooling: tuple[Pooling, ...], cell: str
) -> None:
    publish_tiny(any_length("long", pooling=pooling, cell=cell), tmp_path / "store", tiny_tokenizer(tmp_path))
    models = load(Models(torch.device("cpu"), slots=8), tmp_path / "store", "long/1")
    shipped, rng = open_shipped(tmp_path / "store", "long/1"), random.Random(5)
    assert models["long/1"].is_divisible
    loop = Loop(models)
    lengths = [3000, 5, 7, 300, 96, 97]
    answers_of: list[AnswerSpec] = [Label(), Label(), Embed("mean"), Embed("max", 0), Label(), Embed("last", 0)]
    sources = [source_for(models["long/1"].manifest, rng, length) for length in lengths]
    requests = [loop.add("long/1", source, wanted) for source, wanted in zip(sources, answers_of, strict=True)]
    longest = 0
    while not (plan := loop.turn()).is_idle:
        longest = max([longest, *(chunk.steps for chunk in plan.chunks)])
        for request in requests:
            assert sum(map(len, getattr(request.partial, "outputs", ()))) <= 1, "outputs are pooled while they are read"
    assert longest <= CHUNK_UNITS * 6
    for number, (source, wanted) in enumerate(zip(sources, answers_of, strict=True)):
        check(shipped, source, wanted, loop.events[number])


def test_frames_are_encoded_one_after_the_other(models: Models, shipped: dict[str, Shipped]) -> None:
    """A unit is a frame: a long clip does not hold up the others."""
    rng, key = random.Random(6), "classify-frames/1"
    loop = Loop(models, budget=600)
    sources = [source_for(models[key].manifest, rng, count) for count in (7, 2, 1)]
    for source in sources:
        loop.add(key, source, Label())
    chunks = []
    while not (plan := loop.turn()).is_idle:
        chunks += [(chunk.request.key[1], chunk.start // 256, chunk.steps // 256) for chunk in plan.chunks]
    assert all(steps <= 2 for _, _, steps in chunks)
    for number, count in enumerate((7, 2, 1)):
        assert sum(steps for of_request, _, steps in chunks if of_request == number) == count
        check(shipped[key], sources[number], Label(), loop.events[number])


@pytest.mark.parametrize("key", ["classify-frames/1", "classify-series/1", "one-way/1"])
def test_an_explanation_has_the_label_after_each_step(number_store: Path, tmp_path: Path, key: str) -> None:
    if key == "one-way/1":
        publish_tiny(any_length("one-way", pooling=("last", "mean")), tmp_path / "store", tiny_tokenizer(tmp_path))
        number_store = tmp_path / "store"
    models = load(Models(torch.device("cpu"), slots=8), number_store, key)
    shipped, rng = open_shipped(number_store, key), random.Random(7)
    sources = [source_for(models[key].manifest, rng, count) for count in (5, 1)]
    [first, second] = answers(models, [(key, sources[0], Label(Explain(0, 3))), (key, sources[1], Label(Explain()))])
    for source, event in zip(sources, (first, second), strict=True):
        assert isinstance(event, Labelled)
        assert event.explanation is not None
        found = rows_of(event.explanation.probabilities)
        for steps, scores in enumerate(found, 1):
            torch.testing.assert_close(scores, scores_alone(shipped, beginning(source, steps)), rtol=0, atol=1e-5)
    assert isinstance(first, Labelled)
    assert first.explanation is not None
    [activations] = first.explanation.activations
    assert (len(activations.units), len(activations.hidden)) == (3, 5)
    hidden = outputs_alone(shipped, sources[0])
    if models[key].manifest.architecture.encoder.kind == "frames":  # one layer
        torch.testing.assert_close(rows_of(activations.hidden), hidden[:, activations.units], rtol=0, atol=1e-5)


def beginning(source: Source, steps: int) -> Source:
    """The first steps of a series or of frames."""
    if isinstance(source, Series):
        return Series(source.rows.rows(0, steps))
    assert not isinstance(source, Tokens)
    image = 3 * source.size**2
    return frames(
        torch.frombuffer(bytearray(source.data[: steps * image]), dtype=torch.uint8).view(
            -1, source.size, source.size, 3
        )
    )


def test_a_window_that_is_read_anew_takes_no_row_and_waits_for_nobody(
    models: Models, shipped: dict[str, Shipped]
) -> None:
    rng, key = random.Random(8), "forecast-window/1"
    loop = Loop(models, budget=2 * WINDOW)
    sources = [source_for(models[key].manifest, rng) for _ in range(5)]
    for source in sources:
        loop.add(key, source, Forecast(9, stream=True))
    while not (plan := loop.turn()).is_idle:
        assert sum(chunk.steps for chunk in plan.chunks) <= 2 * WINDOW
        assert models[key].rows == 0
    for number, source in enumerate(sources):
        check(shipped[key], source, Forecast(9, stream=True), loop.events[number])
        assert len(loop.events[number]) == 10, "each row comes at once"


def test_a_forecast_that_is_not_finite_says_from_which_step_on() -> None:
    """A linear network that doubles its numbers; its neighbours are answered."""
    draft = next(draft for draft in number_drafts() if draft.name == "forecast-state")
    encoder = SeriesEncoder(features=2, recurrence=Recurrence(cell="rnn_relu", input_size=2, hidden_size=2))
    architecture = Forecaster(encoder=encoder, targets=2, feedback="state")
    network = build_network(architecture, mean=[0.0] * 3, std=[1.0] * 3)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.eye(2) if "weight_hh" not in name and parameter.dim() == 2 else torch.zeros(()))
            if "output.weight" in name:
                parameter.mul_(2)
    models = Models(torch.device("cpu"), slots=8)
    models.add(draft.model_copy(update={"architecture": architecture}), network)
    large, small = series(torch.full((3, 2), 1e30)), series(torch.full((3, 2), 1.0))
    work: list[tuple[str, Source, AnswerSpec]] = [
        (draft.key, large, Forecast(60)),
        (draft.key, small, Forecast(60)),
        (draft.key, series(torch.full((2, 2), torch.nan)), Forecast(3)),
    ]
    grows, fine, broken = answers(models, work)
    assert isinstance(grows, Failed)
    assert "after 28 steps; set horizon to 28 or less" in grows.reason  # 2 ** 28 * 1e30 < 3.4e38 < 2 ** 29 * 1e30
    assert isinstance(fine, Forecasted)
    assert rows_of(fine.rows)[:, 0].tolist() == [2.0**power for power in range(1, 61)]
    assert isinstance(broken, Failed)
    assert broken.reason == NOT_FINITE


def test_states_of_a_lower_layer_are_encoded_once(models: Models, shipped: dict[str, Shipped]) -> None:
    """One series that begins beside another's later chunks, both read by the first layer alone."""
    rng, key, wanted = random.Random(9), "forecast-state/1", Embed("mean", layer=0)
    sources = [source_for(models[key].manifest, rng, steps) for steps in (200, 150)]
    loop, before = Loop(models, budget=60), models[key].counters.encode_useful
    for source in sources:
        loop.add(key, source, wanted)
        loop.turn()
        loop.turn()
    loop.run()
    for number, source in enumerate(sources):
        check(shipped[key], source, wanted, loop.events[number])
    assert models[key].counters.encode_useful - before == 350, "a batch that fails is encoded again, in halves"
