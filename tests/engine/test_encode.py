"""The runner by itself: sources in parts, and faults that hit one request or a whole batch."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from app.engine.protocol import Emit, Emitted, Failed, RequestKey, Scored, Tokens
from app.engine.runner import Item, Portion, Runner, Told
from app.engine.scheduler import CHUNK_UNITS, Scheduler, Work
from app.models.encoders import TextEncoder
from app.models.serving.precision import Precision
from app.store.architecture import Attention, Decoder, Recurrence
from app.store.architecture import Classifier as ClassifierConfig
from app.store.architecture import EncoderDecoder as EncoderDecoderConfig
from app.store.architecture import TextEncoder as TextEncoderConfig
from app.store.manifest import Manifest
from app.store.model_store import open_version
from tests.engine.references import Reference, label_alone, open_shipped
from tests.tiny_store import VOCABULARY, drafts, publish_tiny, tiny_tokenizer

UNIT = 6


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
def test_sources_in_parts_are_answered_as_in_one(tmp_path: Path, cell: str, precision: Precision) -> None:
    rng = random.Random(1)
    tokenizer = tiny_tokenizer(tmp_path)
    store = tmp_path / "store"
    runner = Runner(torch.device("cpu"), slots=8, precision=precision)
    scheduler = Scheduler(budget=300, slots=8, unit=UNIT)
    models = []
    for draft in one_way(cell):
        publish_tiny(draft, store, tokenizer)
        runner.load(open_version(store / draft.key))
        assert runner.models[draft.key].is_divisible
        scheduler.register(draft.key, divisible=True, padded=runner.padded_steps(draft.key))
        models.append(draft.key)
    items: dict[RequestKey, tuple[str, Item]] = {}
    for number in range(40):
        model = rng.choice(models)
        ids = [rng.randrange(4, VOCABULARY) for _ in range(rng.choice([rng.randint(1, 20), rng.randint(100, 400)]))]
        emit = Emit(rng.randint(1, 12)) if model == models[1] else None
        item = Item((b"", number), Tokens(ids), emit)
        cost = runner.check(model, item.source, emit)
        items[item.key] = (model, item)
        scheduler.add(Work(item.key, model, cost.consume, cost.rows, cost.emit))
    told: list[Told] = []
    parts = 0
    while not (plan := scheduler.plan()).is_idle:
        assert plan.model is not None
        portions = [Portion(items[part.work.key][1], part.start, part.steps) for part in plan.consume]
        parts += len(portions)
        assert all(portion.steps <= CHUNK_UNITS * UNIT for portion in portions)
        now = runner.consume(plan.model, portions) if portions else runner.emit(plan.model, UNIT)
        for key, _ in now:
            scheduler.remove(key)
        told += now
    assert parts > len(items) + 20
    assert not any(model.reading for model in runner.models.values())
    shipped = {key: open_shipped(store, key) for key in models}
    assert len(told) == len(items)
    for key, event in told:
        model, item = items[key]
        assert isinstance(item.source, Tokens)
        if isinstance(event, Scored):
            assert event.scores == pytest.approx(label_alone(shipped[model], item.source), abs=1e-5)
        else:
            assert isinstance(event, Emitted)
            assert item.emit is not None
            expected = Reference(shipped[model], item.source, item.emit).greedy()
            assert event.hypotheses[0].tokens == expected.tokens


@pytest.fixture
def poisoned(tiny_store: Path) -> Runner:
    """Models whose embedding of token 7 is no number."""
    runner = Runner(torch.device("cpu"), slots=8)
    for key in ("sentiment-en/1", "translate-en-ko/1"):
        runner.load(open_version(tiny_store / key))
        network = runner.models[key].network
        assert isinstance(network.encoder, TextEncoder)
        weight = network.encoder.embedding.weight
        assert isinstance(weight, torch.Tensor)
        with torch.inference_mode():
            weight[7] = float("nan")
    return runner


def test_a_label_without_numbers_fails_alone(poisoned: Runner) -> None:
    sources = [[5, 6], [5, 7, 6], [9]]
    portions = [Portion(Item((b"", n), Tokens(ids)), 0, len(ids)) for n, ids in enumerate(sources)]
    told = dict(poisoned.consume("sentiment-en/1", portions))
    assert [type(told[b"", n]) for n in range(3)] == [Scored, Failed, Scored]


def test_a_sentence_without_numbers_fails_alone(poisoned: Runner) -> None:
    sources = [[5, 6], [5, 7, 6], [9]]
    for beams in (1, 2):
        emit = Emit(10, beams=beams, stream=True)
        portions = [Portion(Item((b"", n), Tokens(ids), emit), 0, len(ids)) for n, ids in enumerate(sources)]
        model = "translate-en-ko/1"
        told = dict(poisoned.consume(model, portions))
        while poisoned.models[model].slots.count:
            told |= dict(poisoned.emit(model, 3))
        assert [type(told[b"", n]) for n in range(3)] == [Emitted, Failed, Emitted]
        assert "NaN" in str(told[b"", 1])


OUT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import torch
from app.engine.protocol import Emit, Emitted, Scored, Tokens
from app.engine.runner import Item, Portion, Runner
from app.store.model_store import open_version

torch.set_num_threads(1)
store, rows = Path(sys.argv[1]), 1500
runner = Runner(torch.device("cpu"), slots=rows, precision="float32")
for key in ("sentiment-en/1", "translate-en-ko/1"):
    runner.load(open_version(store / key))

def leave(megabytes):
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 2**20, resource.RLIM_INFINITY))

def portions(length, emit):
    return [Portion(Item((b"", n), Tokens([5 + n % 300] * length), emit), 0, length) for n in range(rows)]

leave(150)
told = runner.consume("sentiment-en/1", portions(400, None))
assert len(told) == rows and all(isinstance(event, Scored) for _, event in told), told[0]
print("labels", runner.counters.out_of_memory)
leave(4000)
assert not runner.consume("translate-en-ko/1", portions(60, Emit(5)))
before = runner.counters.out_of_memory
leave(200)
told = []
while runner.models["translate-en-ko/1"].slots.count:
    told += runner.emit("translate-en-ko/1", 2)
assert len(told) == rows and all(isinstance(event, Emitted) for _, event in told), told[0]
assert 1 <= runner.models["translate-en-ko/1"].block < rows
print("sentences", runner.counters.out_of_memory - before)
"""


def test_out_of_memory_halves_the_batch_and_goes_on(tiny_store: Path, tmp_path: Path) -> None:
    """In a process with a real limit on its memory."""
    sentiment, _, _, translate, *_ = drafts()
    assert isinstance(translate.architecture, EncoderDecoderConfig)
    wide = translate.architecture.decoder.model_copy(update={"attention": Attention(kind="additive", size=512)})
    architecture = translate.architecture.model_copy(update={"decoder": wide})
    for draft in (sentiment, translate.model_copy(update={"architecture": architecture})):
        publish_tiny(draft, tmp_path / "store", tiny_tokenizer(tmp_path))
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path / "store")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr[-2000:]
    labels, sentences = (int(line.split()[1]) for line in ended.stdout.splitlines())
    assert labels > 0
    assert sentences > 0
