"""Every way of decoding, mixed in one batch, against a reference that runs one request at a time over plain lists."""

import copy
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import torch

from app.engine.protocol import Emit, Emitted, Event, Hypothesis, Pixels, Progress, RequestKey, Tokens
from app.engine.runner import Item, Portion, Runner
from app.engine.sampling import Sampling, draw, uniform
from app.models.networks import EncoderDecoder, build_network
from app.models.serving.precision import Precision
from app.store.manifest import Search, Until
from app.store.model_store import open_version
from app.store.weights import load_weights
from app.text.tokenizer import TextTokenizer
from tests.engine.references import Reference, Sentence, open_shipped
from tests.tiny_store import IMAGE_SIZE, VOCABULARY
from training.recipe import Shipped

TRANSLATE, CAPTION = "translate-en-ko/1", "caption-en/1"
Asked = tuple[Tokens | Pixels, Emit]


def loaded(store: Path, precision: Precision) -> Runner:
    runner = Runner(torch.device("cpu"), slots=64, precision=precision)
    for key in (TRANSLATE, CAPTION):
        runner.load(open_version(store / key))
    return runner


@pytest.fixture(scope="module")
def runner(tiny_store: Path) -> Runner:
    return loaded(tiny_store, "float32")


def answers(runner: Runner, model: str, asked: Sequence[Asked], *, unit: int = 6, join: int = 3) -> list[Emitted]:
    """Run requests together, a few joining in each unit."""
    waiting = [Item((b"", number), source, emit) for number, (source, emit) in enumerate(asked)]
    events: dict[RequestKey, list[Event]] = {item.key: [] for item in waiting}
    while waiting or runner.models[model].slots.count:
        joining, waiting = waiting[:join], waiting[join:]
        room = runner.models[model].slots.capacity - runner.models[model].slots.count
        if joining and room >= sum(item.emit.beams for item in joining if item.emit):
            costs = [runner.check(model, item.source, item.emit).consume for item in joining]
            runner.consume(model, [Portion(item, 0, cost) for item, cost in zip(joining, costs, strict=True)])
        else:
            waiting = joining + waiting
        for key, event in runner.emit(model, unit):
            events[key].append(event)
    ended = []
    for told in events.values():
        assert isinstance(told[-1], Emitted)
        streamed = [token for event in told if isinstance(event, Progress) for token in event.tokens]
        assert not streamed or streamed == told[-1].hypotheses[0].tokens
        ended.append(told[-1])
    return ended


def a_source(rng: random.Random, model: str) -> Tokens | Pixels:
    if model == CAPTION:
        return Pixels(IMAGE_SIZE, rng.randbytes(3 * IMAGE_SIZE**2))
    return Tokens([rng.randrange(4, VOCABULARY) for _ in range(rng.randint(1, 20))])


def some_options(rng: random.Random) -> Emit:
    """Deterministic options of all kinds."""
    most = rng.randint(1, 25)
    beams = rng.choice([1, 1, 1, 2, 3, 5, 16])
    return Emit(
        max_tokens=most,
        min_tokens=rng.choice([0, 0, min(5, most)]),
        beams=beams,
        n_best=rng.randint(1, beams),
        length_penalty=rng.choice([0.0, 0.6, 1.0]),
        no_repeat_ngram=rng.choice([0, 0, 1, 2, 3]),
        forbidden=rng.choice([[], [], [1, 2], [5, 9, 11]]),
        prefix=[rng.randrange(4, VOCABULARY) for _ in range(rng.choice([0, 0, 3]))],
        alternatives=rng.choice([0, 0, 4]),
        attention=rng.random() < 0.3,
        stream=rng.random() < 0.5,
    )


def same(found: Hypothesis, expected: Sentence, reference: Reference) -> None:
    assert (found.tokens, found.finish_reason) == (expected.tokens, expected.reason)
    assert found.log_probs == pytest.approx(expected.log_probs, abs=2e-4)
    assert found.score == pytest.approx(reference.normalised(expected), abs=2e-3)


