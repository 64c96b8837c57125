"""An error that one request makes happen is its own: neither that of its neighbours nor the end of the engine."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import zmq

from app.engine.client import EngineClient
from app.engine.config import EngineConfig
from app.engine.cost import cost_of
from app.engine.decode import decode, release
from app.engine.encode import encode
from app.engine.engine import Engine
from app.engine.faults import NO_MEMORY_FOR_ALL
from app.engine.loaded_model import CALM_UNITS, LoadedModel
from app.engine.models import Models
from app.engine.protocol import (
    AnswerSpec,
    Decode,
    Decoded,
    Event,
    Events,
    Failed,
    Hypothesis,
    Label,
    Labelled,
    Progress,
    Submit,
    Submits,
    Terms,
    Tokens,
    pack,
    unpack_for_front_end,
)
from app.engine.request import Output, Request, whole
from app.errors import ContradictoryOptions, EngineFailed
from app.models.encoders import Encoded, TextEncoder
from app.models.networks import Classifier, EncoderDecoder, build_network
from app.models.state import State
from app.store.encoder_decoder import EncoderDecoder as EncoderDecoderConfig
from app.store.manifest import Manifest
from app.store.model_store import open_version
from tests.engine.failing_allocations import FailingAllocations
from tests.engine.test_sampling import alternatives_of
from tests.tiny_store import drafts

SENTIMENT, TRANSLATE = "sentiment-en/1", "translate-en-ko/1"
SMALL = 12  # vocabulary of a model that has soon said all that it may
BAD_TOKEN = 7


def request(number: int, model: str, ids: list[int], answer: AnswerSpec) -> Request:
    source = Tokens(ids)
    return Request((b"", number), model, source, answer, cost_of(source, answer))


def start(model: LoadedModel, *answers: Decode) -> list[Output]:
    requests = [request(number, model.key, [5, 6 + number], answer) for number, answer in enumerate(answers)]
    return encode(model, [whole(one) for one in requests])


def finish(model: LoadedModel) -> dict[int, list[Event]]:
    """The events of each request until all have ended."""
    events: dict[int, list[Event]] = {}
    while model.rows:
        for one, event in decode(model, 3):
            events.setdefault(one.key[1], []).append(event)
    return events


@pytest.fixture
def models(tiny_store: Path) -> Models:
    models = Models(torch.device("cpu"), slots=8, precision="float32")
    for key in (SENTIMENT, TRANSLATE):
        models.load(open_version(tiny_store / key))
    return models


def small_translator(*, fixed_steps: bool = False) -> LoadedModel:
    """A translator with few tokens."""
    draft: Manifest = drafts()[3]
    architecture, decoding = draft.architecture, draft.decoding
    assert isinstance(architecture, EncoderDecoderConfig)
    assert decoding is not None
    encoder = architecture.encoder.model_copy(update={"vocabulary_size": SMALL})
    decoder = architecture.decoder.model_copy(update={"vocabulary_size": SMALL})
    manifest = draft.model_copy(
        update={
            "architecture": architecture.model_copy(update={"encoder": encoder, "decoder": decoder}),
            "decoding": decoding.model_copy(update={"fixed_steps": fixed_steps}),
        }
    )
    torch.manual_seed(1)
    network = build_network(manifest.architecture, mean=[0.0] * 3, std=[1.0] * 3)
    models = Models(torch.device("cpu"), slots=16, precision="float32")
    models.add(manifest, network)
    return models[manifest.key]


class FailingStep(EncoderDecoder):
    """A decoder that cannot go on from one token."""

    def __init__(self, network: EncoderDecoder) -> None:
        torch.nn.Module.__init__(self)
        self.encoder, self.decoder, self.config = network.encoder, network.decoder, network.config

    def step(self, tokens: torch.Tensor, state: State) -> tuple[torch.Tensor, State, torch.Tensor | None]:
        if (tokens == BAD_TOKEN).any():
            raise IndexError("index out of range")
        return super().step(tokens, state)


class FailingLabel(Classifier):
    """A classifier that fails for texts of three tokens."""

    def __init__(self, network: Classifier) -> None:
        torch.nn.Module.__init__(self)
        self.encoder, self.config, self.inner = network.encoder, network.config, network

    def label(self, encoded: Encoded) -> torch.Tensor:
        if (encoded.lengths == 3).any():
            raise MemoryError
        return self.inner.label(encoded)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("decode_options", [Decode(9), Decode(9, alternatives=2), Decode(9, stream=True)])
def test_an_error_in_a_step_ends_the_request_that_causes_it(models: Models, decode_options: Decode, beams: int) -> None:
    model = models[TRANSLATE]
    neighbours = [decode_options, Decode(9, beams=beams, prefix=[11]), Decode(9, temperature=0.5, seed=3)]
    start(model, *neighbours)
    expected = {number: events[-1] for number, events in finish(model).items()}
    assert isinstance(model.network, EncoderDecoder)
    model.network = FailingStep(model.network)
    start(model, *neighbours, Decode(9, prefix=[11, BAD_TOKEN]))
    events = finish(model)
    assert events.pop(3)[-1] == Failed(3, "the engine failed with IndexError")
    found = {number: of_request[-1] for number, of_request in events.items()}
    assert tokens_of(found) == tokens_of(expected)


def tokens_of(events: dict[int, Event]) -> dict[int, list[int]]:
    tokens = {}
    for number, event in events.items():
        assert isinstance(event, Decoded)
        tokens[number] = event.hypotheses[0].tokens
    return tokens


def test_an_error_of_the_host_ends_the_request_that_causes_it(models: Models) -> None:
    model = models[SENTIMENT]
    assert isinstance(model.network, Classifier)
    model.network = FailingLabel(model.network)
    requests = [request(number, SENTIMENT, [5] * length, Label()) for number, length in enumerate((2, 3, 4, 4))]
    events = {one.key[1]: event for one, event in encode(model, [whole(one) for one in requests])}
    assert [type(events[number]) for number in range(4)] == [Labelled, Failed, Labelled, Labelled]
    assert isinstance(model.network.encoder, TextEncoder)
    outside = request(0, SENTIMENT, [10**6], Label())  # an IndexError of torch
    [(_, event)] = encode(model, [whole(outside)])
    assert event == Failed(0, "the engine failed with IndexError")


class NeverSteps(FailingStep):
    """A decoder that cannot make a step."""

    def __init__(self, network: EncoderDecoder, error: Exception) -> None:
        super().__init__(network)
        self.error = error

    def step(self, tokens: torch.Tensor, state: State) -> tuple[torch.Tensor, State, torch.Tensor | None]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected"), [(IndexError("index out of range"), RuntimeError), (MemoryError(), MemoryError)]
)
def test_a_model_whose_warm_up_fails_is_not_loaded(error: Exception, expected: type[Exception]) -> None:
    manifest = drafts()[3]
    network = build_network(manifest.architecture, mean=[0.0] * 3, std=[1.0] * 3)
    assert isinstance(network, EncoderDecoder)
    models = Models(torch.device("cpu"), slots=16, precision="float32")
    with pytest.raises(expected, match="the warm-up"):
        models.add(manifest, NeverSteps(network, error))
    assert manifest.key not in models


def test_a_block_that_was_halved_grows_again(models: Models) -> None:
    model = models[TRANSLATE]
    start(model, *[Decode(4000, min_tokens=4000)] * 4)
    decode(model, 1)
    with FailingAllocations(first=1):
        decode(model, 1)
    assert model.block == 2
    assert model.counters.out_of_memory == 1
    for _ in range(2 * CALM_UNITS + 2):
        decode(model, 1)
    assert model.block == model.slots.capacity == 8
    assert model.rows == 4


def test_a_step_that_is_stored_in_part_is_not_the_fault_of_one_request(models: Models) -> None:
    """Only one allocation fails: where that is not the end of all requests, it is the end of none."""
    model = models[TRANSLATE]
    reasons = []
    for first in range(1, 120):
        start(model, Decode(30, min_tokens=30), Decode(30, min_tokens=30))
        with FailingAllocations(first=first):
            outputs = decode(model, 1)
        reasons += [event.reason for _, event in outputs if isinstance(event, Failed)]
        assert model.rows in (0, 2)
        release(model, *(one for slots in model.groups for one in slots.requests))
        model.block = model.slots.capacity
    assert set(reasons) == {NO_MEMORY_FOR_ALL}


def test_a_batch_that_fails_while_its_rows_join_leaves_none_behind(models: Models) -> None:
    """Plain rows and others join one after the other, on a GPU in two groups."""
    model = models[TRANSLATE]
    for first in range(1, 120):
        with FailingAllocations(first=first):
            outputs = start(model, Decode(9), Decode(9, beams=2), Decode(9, alternatives=2), Decode(9))
        running = [one for slots in model.groups for one in slots.owners]
        assert len(running) == model.rows == 5 - sum(len(one.rows) or 1 for one, _ in outputs)
        assert sorted(map(id, running)) == sorted(id(one) for one in set(running) for _ in one.rows)
        release(model, *set(running))
        assert model.rows == 0


def test_a_request_gets_as_many_alternatives_as_the_vocabulary_has() -> None:
    model = small_translator()
    start(model, Decode(3, alternatives=20), Decode(3, beams=2, alternatives=20), Decode(3))
    for number, of_request in finish(model).items():
        [decoded] = of_request
        assert isinstance(decoded, Decoded)
        alternatives = alternatives_of(decoded.hypotheses[0])
        assert all(len(step) == SMALL - 3 for step in alternatives), "the model never says three of them"
        assert bool(alternatives) == (number < 2)


@pytest.mark.parametrize(("beams", "temperature"), [(1, 0.0), (2, 0.0), (4, 0.0), (1, 1.0)])
def test_an_answer_ends_when_every_token_is_forbidden(beams: int, temperature: float) -> None:
    model = small_translator()
    options = Decode(50, min_tokens=50, beams=beams, n_best=beams, no_repeat_ngram=1, temperature=temperature)
    start(model, options, Decode(5))
    [answer] = finish(model)[0]
    assert isinstance(answer, Decoded)
    for hypothesis in answer.hypotheses:
        assert hypothesis.finish_reason == "stop"
        assert len(set(hypothesis.tokens)) == len(hypothesis.tokens) == SMALL - 4  # all but the end and three others


def test_a_model_without_an_end_goes_on_when_every_token_is_forbidden() -> None:
    model = small_translator(fixed_steps=True)
    start(model, Decode(30, no_repeat_ngram=1), Decode(30, no_repeat_ngram=1, beams=3))
    for of_request in finish(model).values():
        [answer] = of_request
        assert isinstance(answer, Decoded)
        assert answer.hypotheses[0].finish_reason == "length"
        assert len(answer.hypotheses[0].tokens) == 30


@pytest.fixture
def engine(tiny_store: Path) -> Iterator[tuple[Engine, zmq.Context[zmq.Socket[bytes]]]]:
    """An engine that the test steps, and the context of its socket."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    config = EngineConfig(endpoint="inproc://faults", store=str(tiny_store), device="cpu", precision="float32")
    engine = Engine(config, context)
    engine.load()
    yield engine, context
    engine._front_ends.close()
    context.destroy(linger=0)


