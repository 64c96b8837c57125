"""The training loop that all recipes share: AdamW, warm-up and cosine, averaged weights, resumable checkpoints."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from app.models.networks import EncoderDecoder

PAD, BOS, EOS, UNK = 0, 1, 2, 3  # ids given by `training.subwords`
Batch = TypeVar("Batch")
Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a network is trained. Rates are per step, `average` is the decay of averaged weights."""

    epochs: int
    learning_rate: float
    warmup: float = 0.03  # share of all steps
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.998
    checkpoint_seconds: float = 120
    patience: int = 3  # epochs without a better dev score after which training ends

    def for_trial(self, epochs: int | None) -> "Schedule":
        """The same with so many epochs, if that is not None."""
        return self if epochs is None else replace(self, epochs=epochs)

    def rate(self, progress: float) -> float:
        """Learning rate at a share of all steps: linear up, cosine down to 2 %."""
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        falling = (progress - self.warmup) / (1 - self.warmup)
        return self.learning_rate * (0.02 + 0.98 * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * falling)))))


def batches_by_length(
    rows: Sequence[Row], length: Callable[[Row], int], *, budget: int, generator: torch.Generator, window: int = 100
) -> list[list[Row]]:
    """Shuffled batches of rows of similar length, each of at most `budget` padded tokens.

    Rows are shuffled, sorted within windows of `window` batches' worth, and the batches shuffled again.
    """
    order = torch.randperm(len(rows), generator=generator).tolist()
    mean = sum(length(row) for row in rows) / len(rows)
    size = int(window * budget / mean) + 1
    batches: list[list[Row]] = []
    for start in range(0, len(order), size):
        batch: list[Row] = []
        for index in sorted(order[start : start + size], key=lambda index: length(rows[index])):
            if batch and length(rows[index]) * (len(batch) + 1) > budget:
                batches.append(batch)
                batch = []
            batch.append(rows[index])
        batches.append(batch)
    return [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]


def best_device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are."""
    return next(network.parameters()).device


def pad_rows(rows: Sequence[Sequence[int]], device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Token ids padded on the right with 0: (batch, longest), and lengths (batch,), on `device`."""
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row)
    return tokens.to(device), lengths.to(device)


@dataclass
class Place:
    """How far a training has come: whole epochs, batches of the next one with their summed loss and seconds, and the
    best dev score so far with its epoch."""

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    best: float = float("-inf")
    best_epoch: int = 0