@pytest.mark.parametrize(("model", "precision"), [(TRANSLATE, "float32"), (TRANSLATE, "float16"), (CAPTION, "float32")])
def test_mixed_decoding_equals_one_by_one(tiny_store: Path, model: str, precision: Precision) -> None:
    """Packed float16 weights are those on disk, so they give the same answers as float32."""
    rng = random.Random(11)
    runner = loaded(tiny_store, precision)
    shipped = open_shipped(tiny_store, model)
    asked = [(a_source(rng, model), some_options(rng)) for _ in range(60)]
    for (source, emit), answer in zip(asked, answers(runner, model, asked), strict=True):
        reference = Reference(shipped, source, emit)
        if emit.beams > 1:
            expected = reference.search()
            assert len(answer.hypotheses) == len(expected) <= emit.n_best
            for found, sentence in zip(answer.hypotheses, expected, strict=True):
                same(found, sentence, reference)
        else:
            sentence = reference.greedy()
            sentence.score = sum(sentence.log_probs)
            [found] = answer.hypotheses
            same(found, sentence, reference)
            if emit.attention:
                for mine, theirs in zip(found.attention, sentence.attention, strict=True):
                    assert mine == pytest.approx(theirs, abs=1e-4)
            if emit.alternatives:
                for step, others in zip(found.alternatives, sentence.alternatives, strict=True):
                    assert [value for _, value in step] == pytest.approx([value for _, value in others], abs=2e-4)
        for found in answer.hypotheses:
            steps = len(found.log_probs)
            assert len(found.alternatives) == (steps if emit.alternatives else 0)
            assert len(found.attention) == (steps if emit.attention else 0)
            for weights in found.attention:
                assert sum(weights) == pytest.approx(1, abs=1e-4)
                assert len(weights) == (len(source.ids) if isinstance(source, Tokens) else len(weights))


WAYS: list[tuple[Search, Until]] = [
    ("shrinking", "beams"),
    ("gaps", "best"),
    ("past_end", "places"),
    ("full", "best"),
]


@pytest.mark.parametrize(("how", "until"), WAYS)
def test_each_way_to_search_equals_plain_lists(tiny_store: Path, how: Search, until: Until) -> None:
    """Lengths, beams and rules of all kinds side by side in one batch; ends are made likely, so that they matter."""
    rng = random.Random(23)
    version = open_version(tiny_store / TRANSLATE)
    decoding = version.manifest.decoding
    assert decoding is not None
    ways = decoding.model_copy(update={"search": how, "until": until})
    manifest = version.manifest.model_copy(update={"decoding": ways})
    network = build_network(manifest.architecture, mean=[0.0] * 3, std=[1.0] * 3).eval()
    load_weights(network, version)
    assert isinstance(network, EncoderDecoder)
    network.decoder.output.bias.data[decoding.eos] += 3
    runner = Runner(torch.device("cpu"), slots=64, precision="float32")
    runner.add(manifest, copy.deepcopy(network))
    shipped = Shipped(network, TextTokenizer(version.folder, manifest.tokenizer), manifest)
    asked = []
    for _ in range(25):
        source, emit = a_source(rng, TRANSLATE), some_options(rng)
        asked.append((source, msgspec.structs.replace(emit, beams=max(2, emit.beams), stream=False)))
    unfinished = 0
    for (source, emit), answer in zip(asked, answers(runner, TRANSLATE, asked), strict=True):
        reference = Reference(shipped, source, emit)
        expected = reference.search()
        assert len(answer.hypotheses) == len(expected)
        for found, sentence in zip(answer.hypotheses, expected, strict=True):
            same(found, sentence, reference)
        unfinished += any(sentence.reason == "length" for sentence in expected)
    assert 0 < unfinished < len(asked)


def test_one_beam_is_greedy_and_more_beams_find_no_worse(runner: Runner) -> None:
    rng = random.Random(5)
    sources = [a_source(rng, TRANSLATE) for _ in range(20)]
    greedy = answers(runner, TRANSLATE, [(source, Emit(20)) for source in sources])
    searched = answers(runner, TRANSLATE, [(source, Emit(20, beams=8, n_best=8)) for source in sources], join=1)
    better = 0
    for one, many in zip(greedy, searched, strict=True):
        scores = [sentence.score for sentence in many.hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(sentence.tokens) for sentence in many.hypotheses}) == len(scores)
        better += scores[0] >= one.hypotheses[0].score - 1e-4
    assert better >= 18  # a search may lose the greedy path, but seldom


def test_a_seed_gives_the_same_sample_whatever_the_neighbours(runner: Runner) -> None:
    rng = random.Random(3)
    source = a_source(rng, TRANSLATE)
    emit = Emit(25, temperature=0.9, top_p=0.95, seed=77)
    [alone] = answers(runner, TRANSLATE, [(source, emit)])
    others = [(a_source(rng, TRANSLATE), some_options(rng)) for _ in range(15)]
    others += [(a_source(rng, TRANSLATE), Emit(25, temperature=1.1, seed=seed)) for seed in range(15)]
    rng.shuffle(others)
    for place in (0, 7, 30):
        mixed = answers(runner, TRANSLATE, [*others[:place], (source, emit), *others[place:]])
        assert mixed[place].hypotheses[0].tokens == alone.hypotheses[0].tokens
    seeds = [Emit(25, temperature=0.9, top_p=0.95, seed=seed) for seed in range(12)]
    drawn = answers(runner, TRANSLATE, [(source, emit) for emit in seeds])
    assert len({tuple(answer.hypotheses[0].tokens) for answer in drawn}) > 6


