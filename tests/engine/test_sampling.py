"""Every way of decoding, mixed in one batch, against a reference that runs one request at a time over plain lists."""

import copy
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from app.engine.cost import Cost, cost_of
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.protocol import Decode, Decoded, Event, Hypothesis, Pixels, Progress, Source, Tokens
from app.engine.request import Request, whole
from app.engine.sampling import draw, sample, uniform
from app.engine.sampling_options import SampledRows
from app.models.networks import EncoderDecoder, build_network
from app.models.serving.precision import Precision
from app.store.decoding import Search, Until
from app.store.model_store import open_version
from app.store.weights import load_weights
from app.text.tokenizer import TextTokenizer
from tests.engine.conftest import Way
from tests.engine.references import Reference, Sentence, open_shipped
from tests.tiny_store import IMAGE_SIZE, VOCABULARY
from training.recipe import Shipped

TRANSLATE, CAPTION = "translate-en-ko/1", "caption-en/1"
Sent = tuple[Source, Decode]
Draw = Callable[[torch.Tensor, torch.Tensor, SampledRows], torch.Tensor]


def loaded(store: Path, key: str, precision: Precision) -> LoadedModel:
    models = Models(torch.device("cpu"), slots=64, precision=precision)
    models.load(open_version(store / key))
    return models[key]


@pytest.fixture(scope="module")
def translator(tiny_store: Path, device_way: Way) -> LoadedModel:
    return loaded(tiny_store, TRANSLATE, "float32")


def answers(model: LoadedModel, sent: Sequence[Sent], *, unit: int = 6, join: int = 3) -> list[Decoded]:
    """Run requests together, a few joining in each unit."""
    waiting = [
        Request((b"", number), model.key, source, options, cost_of(source, options))
        for number, (source, options) in enumerate(sent)
    ]
    events: dict[Request, list[Event]] = {request: [] for request in waiting}
    while waiting or model.rows:
        joining, waiting = waiting[:join], waiting[join:]
        if joining and model.slots.capacity - model.rows >= sum(request.cost.rows for request in joining):
            encode(model, [whole(request) for request in joining])
        else:
            waiting = joining + waiting
        for request, event in decode(model, unit):
            events[request].append(event)
    ended = []
    for of_request in events.values():
        last = of_request[-1]
        assert isinstance(last, Decoded)
        streamed = [token for event in of_request if isinstance(event, Progress) for token in event.tokens]
        assert not streamed or streamed == last.hypotheses[0].tokens
        ended.append(last)
    return ended


def a_source(rng: random.Random, model: str) -> Source:
    if model == CAPTION:
        return Pixels(IMAGE_SIZE, rng.randbytes(3 * IMAGE_SIZE**2))
    return Tokens([rng.randrange(4, VOCABULARY) for _ in range(rng.randint(1, 20))])