def test_requests_of_a_front_end_that_goes_before_they_start_take_no_rows(
    engine: tuple[Engine, zmq.Context[zmq.Socket[bytes]]],
) -> None:
    """The engine notices when it reports that they start."""
    loop, context = engine
    with context.socket(zmq.DEALER) as front_end:
        front_end.identity = b"goes"
        front_end.connect("inproc://faults")
        for number in range(3):
            submit = Submit(number, TRANSLATE, Tokens([9, 9, 9]), Decode(50), Terms(), again=True, trial=1)
            front_end.send(pack(Submits([submit])))
        loop._receive()
        assert len(loop._scheduler) == 3
    end = time.monotonic() + 100
    while loop._front_ends.send(b"goes", Events([])) and time.monotonic() < end:  # a socket closes beside this thread
        time.sleep(0.001)
    while len(loop._scheduler):
        loop.step()
    assert loop._models[TRANSLATE].rows == 0
    assert loop.status().counters["cancelled"] == 3


def test_an_event_that_is_no_message_fails_its_request_alone(
    engine: tuple[Engine, zmq.Context[zmq.Socket[bytes]]],
) -> None:
    loop, context = engine
    with context.socket(zmq.DEALER) as front_end:
        front_end.connect("inproc://faults")
        for number in range(2):
            front_end.send(pack(Submits([Submit(number, TRANSLATE, Tokens([9, 9, 9]), Decode(50), Terms())])))
        loop._receive()
        good, bad = loop._scheduler.requests
        answer = Hypothesis([5], [-1.0], -1.0, "stop")
        loop._send([(bad, Decoded(1, [Hypothesis([2**70], [-1.0], -1.0, "stop")])), (good, Decoded(0, [answer]))])
        events = [event for frame in received(front_end) for event in frame]
    assert Decoded(0, [answer]) in events
    assert [event for event in events if isinstance(event, Failed)] == [
        Failed(1, "the engine failed with OverflowError")
    ]


