"""Encoding and decoding without an engine: sources in chunks, and faults that hit one request or a whole batch."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from app.engine.cost import cost_of
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.faults import NOT_FINITE
from app.engine.models import Models
from app.engine.protocol import AnswerSpec, Decode, Decoded, Event, Failed, Label, Labelled, Tokens
from app.engine.request import Chunk, Output, Request, whole
from app.engine.scheduler import CHUNK_UNITS, Scheduler
from app.models.encoders import Encoded, TextEncoder
from app.models.networks import Classifier
from app.models.serving.precision import Precision
from app.store.attention import Attention
from app.store.classifier import Classifier as ClassifierConfig
from app.store.decoder import Decoder
from app.store.encoder_decoder import EncoderDecoder as EncoderDecoderConfig
from app.store.encoders import TextEncoder as TextEncoderConfig
from app.store.manifest import Manifest
from app.store.model_store import open_version
from app.store.recurrence import Recurrence
from tests.engine.conftest import Way
from tests.engine.references import Reference, label_alone, open_shipped
from tests.tiny_store import VOCABULARY, drafts, publish_tiny, tiny_tokenizer

UNIT = 6


def request(number: int, model: str, ids: list[int], answer: AnswerSpec) -> Request:
    source = Tokens(ids)
    return Request((b"", number), model, source, answer, cost_of(source, answer))


def one_way(cell: str) -> list[Manifest]:
    """A classifier and a translator that read in one direction."""
    recurrence = Recurrence.model_validate(
        {"cell": cell, "input_size": 12, "hidden_size": 10, "layers": 2, "directions": 1}
    )
    encoder = TextEncoderConfig(vocabulary_size=VOCABULARY, recurrence=recurrence)
    decoder = Decoder.model_validate(
        {
            "vocabulary_size": VOCABULARY,
            "embedding_size": 12,
            "cell": cell,
            "hidden_size": 10,
            "layers": 2,
            "attention": Attention(kind="dot"),
            "readout": ("hidden", "context"),
            "bridge": "copy",
        }
    )
    sentiment, _, _, translate, *_ = drafts()
    label = ClassifierConfig(encoder=encoder, pooling=("last", "max", "mean"), labels=2)
    return [
        sentiment.model_copy(update={"architecture": label}),
        translate.model_copy(update={"architecture": EncoderDecoderConfig(encoder=encoder, decoder=decoder)}),
    ]


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_sources_in_chunks_are_answered_as_in_one(
    tmp_path: Path, device_way: Way, cell: str, precision: Precision
) -> None:
    if device_way == "gpu" and precision == "float16":
        pytest.skip("on a GPU everything is in float16 then, and answers differ")
    rng = random.Random(1)
    tokenizer = tiny_tokenizer(tmp_path)
    store = tmp_path / "store"
    models = Models(torch.device("cpu"), slots=8, precision=precision)
    scheduler = Scheduler(budget=300, slots=8, unit=UNIT)
    for draft in one_way(cell):
        publish_tiny(draft, store, tokenizer)
        models.load(open_version(store / draft.key))
        assert models[draft.key].is_divisible
        scheduler.register(draft.key, divisible=True, padded=models[draft.key].padded_steps)
    label, translate = models
    for number in range(40):
        key = rng.choice([label, translate])
        ids = [rng.randrange(4, VOCABULARY) for _ in range(rng.choice([rng.randint(1, 20), rng.randint(100, 400)]))]
        scheduler.add(request(number, key, ids, Decode(rng.randint(1, 12)) if key == translate else Label()))
    requests = scheduler.requests
    outputs: list[Output] = []
    chunks = 0
    while not (plan := scheduler.plan()).is_idle:
        assert plan.model is not None
        chunks += len(plan.chunks)
        assert all(chunk.steps <= CHUNK_UNITS * UNIT for chunk in plan.chunks)
        model = models[plan.model]
        now = encode(model, plan.chunks) if plan.chunks else decode(model, UNIT)
        for one, _ in now:
            scheduler.remove(one.key)
        outputs += now
    assert chunks > len(requests) + 20
    assert all(one.partial is None for one in requests)
    shipped = {key: open_shipped(store, key) for key in models}
    assert {one for one, _ in outputs} == set(requests)
    assert len(outputs) == len(requests)
    for one, event in outputs:
        assert isinstance(one.source, Tokens)
        if isinstance(event, Labelled):
            assert event.scores == pytest.approx(label_alone(shipped[one.model], one.source), abs=1e-5)
        else:
            assert isinstance(event, Decoded)
            expected = Reference(shipped[one.model], one.source, one.decode).greedy()
            assert event.hypotheses[0].tokens == expected.tokens


class OutOfMemoryOnce(Classifier):
    """A classifier whose first label runs out of memory."""

    def __init__(self, network: Classifier) -> None:
        torch.nn.Module.__init__(self)
        self.encoder, self.config = network.encoder, network.config
        self.inner = network
        self.is_first = True

    def label(self, encoded: Encoded) -> torch.Tensor:
        if self.is_first:
            self.is_first = False
            raise RuntimeError("can't allocate memory")
        return self.inner.label(encoded)


def test_chunks_that_run_again_continue_from_the_same_states(tmp_path: Path) -> None:
    draft = one_way("lstm")[0]
    publish_tiny(draft, tmp_path / "store", tiny_tokenizer(tmp_path))
    models = Models(torch.device("cpu"), slots=8, precision="float32")
    models.load(open_version(tmp_path / "store" / draft.key))
    model = models[draft.key]
    assert isinstance(model.network, Classifier)
    model.network = OutOfMemoryOnce(model.network)
    requests = [request(number, draft.key, list(range(5 + number, 30 + 9 * number)), Label()) for number in range(3)]
    assert not encode(model, [Chunk(one, 0, 20) for one in requests])
    outputs = encode(model, [Chunk(one, 20, min(15, one.cost.encode - 20)) for one in requests])
    outputs += encode(model, [Chunk(one, 35, one.cost.encode - 35) for one in requests if one.cost.encode > 35])
    assert models.counters.out_of_memory == 1
    shipped = open_shipped(tmp_path / "store", draft.key)
    assert {one for one, _ in outputs} == set(requests)
    for one, event in outputs:
        assert isinstance(event, Labelled)
        assert isinstance(one.source, Tokens)
        assert event.scores == pytest.approx(label_alone(shipped, one.source), abs=1e-5)


@pytest.fixture
def poisoned(tiny_store: Path) -> Models:
    """Models whose embedding of token 7 is NaN."""
    models = Models(torch.device("cpu"), slots=8)
    for key in ("sentiment-en/1", "translate-en-ko/1"):
        models.load(open_version(tiny_store / key))
        network = models[key].network
        assert isinstance(network.encoder, TextEncoder)
        weight = network.encoder.embedding.weight
        assert isinstance(weight, torch.Tensor)
        with torch.inference_mode():
            weight[7] = float("nan")
    return models


def by_number(outputs: list[Output]) -> dict[int, Event]:
    """The last event of each request."""
    return {one.key[1]: event for one, event in outputs}


def test_a_label_without_numbers_fails_alone(poisoned: Models) -> None:
    key, sources = "sentiment-en/1", [[5, 6], [5, 7, 6], [9]]
    requests = [request(number, key, ids, Label()) for number, ids in enumerate(sources)]
    events = by_number(encode(poisoned[key], [whole(one) for one in requests]))
    assert [type(events[number]) for number in range(3)] == [Labelled, Failed, Labelled]


def test_a_sentence_without_numbers_fails_alone(poisoned: Models) -> None:
    key, sources = "translate-en-ko/1", [[5, 6], [5, 7, 6], [9]]
    model = poisoned[key]
    for beams in (1, 2):
        options = Decode(10, beams=beams, stream=True)
        requests = [request(number, key, ids, options) for number, ids in enumerate(sources)]
        events = by_number(encode(model, [whole(one) for one in requests]))
        while model.rows:
            events |= by_number(decode(model, 3))
        assert [type(events[number]) for number in range(3)] == [Decoded, Failed, Decoded]
        assert NOT_FINITE in str(events[1])


OUT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import torch
from app.engine.cost import cost_of
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.models import Models
from app.engine.policy import Policy
from app.engine.protocol import Decode, Decoded, Label, Labelled, Tokens
from app.engine.request import Request, whole
from app.store.model_store import open_version

torch.set_num_threads(1)
store, rows, policy = Path(sys.argv[1]), 1500, Policy(looks_each_step=sys.argv[2] == "cpu")
models = Models(torch.device("cpu"), slots=rows, precision="float32", policy=policy)
for key in ("sentiment-en/1", "translate-en-ko/1"):
    models.load(open_version(store / key))
classifier, translator = models.values()

def leave(megabytes):
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 2**20, resource.RLIM_INFINITY))

def chunks(model, length, answer):
    sources = [Tokens([5 + n % 300] * length) for n in range(rows)]
    return [whole(Request((b"", n), model.key, s, answer, cost_of(s, answer))) for n, s in enumerate(sources)]

leave(150)
outputs = encode(classifier, chunks(classifier, 400, Label()))
assert len(outputs) == rows and all(isinstance(event, Labelled) for _, event in outputs), outputs[0]
print("labels", models.counters.out_of_memory)
leave(4000)
assert not encode(translator, chunks(translator, 60, Decode(5)))
before = models.counters.out_of_memory
leave(200)
outputs = []
while translator.rows:
    outputs += decode(translator, 2)
assert len(outputs) == rows and all(isinstance(event, Decoded) for _, event in outputs), outputs[0]
assert 1 <= translator.block < rows
print("sentences", models.counters.out_of_memory - before)
"""


def test_out_of_memory_halves_the_batch_and_goes_on(tmp_path: Path, device_way: Way) -> None:
    """In a process with a real limit on its memory."""
    sentiment, _, _, translate, *_ = drafts()
    assert isinstance(translate.architecture, EncoderDecoderConfig)
    wide = translate.architecture.decoder.model_copy(update={"attention": Attention(kind="additive", size=512)})
    architecture = translate.architecture.model_copy(update={"decoder": wide})
    for draft in (sentiment, translate.model_copy(update={"architecture": architecture})):
        publish_tiny(draft, tmp_path / "store", tiny_tokenizer(tmp_path))
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path / "store"), device_way]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr[-2000:]
    labels, sentences = (int(line.split()[1]) for line in ended.stdout.splitlines())
    assert labels > 0
    assert sentences > 0
