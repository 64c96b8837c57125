"""The training loop that all recipes share: AdamW, warm-up and cosine, averaged weights, resumable checkpoints."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
    patience: int = 3  # epochs without a better dev score after which training ends

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


def pad_rows(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids padded on the right with 0: (batch, longest), and lengths (batch,)."""
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row)
    return tokens, lengths


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

    `batches(epoch)` gives an epoch's batches, `loss(batch)` a scalar, `score(network)` the dev score, higher is
    better. `folder` takes `last.pt` after each epoch, from which the same call goes on, and `log.tsv`.
    `rate_of(name)` scales the learning rate of a parameter.
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
    )
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(schedule.average)  # type: ignore[no-untyped-call]
    averaged = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    first, best, best_epoch = 0, float("-inf"), 0
    last, best_file, log = folder / "last.pt", folder / "best.pt", folder / "log.tsv"
    if last.exists():
        kept = torch.load(last, weights_only=True)
        network.load_state_dict(kept["network"])
        averaged.load_state_dict(kept["averaged"])
        optimizer.load_state_dict(kept["optimizer"])
        first, best, best_epoch = kept["epoch"] + 1, kept["best"], kept["best_epoch"]
    device = next(network.parameters()).device.type
    mixed = device == "cuda" or torch.cpu._is_amx_tile_supported()  # without matrix units, bfloat16 is the slower one
    for epoch in range(first, schedule.epochs):
        if epoch > best_epoch + schedule.patience:
            break
        started = time.monotonic()
        network.train()
        work = batches(epoch)
        total = 0.0
        bar = tqdm(work, desc=f"epoch {epoch + 1}/{schedule.epochs}", mininterval=5)
        for index, batch in enumerate(bar):
            for group, scale in zip(optimizer.param_groups, scales, strict=True):
                group["lr"] = scale * schedule.rate((epoch + index / len(work)) / schedule.epochs)
            with torch.autocast(device, dtype=torch.bfloat16, enabled=mixed):
                batch_loss = loss(batch)
            optimizer.zero_grad(set_to_none=True)
            batch_loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, schedule.clip)
            optimizer.step()
            averaged.update_parameters(network)
            total += batch_loss.item()
            if index % 20 == 0:
                bar.set_postfix(loss=f"{total / (index + 1):.3f}", refresh=False)
        averaged.eval()
        with torch.inference_mode():
            dev = score(averaged.module)
        with log.open("a") as lines:
            lines.write(f"{epoch}\t{total / len(work):.4f}\t{dev:.4f}\t{time.monotonic() - started:.0f}\n")
        tqdm.write(f"epoch {epoch + 1}: loss {total / len(work):.4f}, dev {dev:.4f}")
        if dev > best:
            best, best_epoch = dev, epoch
            torch.save(averaged.module.state_dict(), best_file)
        torch.save(
            {
                "network": network.state_dict(),
                "averaged": averaged.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": epoch,
                "best": best,
                "best_epoch": best_epoch,
            },
            last,
        )
    network.load_state_dict(torch.load(best_file, weights_only=True))
    return network.eval()


def greedy(network: EncoderDecoder, source: Tensor, lengths: Tensor, *, longest: int) -> list[list[int]]:
    """Token ids of greedy answers to a batch of sources, without eos."""
    state = network.consume(source, lengths)
    previous = torch.full((len(source),), BOS)
    ended = torch.zeros(len(source), dtype=torch.bool)
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
