"""Clips whose frames are read in both directions: their images are encoded a few at a time, as those of others."""

import random

import pytest
import torch
from torch import Tensor

from app.engine.models import Models
from app.engine.protocol import Embed, Embedded, Event, Label, Labelled
from app.models.networks import Classifier, build_network
from app.store.classifier import Classifier as ClassifierConfig
from app.store.encoders import FramesEncoder
from app.store.image_encoder import ImageEncoder, ResNet
from app.store.image_input import ImageInput
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from tests.engine.loop import Loop
from tests.engine.number_references import frames, rows_of

SIZE, KEY = 32, "clip/1"
RESNET = ResNet(block="basic", blocks=(1, 1, 1, 1), stem_width=4, widths=(4, 6, 8, 10))
IMAGE = ImageInput(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
MOST = 4  # frames of an action: a budget of 1,024 cell steps


def manifest(frames: int | None = None) -> Manifest:
    encoder = FramesEncoder(
        image=ImageEncoder(resnet=RESNET, image_size=SIZE, output="pooled"),
        recurrence=Recurrence(cell="lstm", input_size=10, hidden_size=6, layers=2, directions=2),
    )
    return Manifest(
        name="clip",
        version=1,
        task="classification",
        description="A tiny clip classifier.",
        architecture=ClassifierConfig(encoder=encoder, pooling=("last", "mean"), labels=3),
        labels=("a", "b", "c"),
        image=IMAGE,
        frames=frames,
        parameters=1,
        files={},
        licence="MIT",
    )


def network() -> Classifier:
    torch.manual_seed(0)
    built = build_network(manifest().architecture, mean=list(IMAGE.mean), std=list(IMAGE.std)).eval()
    assert isinstance(built, Classifier)
    return built


@pytest.fixture
def models() -> Models:
    models = Models(torch.device("cpu"), slots=8, precision="float32")
    models.add(manifest(), network())
    return models


def pixels(frames: int, seed: int) -> Tensor:
    return torch.randint(256, (frames, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.manual_seed(seed))


def test_long_clips_among_others_are_answered_as_alone(models: Models) -> None:
    plain, rng = network(), random.Random(3)
    loop, clips = Loop(models, budget=256 * MOST), [pixels(rng.choice([1, 3, 9, 30]), seed) for seed in range(10)]
    wanted: tuple[Label | Embed, ...] = (Label(), Embed(), Embed("mean", layer=0))
    kinds = [rng.choice(wanted) for _ in clips]
    for clip, kind in zip(clips, kinds, strict=True):
        loop.add(KEY, frames(clip), kind)
    requests = loop.scheduler.requests
    while not (plan := loop.turn()).is_idle:
        assert sum(chunk.steps for chunk in plan.chunks) <= 256 * MOST
    for request, clip, kind in zip(requests, clips, kinds, strict=True):
        (event,) = loop.events[request.key[1]]
        assert request.partial is None
        assert answer_of(event) == pytest.approx(alone(plain, clip, kind), abs=1e-6)


def answer_of(event: Event) -> list[float]:
    if isinstance(event, Labelled):
        return event.scores
    assert isinstance(event, Embedded)
    return rows_of(event.state)[0].tolist()


@torch.inference_mode()
def alone(plain: Classifier, clip: Tensor, kind: Label | Embed) -> list[float]:
    source, lengths = clip.unsqueeze(0), torch.tensor([len(clip)])
    if isinstance(kind, Label):
        scores: list[float] = plain(source, lengths).softmax(1)[0].tolist()
        return scores
    encoded = plain.encoder(source, lengths, layers=None if kind.layer is None else kind.layer + 1)
    state = encoded.summary if kind.pooling == "last" else encoded.memory.mean(1)
    numbers: list[float] = state[0].tolist()
    return numbers


def test_another_request_passes_between_the_frames_of_a_long_clip(models: Models) -> None:
    loop = Loop(models, budget=256 * MOST)
    loop.add(KEY, frames(pixels(60, 1)), Label())
    loop.turn()
    loop.add(KEY, frames(pixels(1, 2)), Label())
    turns = 0
    while not loop.events[1]:
        loop.turn()
        turns += 1
    assert turns <= 4
    assert not loop.events[0]


def test_the_warm_up_reads_few_frames_however_many_a_clip_has() -> None:
    models, built, seen = Models(torch.device("cpu"), slots=8, precision="float32"), network(), list[int]()
    built.encoder.get_submodule("image").register_forward_hook(
        lambda module, inputs, output: seen.append(len(inputs[0]))
    )
    models.add(manifest(frames=1000), built)
    assert 0 < sum(seen) <= MOST
