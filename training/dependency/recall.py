"""The recall task: name the first symbol after a gap of distractors.

After Hochreiter and Schmidhuber (1997, section 5.2).

Each sequence is one of 8 symbols, `gap` distractors drawn from 8 others, and a query. The loss is on the answer to the
query alone, so its gradient passes the whole gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from app.models.recurrent import Recurrent
from app.store.recurrence import CellKind, Recurrence

SYMBOLS, DISTRACTORS = 8, 8
CHANCE = 1 / SYMBOLS
QUERY = SYMBOLS + DISTRACTORS
EMBEDDING = 16
TEST_SEQUENCES = 1000
SOLVED = 0.02  # smoothed cross-entropy in nats below which training ends


@dataclass(frozen=True)
class Contender:
    """A kind of cell. `forget_bias` is the first bias of the forget gate; None is the usual one."""

    name: str
    cell: CellKind
    forget_bias: float | None = None


CONTENDERS = (
    Contender("RNN", "rnn_tanh"),
    Contender("GRU", "gru"),
    Contender("LSTM", "lstm"),
    Contender("LSTM, forget bias 1", "lstm", 1.0),
    Contender("LSTM, forget bias 3", "lstm", 3.0),
)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """The training of every contender at every gap."""

    hidden: int = 64
    batch: int = 16
    steps: int = 600
    learning_rate: float = 1e-2
    clip: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One network trained from scratch: `accuracy` on fresh sequences, after `steps` of training."""

    network: str
    parameters: int
    gap: int
    seed: int
    steps: int
    accuracy: float


class Recall(nn.Module):
    """Embedding, one recurrent layer, and a linear layer on the hidden state after the query."""

    def __init__(self, contender: Contender, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(QUERY + 1, EMBEDDING)
        self.recurrence = Recurrent(Recurrence(cell=contender.cell, input_size=EMBEDDING, hidden_size=hidden))
        self.output = nn.Linear(hidden, SYMBOLS)
        if contender.forget_bias is not None:
            forget = slice(hidden, 2 * hidden)  # the order of gates is input, forget, cell, output
            with torch.no_grad():
                self.recurrence.get_parameter("bias_ih_l0")[forget] = contender.forget_bias
                self.recurrence.get_parameter("bias_hh_l0")[forget] = 0

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (batch, source) to logits (batch, symbols)."""
        lengths = torch.full((len(tokens),), tokens.shape[1])
        outputs, _ = self.recurrence.unroll(self.embedding(tokens), lengths)
        logits: Tensor = self.output(outputs[:, -1])
        return logits


def sequences(count: int, gap: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens (count, gap + 2) and the symbols (count,) that they begin with."""
    symbols = torch.randint(SYMBOLS, (count,), generator=generator)
    distractors = torch.randint(SYMBOLS, QUERY, (count, gap), generator=generator)
    query = torch.full((count, 1), QUERY)
    return torch.cat((symbols.unsqueeze(1), distractors, query), 1), symbols


def learn(contender: Contender, gap: int, seed: int, effort: Effort) -> Outcome:
    """Train one network with Adam (Kingma and Ba 2015), gradients clipped by norm (Pascanu et al. 2013); test it."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Recall(contender, effort.hidden)
    optimizer = torch.optim.Adam(network.parameters(), lr=effort.learning_rate)
    smoothed, step = 1.0, 0
    while step < effort.steps and smoothed > SOLVED:
        tokens, symbols = sequences(effort.batch, gap, generator)
        loss = nn.functional.cross_entropy(network(tokens), symbols)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), effort.clip)
        optimizer.step()
        smoothed = 0.8 * smoothed + 0.2 * loss.item()
        step += 1
    with torch.inference_mode():
        tokens, symbols = sequences(TEST_SEQUENCES, gap, generator)
        right = float((network(tokens).argmax(1) == symbols).float().mean())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Outcome(
        network=contender.name, parameters=parameters, gap=gap, seed=seed, steps=step, accuracy=round(right, 4)
    )


def race(gaps: Sequence[int], seeds: Sequence[int], effort: Effort) -> Iterator[Outcome]:
    """Every contender at every gap and seed. The progress bar counts cell steps as if none ended early."""
    jobs = [(contender, gap, seed) for gap in gaps for contender in CONTENDERS for seed in seeds]
    work = sum((gap + 2) * effort.batch * effort.steps for _, gap, _ in jobs)
    with tqdm(total=work, unit="cell step", unit_scale=True, desc="recall", dynamic_ncols=True) as bar:
        for contender, gap, seed in jobs:
            bar.set_description(f"recall, {contender.name}, gap {gap}")
            yield learn(contender, gap, seed, effort)
            bar.update((gap + 2) * effort.batch * effort.steps)