def some_options(rng: random.Random) -> Decode:
    """Deterministic options of all kinds."""
    most = rng.randint(1, 25)
    beams = rng.choice([1, 1, 1, 2, 3, 5, 16])
    return Decode(
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


@pytest.mark.parametrize(
    ("key", "precision"),
    [(TRANSLATE, "float32"), (TRANSLATE, "float16"), pytest.param(CAPTION, "float32", marks=pytest.mark.slow)],
)
def test_mixed_decoding_equals_one_by_one(tiny_store: Path, device_way: Way, key: str, precision: Precision) -> None:
    """Packed float16 weights are those on disk, so they give the same answers as float32."""
    if device_way == "gpu" and precision == "float16":
        pytest.skip("on a GPU everything is in float16 then, and answers differ")
    rng = random.Random(11)
    model = loaded(tiny_store, key, precision)
    shipped = open_shipped(tiny_store, key)
    sent = [(a_source(rng, key), some_options(rng)) for _ in range(60)]
    for (source, options), answer in zip(sent, answers(model, sent), strict=True):
        reference = Reference(shipped, source, options)
        if options.beams > 1:
            expected = reference.search()
            assert len(answer.hypotheses) == len(expected) <= options.n_best
            for found, sentence in zip(answer.hypotheses, expected, strict=True):
                same(found, sentence, reference)
        else:
            sentence = reference.greedy()
            sentence.score = sum(sentence.log_probs)
            [found] = answer.hypotheses
            same(found, sentence, reference)
            if options.attention:
                for mine, theirs in zip(attention_of(found), sentence.attention, strict=True):
                    assert mine == pytest.approx(theirs, abs=1e-4)
            if options.alternatives:
                for step, others in zip(alternatives_of(found), sentence.alternatives, strict=True):
                    assert [value for _, value in step] == pytest.approx([value for _, value in others], abs=2e-4)
        for found in answer.hypotheses:
            steps = len(found.log_probs)
            assert len(alternatives_of(found)) == (steps if options.alternatives else 0)
            assert len(attention_of(found)) == (steps if options.attention else 0)
            for weights in attention_of(found):
                assert sum(weights) == pytest.approx(1, abs=1e-4)
                assert len(weights) == (len(source.ids) if isinstance(source, Tokens) else len(weights))


def attention_of(found: Hypothesis | Progress) -> list[list[float]]:
    """The weights of each step."""
    table = found.attention
    return [] if table is None else np.frombuffer(table.numbers, np.float32).reshape(-1, table.columns).tolist()


def alternatives_of(found: Hypothesis | Progress) -> list[list[tuple[int, float]]]:
    """The alternatives of each step that the model does not exclude."""
    if found.alternatives is None:
        return []
    ids, log_probs = found.alternatives.ids, found.alternatives.log_probs
    of_steps = zip(
        np.frombuffer(ids.numbers, np.int32).reshape(-1, ids.columns).tolist(),
        np.frombuffer(log_probs.numbers, np.float32).reshape(-1, log_probs.columns).tolist(),
        strict=True,
    )
    return [[pair for pair in zip(*step, strict=True) if pair[1] > float("-inf")] for step in of_steps]


WAYS: list[tuple[Search, Until]] = [
    ("shrinking", "beams"),
    ("gaps", "best"),
    ("past_end", "places"),
    ("full", "best"),
]


@pytest.mark.parametrize(("how", "until"), WAYS)
@pytest.mark.parametrize("cases", [25, pytest.param(100, marks=pytest.mark.slow)])
def test_each_way_to_search_equals_plain_lists(tiny_store: Path, how: Search, until: Until, cases: int) -> None:
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
    models = Models(torch.device("cpu"), slots=64, precision="float32")
    models.add(manifest, copy.deepcopy(network))
    assert manifest.tokenizer is not None
    shipped = Shipped(network, TextTokenizer(version.folder, manifest.tokenizer), manifest, version, "float32")
    sent = []
    for _ in range(cases):
        source, options = a_source(rng, TRANSLATE), some_options(rng)
        sent.append((source, msgspec.structs.replace(options, beams=max(2, options.beams), stream=False)))
    unfinished = 0
    for (source, options), answer in zip(sent, answers(models[TRANSLATE], sent), strict=True):
        reference = Reference(shipped, source, options)
        expected = reference.search()
        assert len(answer.hypotheses) == len(expected)
        for found, sentence in zip(answer.hypotheses, expected, strict=True):
            same(found, sentence, reference)
        unfinished += any(sentence.reason == "length" for sentence in expected)
    assert 0 < unfinished < len(sent)


def test_one_beam_is_greedy_and_more_beams_find_no_worse(translator: LoadedModel) -> None:
    rng = random.Random(5)
    sources = [a_source(rng, TRANSLATE) for _ in range(20)]
    greedy = answers(translator, [(source, Decode(20)) for source in sources])
    searched = answers(translator, [(source, Decode(20, beams=8, n_best=8)) for source in sources], join=1)
    better = 0
    for one, many in zip(greedy, searched, strict=True):
        scores = [sentence.score for sentence in many.hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(sentence.tokens) for sentence in many.hypotheses}) == len(scores)
        better += scores[0] >= one.hypotheses[0].score - 1e-4
    assert better >= 18  # a search may lose the greedy path, but seldom


def test_a_seed_gives_the_same_sample_whatever_the_neighbours(translator: LoadedModel) -> None:
    rng = random.Random(3)
    source = a_source(rng, TRANSLATE)
    options = Decode(25, temperature=0.9, top_p=0.95, seed=77)
    [alone] = answers(translator, [(source, options)])
    others = [(a_source(rng, TRANSLATE), some_options(rng)) for _ in range(15)]
    others += [(a_source(rng, TRANSLATE), Decode(25, temperature=1.1, seed=seed)) for seed in range(15)]
    rng.shuffle(others)
    for place in (0, 7, 30):
        mixed = answers(translator, [*others[:place], (source, options), *others[place:]])
        assert mixed[place].hypotheses[0].tokens == alone.hypotheses[0].tokens
        log_probs = mixed[place].hypotheses[0].log_probs
        assert log_probs == pytest.approx(alone.hypotheses[0].log_probs, abs=1e-5)
    seeds = [Decode(25, temperature=0.9, top_p=0.95, seed=seed) for seed in range(12)]
    drawn = answers(translator, [(source, options) for options in seeds])
    assert len({tuple(answer.hypotheses[0].tokens) for answer in drawn}) > 6


