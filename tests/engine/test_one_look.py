"""A GPU is looked at once for each unit, whatever its rows want: counted on a device that is not there."""

import copy
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import torch

from app.engine.cost import cost_of
from app.engine.decode import answer_at_deadline, decode, release
from app.engine.encode import encode
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.policy import Policy
from app.engine.protocol import AnswerSpec, Decode, Decoded, Label, Labelled, Source, Tokens
from app.engine.request import Chunk, Request, whole
from app.engine.sizes import needed_bytes
from app.engine.transfers import to_host
from app.models.networks import Classifier, EncoderDecoder, build_network
from app.models.serving.flat import FlatRecurrent
from app.store.model_store import Version, open_version
from app.store.weights import load_weights
from tests.engine.conftest import QUEUED
from tests.engine.pretended_gpu import DEVICE, PretendedGpu
from tests.engine.test_cuda_graphs import CPU, needs_gpu, the_same
from tests.engine.test_encode import request
from tests.engine.test_sampling import CAPTION, TRANSLATE, Sent, a_source

HOST = torch.device("cpu")
LABEL, COMPLETE = "sentiment-en/1", "lm-en/1"
WISHES = {
    "greedy": [Decode(20), Decode(9, stream=True)],
    "drawing": [Decode(20, temperature=0.9, top_k=50, top_p=0.9, min_p=0.01, seed=3), Decode(20, temperature=1.5)],
    "searching": [Decode(20, beams=4, n_best=3), Decode(20, beams=2), Decode(1, beams=5)],
    "told more": [Decode(20, alternatives=5), Decode(20, attention=True, stream=True), Decode(9, alternatives=1)],
    "constrained": [
        Decode(20, min_tokens=9, forbidden=[5, 6]),
        Decode(20, prefix=[7, 8, 9], no_repeat_ngram=2),
        Decode(20, repetition_penalty=1.3),
    ],
}
WISHES["all at once"] = [wish for wishes in WISHES.values() for wish in wishes] + [
    Decode(20, beams=3, alternatives=4, attention=True, no_repeat_ngram=2, min_tokens=4)
]


def loaded(store: Path, key: str, device: torch.device, policy: Policy) -> LoadedModel:
    """Built outside of the pretended GPU: a check of weights has tensors without numbers on torch's "meta", too."""
    version, network = version_of(store, key)
    models = Models(device, slots=64, precision="float32", policy=policy)
    models.add(version.manifest, copy.deepcopy(network))
    return models[key]


@cache
def version_of(store: Path, key: str) -> tuple[Version, Classifier | EncoderDecoder]:
    version = open_version(store / key)
    network = build_network(version.manifest.architecture, mean=[0.5] * 3, std=[0.2] * 3)
    assert isinstance(network, Classifier | EncoderDecoder)
    load_weights(network, version)
    return version, network


def run(model: LoadedModel, requests: Sequence[Request], gpu: PretendedGpu | None = None) -> list[Decoded]:
    """Requests join two at a time, and each unit is looked at once."""
    waiting = list(requests)
    ended: dict[Request, Decoded] = {}
    while waiting or model.rows:
        joining, waiting = waiting[:2], waiting[2:]
        if joining:
            assert not encode(model, [whole(one) for one in joining])
        if gpu is not None:
            assert gpu.reads == [], "the host waited while sources were encoded and rows joined or left"
        ended |= {one: event for one, event in decode(model, 6) if isinstance(event, Decoded)}
        if gpu is not None:
            assert len(gpu.reads) == 1, "once for each unit"
            gpu.reads.clear()
    return [ended[one] for one in requests]


@pytest.mark.parametrize(
    ("key", "wishes"),
    [
        *((TRANSLATE, wishes) for wishes in WISHES),
        *((key, "all at once") for key in (CAPTION, COMPLETE)),
        *(
            pytest.param(key, wishes, marks=pytest.mark.slow)
            for key in (CAPTION, COMPLETE)
            for wishes in WISHES
            if wishes != "all at once"
        ),
    ],
)
def test_the_host_looks_once_for_each_unit(tiny_store: Path, key: str, wishes: str) -> None:
    rng = random.Random(6)
    sent: list[Sent] = [(a_source(rng, key), wish) for wish in WISHES[wishes]]
    numbered = list(enumerate(sent))
    expected = run(loaded(tiny_store, key, HOST, CPU), [asked(number, key, *one) for number, one in numbered])
    with PretendedGpu() as gpu:
        model = loaded(tiny_store, key, DEVICE, QUEUED)
        assert len(model.units or ()) > 0
        gpu.reads.clear()
        gpu.blocking.clear()
        found = run(model, [asked(number, key, *one) for number, one in numbered], gpu)
        assert gpu.blocking == [], "copies to the device do not wait"
    the_same(found, expected)


@needs_gpu
def test_a_real_gpu_is_waited_for_once(tiny_store: Path) -> None:
    """Torch itself says where it waits."""
    model = loaded(tiny_store, TRANSLATE, torch.device("cuda:0"), QUEUED)
    rng = random.Random(6)
    requests = [
        asked(number, TRANSLATE, a_source(rng, TRANSLATE), one) for number, one in enumerate(WISHES["all at once"])
    ]
    encode(model, [whole(one) for one in requests])
    torch.cuda.set_sync_debug_mode("warn")
    try:
        while model.rows:
            with pytest.warns(UserWarning, match="synchroniz") as waits:
                decode(model, 6)
            assert len(waits) == 1
    finally:
        torch.cuda.set_sync_debug_mode("default")