def fit(
    network: nn.Module,
    schedule: Schedule,
    *,
    batches: Callable[[int], Sequence[Batch]],
    loss: Callable[[Batch], Tensor],
    score: Callable[[nn.Module], float],
    folder: Path,
    rate_of: Callable[[str], float] = lambda name: 1.0,
) -> nn.Module:
    """Train `network` and return the averaged weights of the epoch with the best dev score.

    `batches(epoch)` gives an epoch's batches, the same whenever it is asked; `loss(batch)` a scalar; `score(network)`
    the dev score, higher is better. `folder` takes `last.pt` after each epoch and every `schedule.checkpoint_seconds`,
    from which the same call goes on as if it had never been interrupted, and `log.tsv`, one line per epoch:
    epoch, mean loss, dev score, seconds. `rate_of(name)` scales the learning rate of a parameter. On CUDA, and on a CPU
    with matrix units, products are in bfloat16 (autocast). Where TensorBoard is installed, it is told as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    parameters = [parameter for _, parameter in named]
    scales = sorted({rate_of(name) for name, _ in named})
    optimizer = torch.optim.AdamW(
        [{"params": [parameter for name, parameter in named if rate_of(name) == scale]} for scale in scales],
        lr=schedule.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=schedule.weight_decay,
        fused=True,
    )
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(schedule.average)  # type: ignore[no-untyped-call]
    averaged = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    at = Place()
    last, best_file, log = folder / "last.pt", folder / "best.pt", folder / "log.tsv"
    if last.exists():
        kept = torch.load(last, weights_only=True, map_location="cpu")
        network.load_state_dict(kept["network"])
        averaged.load_state_dict(kept["averaged"])
        optimizer.load_state_dict(kept["optimizer"])
        torch.set_rng_state(kept["random"])
        at = Place(**kept["at"])
    device = device_of(network).type

    def keep() -> None:
        """Write `last.pt` whole or not at all."""
        kept = {
            "network": network.state_dict(),
            "averaged": averaged.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "at": asdict(at),
        }
        torch.save(kept, last.with_suffix(".new"))
        last.with_suffix(".new").replace(last)

    mixed = device == "cuda" or torch.cpu._is_amx_tile_supported()  # without matrix units, bfloat16 is the slower one
    board = _board(folder)
    while at.epoch < schedule.epochs and at.epoch <= at.best_epoch + schedule.patience:
        network.train()
        work = batches(at.epoch)
        bar = tqdm(work, desc=f"epoch {at.epoch + 1}/{schedule.epochs}", mininterval=5, initial=at.batch)
        bar.iterable = work[at.batch :]
        began = kept_at = time.monotonic()
        for batch in bar:
            rate = schedule.rate((at.epoch + at.batch / len(work)) / schedule.epochs)
            for group, scale in zip(optimizer.param_groups, scales, strict=True):
                group["lr"] = scale * rate
            with torch.autocast(device, dtype=torch.bfloat16, enabled=mixed):
                batch_loss = loss(batch)
            optimizer.zero_grad(set_to_none=True)
            batch_loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, schedule.clip)
            optimizer.step()
            averaged.update_parameters(network)
            at.loss += batch_loss.item()
            at.batch += 1
            if at.batch % 20 == 0:
                bar.set_postfix(loss=f"{at.loss / at.batch:.3f}", refresh=False)
                board("loss", batch_loss.item(), at.epoch * len(work) + at.batch)
            if time.monotonic() - kept_at > schedule.checkpoint_seconds:
                at.seconds += time.monotonic() - began
                began = kept_at = time.monotonic()
                keep()
        averaged.eval()
        with torch.inference_mode():
            dev = score(averaged.module)
        at.seconds += time.monotonic() - began
        with log.open("a") as lines:
            lines.write(f"{at.epoch}\t{at.loss / len(work):.4f}\t{dev:.4f}\t{at.seconds:.0f}\n")
        tqdm.write(f"epoch {at.epoch + 1}: loss {at.loss / len(work):.4f}, dev {dev:.4f}")
        board("dev", dev, (at.epoch + 1) * len(work))
        if dev > at.best:
            at.best, at.best_epoch = dev, at.epoch
            torch.save(averaged.module.state_dict(), best_file)
        at.epoch, at.batch, at.loss, at.seconds = at.epoch + 1, 0, 0.0, 0.0
        keep()
    network.load_state_dict(torch.load(best_file, weights_only=True))
    return network.eval()


def _board(folder: Path) -> Callable[[str, float, int], None]:
    """Tells TensorBoard a number at a step, if that is installed."""
    if find_spec("tensorboard") is None:
        return lambda name, value, step: None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder / "tensorboard").add_scalar


def greedy(network: EncoderDecoder, source: Tensor, lengths: Tensor, *, longest: int) -> list[list[int]]:
    """Token ids of greedy answers to a batch of sources, without eos."""
    state = network.consume(source, lengths)
    previous = torch.full((len(source),), BOS, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    chosen = []
    for _ in range(longest):
        logits, state, _ = network.step(previous, state)
        previous = logits.argmax(1)
        chosen.append(previous)
        ended |= previous == EOS
        if ended.all():
            break
    rows = torch.stack(chosen, 1).tolist()
    return [row[: row.index(EOS)] if EOS in row else row for row in rows]


def chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """Consecutive pieces of at most `size` rows."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def lines_of(*columns: Iterable[str]) -> Iterator[str]:
    """The texts of several columns, one after the other."""
    for column in columns:
        yield from column
