"""Recipe of `classify-digits-motion`: the direction in which a digit moves through 6 frames, by a thin ResNet on each
frame and an LSTM over time.

    python -m training.classify_digits_motion --data data
"""

from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from app.models.networks import Classifier
from app.store.classifier import Classifier as Architecture
from app.store.encoders import FramesEncoder
from app.store.image_encoder import ImageEncoder, ResNet
from app.store.image_input import ImageInput
from app.store.manifest import Manifest
from app.store.recurrence import Recurrence
from app.store.training_facts import Training
from training.cards import CardText
from training.loop import Schedule, best_device, chunks, device_of, fit
from training.moving_digits import DIRECTIONS, FRAMES, SIZE, Clips, clips_of, read_digits, shuffled
from training.recipe import Figure, Recipe, Shipped

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of the recipe."""

    stem: int = 16
    widths: tuple[int, int, int, int] = (16, 32, 64, 96)
    hidden: int = 96
    dropout: float = 0.1
    clips_per_batch: int = 64
    shuffled_share: float = 0.5  # of the clips of a batch, added to it with their frames in a random order
    seed: int = 1
    schedule: Schedule

    def architecture(self) -> Architecture:
        resnet = ResNet(block="basic", blocks=(1, 1, 1, 1), stem_width=self.stem, widths=self.widths)
        image = ImageEncoder(resnet=resnet, image_size=SIZE, output="pooled")
        recurrence = Recurrence(cell="lstm", input_size=image.memory_size, hidden_size=self.hidden)
        encoder = FramesEncoder(image=image, recurrence=recurrence)
        return Architecture(encoder=encoder, pooling=("last",), labels=len(DIRECTIONS))


CONFIG = Config(schedule=Schedule(epochs=8, learning_rate=2e-3, average=0.98, patience=8, products="float32"))


def prefix_logits(network: Classifier, frames: Tensor) -> Tensor:
    """Logits after each frame (clips, 6, labels) of clips (clips, 6, 32, 32, 3)."""
    lengths = torch.full((len(frames),), frames.shape[1], device=frames.device)
    return network.label_prefixes(network.encoder(frames, lengths))


def train(data: Path, folder: Path, epochs: int | None) -> None:
    config = CONFIG
    torch.manual_seed(config.seed)
    digits = read_digits(data, "train")
    generator = torch.Generator().manual_seed(config.seed)
    dev = clips_of(read_digits(data, "dev"), generator)
    mixed_dev = dev._replace(frames=shuffled(dev.frames, generator))
    device = best_device()
    network = Classifier(config.architecture(), dropout=config.dropout, mean=list(MEAN), std=list(STD)).to(device)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    click.echo(f"{len(digits)} digits in {len(DIRECTIONS)} directions, {parameters} parameters")

    def batches(epoch: int) -> list[Clips]:
        """New clips of all digits."""
        generator = torch.Generator().manual_seed(config.seed + 1 + epoch)
        clips = clips_of(digits, generator)
        order = torch.randperm(len(clips.directions), generator=generator).tolist()
        return [Clips(*(part[rows] for part in clips)) for rows in chunks(order, config.clips_per_batch)]

    def loss(batch: Clips) -> Tensor:
        """Cross entropy after each frame; after shuffled frames, with all directions as equally right."""
        count = len(batch.directions)
        mixed = shuffled(batch.frames[: int(config.shuffled_share * count)], torch.default_generator)
        logits = prefix_logits(network, torch.cat([batch.frames, mixed]).to(device)).float()
        targets = batch.directions.to(device).unsqueeze(1).expand(-1, FRAMES)
        right = nn.functional.cross_entropy(logits[:count].flatten(0, 1), targets.flatten())
        undecided = -logits[count:, -1].log_softmax(1).mean()
        return right + undecided

    def score(averaged: nn.Module) -> float:
        """Accuracy in order, less that in a random order."""
        assert isinstance(averaged, Classifier)
        in_order, mixed = (right_after_each_frame(averaged, clips)[-1] for clips in (dev, mixed_dev))
        return float(in_order - mixed)

    fit(network, config.schedule.for_trial(epochs), batches=batches, loss=loss, score=score, folder=folder)


def right_after_each_frame(network: Classifier, clips: Clips) -> Tensor:
    """Accuracy after each frame (6,)."""
    right = []
    for rows in torch.split(torch.arange(len(clips.directions)), 256):
        found = prefix_logits(network, clips.frames[rows].to(device_of(network))).argmax(2).cpu()
        right.append(found == clips.directions[rows].unsqueeze(1))
    return torch.cat(right).float().mean(0)


def measure(shipped: Shipped, data: Path) -> list[Figure]:
    assert isinstance(shipped.network, Classifier)
    generator = torch.Generator().manual_seed(0)
    digits = read_digits(data, "test")
    clips = clips_of(digits, generator)
    mixed = clips._replace(frames=shuffled(clips.frames, generator))
    still = clips._replace(frames=clips.frames[:, -1:].expand_as(clips.frames))
    where = f"{len(clips.directions)} clips of {len(digits)} digits that were not in training"
    after = right_after_each_frame(shipped.network, clips)
    return [
        Figure("accuracy", float(after[-1]), where),
        Figure("accuracy, frames in random order", float(right_after_each_frame(shipped.network, mixed)[-1]), where),
        Figure("accuracy, last frame alone", float(right_after_each_frame(shipped.network, still)[-1]), where),
        Figure("chance", 1 / len(DIRECTIONS), "8 directions, each as frequent as the others"),
        *(
            Figure(f"accuracy after {count} frame{'s' if count > 1 else ''}", float(after[count - 1]), where)
            for count in range(1, FRAMES)
        ),
    ]


CARD = CardText(
    data="""The handwritten digits of scikit-learn (1,797 pictures of 8 x 8; Alpaydin and Kaynak, UCI, 1998). The first
70 % of the file train, 10 % choose the epoch, the last 20 % are held out, so no digit of a test clip was seen. A clip
has 6 frames of 32 x 32: one digit, 12 to 18 pixels high, in two colours, dark on light or light on dark, moves by 2 to
4 pixels a frame in one of 8 directions; its middle stays in the picture. Every epoch has new clips
(`training/moving_digits.py`). A clip with its frames in a random order has no direction: some were in each batch, with
all directions equally right, so the network is undecided about them. The set of frames alone would tell the axis.""",
    limits="""A single, plain object before a plain ground, which moves on evenly. Several objects, a moving camera or a
pattern in the background were not in training. A clip with larger steps than those of training may be taken for one in
a random order.""",
    terms="""Digits: CC BY 4.0 (UCI), in scikit-learn (BSD-3-Clause). Weights: Apache-2.0, as the rest of this
repository.""",
)
RECIPE = Recipe(
    draft=Manifest(
        name="classify-digits-motion",
        version=1,
        task="classification",
        description="The direction in which a digit moves through 6 frames: a ResNet on each frame, an LSTM over time.",
        default=True,
        architecture=CONFIG.architecture(),
        labels=tuple(DIRECTIONS),
        image=ImageInput(size=SIZE, mean=MEAN, std=STD),
        frames=FRAMES,
        parameters=1,
        files={},
        licence="Apache-2.0",
        training=Training(recipe="python -m training.classify_digits_motion", minutes=10),
    ),
    card=CARD,
    train=train,
    measure=measure,
)

if __name__ == "__main__":
    RECIPE.command()()