def test_a_temperature_near_zero_is_greedy(translator: LoadedModel) -> None:
    rng = random.Random(9)
    sources = [a_source(rng, TRANSLATE) for _ in range(10)]
    greedy = answers(translator, [(source, Decode(20)) for source in sources])
    narrow = [
        Decode(20, temperature=1e-6, seed=1),
        Decode(20, temperature=1e-39, seed=1),
        Decode(20, temperature=2.0, top_k=1, seed=1),
        Decode(20, temperature=2.0, top_p=1e-300, seed=1),
        Decode(20, temperature=2.0, min_p=1.0, seed=1),
    ]
    for options in narrow:
        for one, other in zip(greedy, answers(translator, [(source, options) for source in sources]), strict=True):
            assert other.hypotheses[0].tokens == one.hypotheses[0].tokens


@pytest.mark.parametrize("choose_by", [{"temperature": 1.0, "seed": 5}, {}, {"beams": 3}, {"prefix": [7, 9]}], ids=str)
def test_a_chosen_token_has_the_log_probability_of_its_entry(
    translator: LoadedModel, choose_by: dict[str, Any]
) -> None:
    rng = random.Random(6)
    sent = [(a_source(rng, TRANSLATE), Decode(20, alternatives=20, **choose_by)) for _ in range(10)]
    compared = 0
    for answer in answers(translator, sent):
        [found] = answer.hypotheses
        for token, log_prob, others in zip(found.tokens, found.log_probs, alternatives_of(found), strict=False):
            values = dict(others)
            assert values.get(token, log_prob) == log_prob
            compared += token in values
    assert compared > 20


def test_alternatives_of_a_stream_are_those_of_the_whole(translator: LoadedModel) -> None:
    request = Request((b"", 0), translator.key, Tokens([5, 6, 7]), Decode(60, alternatives=3, stream=True), Cost(3))
    encode(translator, [whole(request)])
    events: list[Event] = []
    while translator.rows:
        events += [event for _, event in decode(translator, 4)]
    *parts, last = events
    assert isinstance(last, Decoded)
    assert len(parts) > 3
    streamed = [step for part in parts if isinstance(part, Progress) for step in alternatives_of(part)]
    assert streamed == alternatives_of(last.hypotheses[0])[: len(last.hypotheses[0].tokens)]


def sampled_rows(count: int, **options: float) -> SampledRows:
    return SampledRows(
        torch.arange(count),
        torch.full((count,), options.get("temperature", 1.0)),
        torch.full((count,), int(options.get("top_k", 0))),
        torch.full((count,), options.get("top_p", 1.0)),
        torch.full((count,), options.get("min_p", 0.0)),
        torch.arange(count),
        any(name != "temperature" for name in options),
        int(options.get("top_k", 0)),
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
@pytest.mark.parametrize("way", [draw, sample])
def test_draws_follow_the_distribution(way: Draw, options: dict[str, float], expected: list[float]) -> None:
    """By the native kernel, where there is one, and by tensor operations."""
    count = 20_000
    table = torch.tensor([[0.1, 0.5, 0.15, 0.25]]).log().expand(count, 4)
    drawn = Counter(way(table, torch.zeros(count, dtype=torch.long), sampled_rows(count, **options)).tolist())
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


def test_the_repetition_penalty_makes_repetition_rarer(translator: LoadedModel) -> None:
    rng = random.Random(2)
    sources = [a_source(rng, TRANSLATE) for _ in range(20)]

    def repeated(penalty: float) -> int:
        sent = [(source, Decode(25, min_tokens=25, repetition_penalty=penalty)) for source in sources]
        tokens = [answer.hypotheses[0].tokens for answer in answers(translator, sent)]
        return sum(len(row) - len(set(row)) for row in tokens)

    assert repeated(1.0) > repeated(1.5) > 0 or repeated(1.5) == 0
    assert repeated(1e6) <= repeated(1.5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_comes_twice(translator: LoadedModel, size: int) -> None:
    rng = random.Random(4)
    for beams in (1, 4):
        options = Decode(25, no_repeat_ngram=size, beams=beams, n_best=beams)
        for answer in answers(translator, [(a_source(rng, TRANSLATE), options) for _ in range(8)]):
            for sentence in answer.hypotheses:
                starts = range(len(sentence.tokens) - size + 1)
                grams = [tuple(sentence.tokens[start : start + size]) for start in starts]
                assert len(grams) == len(set(grams))