def test_a_temperature_near_zero_is_greedy(runner: Runner) -> None:
    rng = random.Random(9)
    sources = [a_source(rng, TRANSLATE) for _ in range(10)]
    greedy = answers(runner, TRANSLATE, [(source, Emit(20)) for source in sources])
    cold = answers(runner, TRANSLATE, [(source, Emit(20, temperature=1e-6, seed=1)) for source in sources])
    first = answers(runner, TRANSLATE, [(source, Emit(20, temperature=2.0, top_k=1, seed=1)) for source in sources])
    for one, *others in zip(greedy, cold, first, strict=True):
        assert [other.hypotheses[0].tokens for other in others] == [one.hypotheses[0].tokens] * 2


def sampling(count: int, **options: float) -> Sampling:
    return Sampling(
        torch.arange(count),
        torch.full((count,), options.get("temperature", 1.0)),
        torch.full((count,), int(options.get("top_k", 0))),
        torch.full((count,), options.get("top_p", 1.0)),
        torch.full((count,), options.get("min_p", 0.0)),
        torch.arange(count),
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.5, 0.25, 0.15, 0.1]),
        ({"temperature": 0.5}, [0.7246, 0.1812, 0.0652, 0.029]),
        ({"top_k": 2}, [2 / 3, 1 / 3, 0, 0]),
        ({"top_p": 0.6}, [2 / 3, 1 / 3, 0, 0]),
        ({"top_p": 0.5}, [1, 0, 0, 0]),
        ({"min_p": 0.25}, [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0]),
        ({"top_k": 3, "top_p": 0.8}, [2 / 3, 1 / 3, 0, 0]),
    ],
)
def test_draws_follow_the_distribution(options: dict[str, float], expected: list[float]) -> None:
    count = 20_000
    table = torch.tensor([[0.1, 0.5, 0.15, 0.25]]).log().expand(count, 4)
    drawn = Counter(draw(table, torch.zeros(count, dtype=torch.long), sampling(count, **options)).tolist())
    for token, share in zip([1, 3, 2, 0], expected, strict=True):
        assert drawn[token] / count == pytest.approx(share, abs=0.015 if share else 0)


def test_uniform_numbers_are_uniform_and_not_alike() -> None:
    seeds = torch.arange(-100, 100).repeat_interleave(100)
    steps = torch.arange(100).repeat(200)
    numbers = uniform(seeds, steps)
    assert bool(((numbers >= 0) & (numbers < 1)).all())
    assert len(set(numbers.tolist())) == len(numbers)
    counts = torch.histc(numbers.float(), 20, 0, 1)
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 45  # chi square, 19 degrees of freedom: 1 in 1,000
    table = numbers.view(200, 100)
    assert abs(float(torch.corrcoef(torch.stack((table[:-1].flatten(), table[1:].flatten())))[0, 1])) < 0.03


def test_the_repetition_penalty_makes_repetition_rarer(runner: Runner) -> None:
    rng = random.Random(2)
    sources = [a_source(rng, TRANSLATE) for _ in range(20)]

    def repeated(penalty: float) -> int:
        asked = [(source, Emit(25, min_tokens=25, repetition_penalty=penalty)) for source in sources]
        tokens = [answer.hypotheses[0].tokens for answer in answers(runner, TRANSLATE, asked)]
        return sum(len(row) - len(set(row)) for row in tokens)

    assert repeated(1.0) > repeated(1.5) > 0 or repeated(1.5) == 0
    assert repeated(1e6) <= repeated(1.5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_comes_twice(runner: Runner, size: int) -> None:
    rng = random.Random(4)
    for beams in (1, 4):
        emit = Emit(25, no_repeat_ngram=size, beams=beams, n_best=beams)
        for answer in answers(runner, TRANSLATE, [(a_source(rng, TRANSLATE), emit) for _ in range(8)]):
            for sentence in answer.hypotheses:
                starts = range(len(sentence.tokens) - size + 1)
                grams = [tuple(sentence.tokens[start : start + size]) for start in starts]
                assert len(grams) == len(set(grams))
