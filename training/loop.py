"""The training loop of all recipes: AdamW, warm-up and cosine, averaged weights, checkpoints to resume from."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from app.models.networks import EncoderDecoder

PAD, BOS, EOS, UNK = 0, 1, 2, 3  # ids given by `training.subwords`
Batch = TypeVar("Batch")
Row = TypeVar("Row")
Pool = tuple[float, Sequence[Row]]  # rows, and how often an epoch meets each: 0.25 is one epoch in four


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Epochs and learning rates of a training. `average` is the decay of averaged weights per step."""

    epochs: int
    learning_rate: float
    warmup: float = 0.03  # share of all steps
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.998
    checkpoint_seconds: float = 120
    patience: int = 3  # training ends after this number of epochs without a better dev score
    products: Literal["bfloat16", "float32"] = "bfloat16"  # numbers need more digits than labels

    def for_trial(self, epochs: int | None) -> "Schedule":
        """The same schedule with another number of epochs, unless that is None."""
        return self if epochs is None else replace(self, epochs=epochs)

    def rate(self, progress: float) -> float:
        """Learning rate after a share of all steps: linear up, cosine down to 2 %."""
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        falling = (progress - self.warmup) / (1 - self.warmup)
        return self.learning_rate * (0.02 + 0.98 * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * falling)))))


def drawn(pools: Sequence[Pool[Row]], generator: torch.Generator) -> list[Row]:
    """The rows of an epoch: a fraction of a share is drawn anew each time."""
    rows: list[Row] = []
    for share, pool in pools:
        whole, part = divmod(share, 1)
        rows += int(whole) * list(pool)
        rows += [pool[place] for place in torch.randperm(len(pool), generator=generator)[: round(part * len(pool))]]
    return rows


def batches_by_length(
    rows: Sequence[Row], length: Callable[[Row], int], *, budget: int, generator: torch.Generator, window: int = 100
) -> list[list[Row]]:
    """Shuffled batches of rows of similar length, with at most `budget` padded tokens each.

    Rows are shuffled, sorted within windows of about `window` batches, and the batches are shuffled again.
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


def sorted_batches(rows: Sequence[Sequence[int]], *, budget: int) -> Iterator[list[int]]:
    """Indices of rows from short to long, in batches with at most `budget` padded tokens each, or of one row."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    while order:
        size = max(1, budget // len(rows[order[0]]))
        while size > 1 and len(rows[order[:size][-1]]) * size > budget:
            size -= max(1, size // 8)
        batch, order = order[:size], order[size:]
        yield batch


def random_windows(rows: Sequence[list[int]], size: int, generator: torch.Generator) -> list[list[int]]:
    """A window of at most `size` tokens of each row, at a random place."""
    places = torch.rand(len(rows), generator=generator).tolist()
    firsts = [int(place * max(0, len(row) - size + 1)) for row, place in zip(rows, places, strict=True)]
    return [row[first : first + size] for row, first in zip(rows, firsts, strict=True)]


def next_token_loss(logits: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
    """Cross entropy of logits (batch, target, vocabulary) and the tokens they predict (batch, target)."""
    return nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=PAD, label_smoothing=label_smoothing
    )


def best_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """The device of a network's weights."""
    return next(chain(network.parameters(), network.buffers())).device  # a serving form may have no parameters


def pad_rows(rows: Sequence[Sequence[int]], device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Token ids padded on the right with 0: (batch, longest), and lengths (batch,), on `device`."""
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row)
    return tokens.to(device), lengths.to(device)


@dataclass
class Place:
    """The progress of a training: whole epochs; batches, summed loss and seconds of the next epoch; the best dev score
    and its epoch."""

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

    `batches(epoch)` returns the batches of an epoch, the same ones in every call; `loss(batch)` a scalar;
    `score(network)` the dev score, where higher is better. `rate_of(name)` scales the learning rate of a parameter.

    `last.pt` in `folder` is written after each epoch and every `schedule.checkpoint_seconds`. The same call resumes
    from it with the result of an uninterrupted run. `log.tsv` has one line per epoch: epoch, mean loss, dev score,
    seconds. On CUDA, and on a CPU with matrix units, products are in bfloat16 (autocast), unless the schedule says
    float32. If TensorBoard is installed, losses and scores are logged there, too.
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
        """Write `last.pt` atomically."""
        kept = {
            "network": network.state_dict(),
            "averaged": averaged.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "at": asdict(at),
        }
        torch.save(kept, last.with_suffix(".new"))
        last.with_suffix(".new").replace(last)

    is_fast = device == "cuda" or torch.cpu._is_amx_tile_supported()  # without matrix units bfloat16 is slower
    mixed = is_fast and schedule.products == "bfloat16"
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
    """Logs a number at a step to TensorBoard, if that is installed."""
    if find_spec("tensorboard") is None:
        return lambda name, value, step: None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder / "tensorboard").add_scalar


def greedy(network: EncoderDecoder, source: Tensor, lengths: Tensor, *, longest: int) -> list[list[int]]:
    """Token ids of greedy answers to a batch of sources, without eos."""
    state = network.encode(source, lengths)
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
    """The texts of several columns, column after column."""
    for column in columns:
        yield from column