def asked(number: int, key: str, source: Source, answer: AnswerSpec) -> Request:
    return Request((b"", number), key, source, answer, cost_of(source, answer))


def test_labels_are_read_at_once(tiny_store: Path) -> None:
    rng = random.Random(1)
    sources = [Tokens([rng.randrange(4, 400) for _ in range(rng.randint(1, 30))]) for _ in range(5)]
    requests = [asked(number, LABEL, source, Label()) for number, source in enumerate(sources)]
    expected = encode(loaded(tiny_store, LABEL, HOST, CPU), [whole(one) for one in requests])
    with PretendedGpu() as gpu:
        model = loaded(tiny_store, LABEL, DEVICE, QUEUED)
        gpu.reads.clear()
        gpu.blocking.clear()
        found = encode(model, [whole(one) for one in requests])
        assert len(gpu.reads) == 1
        assert gpu.blocking == []
    for (_, mine), (_, theirs) in zip(found, expected, strict=True):
        assert isinstance(mine, Labelled)
        assert isinstance(theirs, Labelled)
        assert mine.scores == pytest.approx(theirs.scores, abs=1e-5)


def test_the_memory_of_a_model_is_that_of_its_device(tiny_store: Path) -> None:
    """Weights in both forms of a recurrence count, and the float32 network of explanations, on the host, does not."""
    with PretendedGpu():
        model = loaded(tiny_store, LABEL, DEVICE, QUEUED)
        tensors = [*model.network.parameters(), *model.network.buffers()]
        assert model.weights_bytes == sum(tensor.nbytes for tensor in tensors)
        flat = [module for module in model.network.modules() if isinstance(module, FlatRecurrent)]
        for module in flat:
            originals = sum(weight.nbytes for weight in module.recurrent.parameters())
            assert sum(weight.nbytes for weight in module.buffers()) >= originals
        before = model.bytes
        assert flat
        assert model.exact is not None
        model.exact = None
        assert model.bytes == before


@pytest.mark.parametrize("key", [TRANSLATE, CAPTION, COMPLETE, LABEL])
def test_a_version_needs_memory_for_its_plain_rows(tiny_store: Path, key: str) -> None:
    """They are there when it is loaded, and counted before that."""
    version, _ = version_of(tiny_store, key)
    with PretendedGpu():
        model = loaded(tiny_store, key, DEVICE, QUEUED)
        rows = sum(storage.nbytes for storage in model.slots.state.values())
        needed = Models(DEVICE, slots=64, precision="float32", policy=QUEUED).needed_bytes(version)
    assert needed == needed_bytes(version) + rows
    assert (rows > 0) == (key != LABEL)


def test_chunks_cancellations_and_deadlines_do_not_look(tiny_store: Path) -> None:
    options = [Decode(30), Decode(30, 30, beams=3), Decode(30, 30, temperature=1.0), Decode(30, 30)]  # without an end
    with PretendedGpu() as gpu:
        model = loaded(tiny_store, COMPLETE, DEVICE, QUEUED)
        requests = [request(number, COMPLETE, list(range(5, 30)), one) for number, one in enumerate(options)]
        gpu.reads.clear()
        gpu.blocking.clear()
        for start, steps in ((0, 10), (10, 15)):
            assert not encode(model, [Chunk(one, start, steps) for one in requests])
        assert gpu.reads == []
        decode(model, 6)
        gpu.reads.clear()
        release(model, requests[0])
        answers = [answer_at_deadline(model, one) for one in requests[1:]]
        assert gpu.reads == gpu.blocking == []
    assert all(isinstance(answer, Decoded) and len(answer.hypotheses[0].tokens) == 6 for answer in answers)
    assert model.rows == 0


def test_a_copy_to_the_host_is_one_whatever_it_has() -> None:
    whole_numbers, truths = torch.arange(3), torch.tensor([[True], [False]])
    none, half = torch.zeros(0), torch.tensor(2.5).half()
    with PretendedGpu() as gpu:
        there = (half.to(DEVICE), [truths.to(DEVICE), None, "a"], none.to(DEVICE), whole_numbers.to(DEVICE))
        copied = to_host(there)
        assert len(gpu.reads) == 1
    assert copied[1][1:] == [None, "a"]
    for found, expected in zip(
        (copied[0], copied[1][0], *copied[2:]), (half, truths, none, whole_numbers), strict=True
    ):
        assert isinstance(found, torch.Tensor)
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("what", "reads"),
    [
        (lambda tensor: tensor.tolist(), 1),
        (lambda tensor: tensor.cpu(), 1),
        (lambda tensor: int(tensor.max()), 1),
        (lambda tensor: bool((tensor > 1).any()), 1),
        (lambda tensor: tensor.nonzero(), 1),
        (lambda tensor: tensor[tensor > 1], 1),
        (lambda tensor: tensor[:2] * 2 + tensor[torch.tensor([0, 1]).to(DEVICE, non_blocking=True)], 0),
    ],
)
def test_the_pretended_gpu_notices_what_waits(what, reads: int) -> None:  # type: ignore[no-untyped-def]
    with PretendedGpu() as gpu, torch.inference_mode():
        tensor = torch.arange(4).to(DEVICE, non_blocking=True)
        what(tensor)
        assert len(gpu.reads) == reads
        assert gpu.blocking == []
        torch.arange(3).to(DEVICE)
        assert len(gpu.blocking) == 1
        with pytest.raises(AssertionError, match="mixes"):
            tensor + torch.arange(4)