def received(socket: "zmq.Socket[bytes]") -> Iterator[list[Event]]:
    while socket.poll(200):
        message = unpack_for_front_end(socket.recv())
        if isinstance(message, Events):
            yield message.events


def test_a_search_wider_than_the_engine_contradicts_its_options(tiny_store: Path) -> None:
    async def scenario() -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        config = EngineConfig(endpoint="inproc://narrow", store=str(tiny_store), device="cpu", slots=3)
        engine = Engine(config, context)
        engine.load()
        thread = threading.Thread(target=engine.run)
        thread.start()
        try:
            async with EngineClient(["inproc://narrow"], context) as client:
                with pytest.raises(ContradictoryOptions, match="beams is 4"):
                    await client.answer(TRANSLATE, Tokens([9]), Decode(5, beams=4), Terms())
                with pytest.raises(EngineFailed):
                    await client.answer(SENTIMENT, Tokens([9]), Decode(5), Terms())
        finally:
            engine.stop()
            thread.join()

    asyncio.run(scenario())


def test_a_stream_has_every_part_once(models: Models) -> None:
    """Also when its last part is computed again, because another answer of the same unit failed."""
    model = models[TRANSLATE]
    start(model, *[Decode(4, stream=True), Decode(4, stream=True), Decode(4)])
    expected = finish(model)
    for first in range(1, 40):
        start(model, *[Decode(4, stream=True), Decode(4, stream=True), Decode(4)])
        events: dict[int, list[Event]] = {}
        while model.rows:
            with FailingAllocations(first=first):
                for one, event in decode(model, 2):
                    events.setdefault(one.key[1], []).append(event)
        for number, of_request in events.items():
            if isinstance(of_request[-1], Decoded):
                parts = [token for event in of_request if isinstance(event, Progress) for token in event.tokens]
                assert parts == (of_request[-1].hypotheses[0].tokens if number < 2 else [])
                assert tokens_of({number: of_request[-1]}) == tokens_of({number: expected[number][-1]})
