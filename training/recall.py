"""The recall task: a symbol, a gap of distractors, a question. After Hochreiter and Schmidhuber (1997, section 5.1),
where a network has to keep one bit of news over a long time lag."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from app.models.cells import Recurrent
from app.store.architecture import CellKind, Recurrence

SYMBOLS = 8  # what may have to be recalled; as many others distract, and one more asks
CHANCE = 1 / SYMBOLS
_SOLVED = 0.99


@dataclass(frozen=True)
class Learner:
    """A cell by the name it has in plots. `forget_bias` is added to the LSTM's forget gate before training
    (Jozefowicz et al. 2015, section 2.2)."""

    name: str
    cell: CellKind
    forget_bias: float = 0.0


LEARNERS = (
    Learner("RNN", "rnn_tanh"),
    Learner("GRU", "gru"),
    Learner("LSTM", "lstm"),
    Learner("LSTM, forget bias 1", "lstm", 1.0),
)


class Recall(nn.Module):
    """Embedding, one recurrent layer, and a linear layer on its last state."""

    def __init__(self, learner: Learner, *, hidden: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2 * SYMBOLS + 1, 16)
        self.recurrence = Recurrent(Recurrence(cell=learner.cell, input_size=16, hidden_size=hidden))
        self.output = nn.Linear(hidden, SYMBOLS)
        if learner.forget_bias:
            with torch.no_grad():
                self.recurrence.get_parameter("bias_ih_l0")[hidden : 2 * hidden] += learner.forget_bias

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (batch, time) to logits over symbols (batch, symbols)."""
        lengths = torch.full((len(tokens),), tokens.shape[1])
        outputs, _ = self.recurrence.unroll(self.embedding(tokens), lengths)
        logits: Tensor = self.output(outputs[:, -1])
        return logits


def sequences(count: int, gap: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens (count, gap + 2), a symbol before `gap` distractors and the question, and the symbols (count,)."""
    symbols = torch.randint(SYMBOLS, (count,), generator=generator)
    distractors = torch.randint(SYMBOLS, 2 * SYMBOLS, (count, gap), generator=generator)
    question = torch.full((count, 1), 2 * SYMBOLS)
    return torch.cat((symbols.unsqueeze(1), distractors, question), 1), symbols


def recall_accuracy(learner: Learner, gap: int, *, seed: int, steps: int, batch: int = 64) -> float:
    """Accuracy on 1,024 fresh sequences after at most `steps` steps of Adam, or as soon as it is solved."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Recall(learner)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(1, steps + 1):
        tokens, symbols = sequences(batch, gap, generator)
        loss = nn.functional.cross_entropy(network(tokens), symbols)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 and _accuracy(network, 256, gap, generator) >= _SOLVED:
            break
    return _accuracy(network, 1024, gap, generator)


def _accuracy(network: Recall, count: int, gap: int, generator: torch.Generator) -> float:
    tokens, symbols = sequences(count, gap, generator)
    with torch.inference_mode():
        return float((network(tokens).argmax(1) == symbols).float().mean())
