"""Encoder-decoders as people write them, in forms that no repository of ours has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

State = Any
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@dataclass(frozen=True)
class Form:
    """What differs. `bridge`, `attention` and `readout` are the names of the ways below; `before`: the context enters
    with the embedding."""

    cell: str = "gru"
    layers: int = 1
    both: bool = False
    hidden: int = 6
    of_encoder: int = 6
    bridge: str = "copy"
    attention: str = "none"
    before: bool = False
    readout: tuple[str, ...] = ("hidden",)
    readout_layer: bool = False
    combine: bool = False
    feeds: bool = False
    summed: bool = False
    tied: bool = False
    shared: bool = False
    context_first: bool = False
    cells: bool = False
    relu: bool = False


class Encoder(nn.Module):
    def __init__(self, form: Form, words: int, size: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(words, size)
        self.unit = CELLS[form.cell](size, form.of_encoder, form.layers, bidirectional=form.both)
        width = form.of_encoder * (2 if form.both else 1)
        if form.bridge in ("tanh", "linear"):
            self.fc_hidden = nn.Linear(width, form.hidden)
            if form.cell == "lstm":
                self.fc_cell = nn.Linear(width, form.hidden)


class Attention(nn.Module):
    def __init__(self, form: Form, memory: int) -> None:
        super().__init__()
        hidden = form.hidden
        if form.attention == "general":
            self.attn = nn.Linear(memory, hidden)
        elif form.attention == "concat":
            self.attn = nn.Linear(hidden + memory, 7)
            self.v = nn.Linear(7, 1, bias=False)
        elif form.attention == "vector":
            self.attn = nn.Linear(hidden + memory, hidden)
            self.vector = nn.Parameter(torch.randn(hidden))
        elif form.attention == "separate":
            self.W1 = nn.Linear(memory, 5, bias=False)
            self.W2 = nn.Linear(hidden, 5)
            self.V = nn.Linear(5, 1)
        elif form.attention == "energy":
            self.energy = nn.Linear(hidden + memory, 1)
        elif form.attention == "projected":
            self.query = nn.Linear(hidden, 5, bias=False)
            self.key = nn.Linear(memory, 5)


class Decoder(nn.Module):
    def __init__(self, form: Form, words: int, size: int, memory: int) -> None:
        super().__init__()
        if not form.shared:
            self.emb = nn.Embedding(words, size)
        if form.attention not in ("none", "dot", "fixed"):
            self.attention = Attention(form, memory)
        inputs = size + (memory if form.before else 0)
        if form.combine:
            self.attn_combine = nn.Linear(inputs, form.hidden)
            inputs = form.hidden
        sizes = {"hidden": form.hidden, "context": memory, "embedding": size}
        read = sum(sizes[name] for name in form.readout)
        width = size if form.tied else form.hidden
        if form.cells:
            self.cell = (nn.LSTMCell if form.cell == "lstm" else nn.GRUCell)(inputs, form.hidden)
        else:
            self.unit = CELLS[form.cell](inputs + (width if form.feeds else 0), form.hidden, form.layers)
        if form.readout_layer:
            self.concat = nn.Linear(read, width)
            read = width
        if not form.tied:
            self.fc_out = nn.Linear(read, words)


class Pair(nn.Module):
    """`step` follows the usual code of each form; one source without padding."""

    def __init__(self, form: Form, source: int, target: int, *, size: int = 4) -> None:
        super().__init__()
        self.form = form
        memory = form.of_encoder * (2 if form.both and not form.summed else 1)
        if form.shared:
            self.embedding = nn.Embedding(source, size)
        self.encoder = Encoder(form, source, size)
        if form.shared:
            del self.encoder.emb
        self.decoder = Decoder(form, target, size, memory)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.8, 0.8)

    def encode(self, ids: Sequence[int]) -> tuple[Tensor, State]:
        """Memory (source, memory), and the decoder's first state."""
        form, encoder = self.form, self.encoder
        table = self.embedding if form.shared else encoder.emb
        outputs, state = encoder.unit(table(torch.tensor(ids)))
        if form.summed:
            outputs = outputs[:, : form.of_encoder] + outputs[:, form.of_encoder :]
        parts = list(state) if isinstance(state, tuple) else [state]
        layers = (
            [encoder.fc_hidden, getattr(encoder, "fc_cell", None)] if form.bridge in ("tanh", "linear") else [None] * 2
        )
        started = [self._started(part, layer) for part, layer in zip(parts, layers, strict=False)]
        return outputs, tuple(started) if len(started) == 2 else started[0]

    def _started(self, last: Tensor, layer: Any) -> Tensor:
        """The encoder's last state (layers * directions, hidden) to the decoder's."""
        form = self.form
        if form.bridge == "zeros":
            return last.new_zeros(form.layers, form.hidden)
        if form.bridge == "first":
            return last[: form.layers]
        joined = torch.cat((last[0::2], last[1::2]), 1) if form.both else last
        if form.bridge == "sum":
            return last[0::2] + last[1::2]
        if layer is None:
            return joined
        made: Tensor = layer(joined)
        return torch.tanh(made) if form.bridge == "tanh" else made

    def step(
        self, token: int, memory: Tensor, state: State, fed: Tensor
    ) -> tuple[Tensor, State, Tensor, Tensor | None]:
        """Log-probabilities (words,), the next state, what is fed, and the weights (source,)."""
        form, decoder = self.form, self.decoder
        table = self.embedding if form.shared else decoder.emb
        embedded = table(torch.tensor(token))
        embedded = torch.relu(embedded) if form.relu else embedded
        hidden = state[0] if isinstance(state, tuple) else state
        context, weights = (None, None)
        inputs = embedded
        if form.before:
            context, weights = self._attend(hidden[-1], memory)
            parts = (context, embedded) if form.context_first else (embedded, context)
            inputs = torch.cat(parts)
        if form.combine:
            inputs = torch.relu(decoder.attn_combine(inputs))
        if form.feeds:
            inputs = torch.cat((inputs, fed))
        if form.cells:
            flat = tuple(part[0] for part in state) if isinstance(state, tuple) else state[0]
            made = decoder.cell(inputs, flat)
            output = made[0] if isinstance(made, tuple) else made
            state = tuple(part.unsqueeze(0) for part in made) if isinstance(made, tuple) else made.unsqueeze(0)
        else:
            outputs, state = decoder.unit(inputs.unsqueeze(0), state)
            output = outputs[0]
        if context is None and "context" in form.readout:
            context, weights = self._attend(output, memory)
        named = {"hidden": output, "context": context, "embedding": embedded}
        read = torch.cat([named[name] for name in form.readout])
        if form.readout_layer:
            read = torch.tanh(decoder.concat(read))
        logits = read @ table.weight.t() if form.tied else decoder.fc_out(read)
        return logits.log_softmax(0), state, read, weights

    def _attend(self, query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor | None]:
        form = self.form
        if form.attention == "fixed":
            return memory[-1], None
        both = torch.cat((query.expand(len(memory), -1), memory), 1)
        match form.attention:
            case "dot":
                scores = memory @ query
            case "general":
                scores = self.decoder.attention.attn(memory) @ query
            case "projected":
                scores = self.decoder.attention.key(memory) @ self.decoder.attention.query(query)
            case "concat":
                scores = self.decoder.attention.v(torch.tanh(self.decoder.attention.attn(both)))[:, 0]
            case "vector":
                scores = torch.tanh(self.decoder.attention.attn(both)) @ self.decoder.attention.vector
            case "separate":
                attention = self.decoder.attention
                scores = attention.V(torch.tanh(attention.W1(memory) + attention.W2(query)))[:, 0]
            case _:
                scores = torch.relu(self.decoder.attention.energy(both))[:, 0]
        weights = scores.softmax(0)
        return weights @ memory, weights

    @torch.no_grad()
    def greedy(
        self, ids: Sequence[int], *, start: int, stop: int, most: int
    ) -> tuple[list[int], list[Tensor], list[Tensor | None]]:
        """Tokens without the end, the log-probabilities of each step, and the weights."""
        memory, state = self.encode(ids)
        token, tokens, all_of_them, attended = start, [], [], []
        fed = torch.zeros(self.decoder.concat.out_features if self.form.readout_layer else 0)
        for _ in range(most):
            log_probs, state, fed, weights = self.step(token, memory, state, fed)
            token = int(log_probs.argmax())
            all_of_them.append(log_probs)
            attended.append(weights)
            if token == stop:
                break
            tokens.append(token)
        return tokens, all_of_them, attended
