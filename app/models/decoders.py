"""Decoder: the state after a source to logits over the next token, step by step."""

import torch
from torch import Tensor, nn

from app.models.attention import Attention
from app.models.cells import Recurrent, RecurrentState
from app.models.encoders import Encoded, TextEncoder
from app.models.state import State
from app.store.architecture import Decoder as DecoderConfig
from app.store.architecture import Recurrence


class Decoder(nn.Module):
    """`start` makes the state, `step` advances every row by one token, `unroll` takes all steps of known targets."""

    def __init__(self, config: DecoderConfig, *, memory_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.attends = config.attention.kind != "none"
        context_size = memory_size if self.attends else 0
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.1)  # also the output layer's, where it is tied
        self.recurrence = Recurrent(
            Recurrence(
                cell=config.cell,
                input_size=config.embedding_size + (context_size if config.context == "input" else 0),
                hidden_size=config.hidden_size,
                layers=config.layers,
            ),
            dropout=dropout,
        )
        if self.attends:
            self.attention = Attention(config.attention, memory_size=memory_size, query_size=config.hidden_size)
        if config.bridge in ("linear", "tanh"):
            self.bridge_hidden = nn.Linear(memory_size, config.layers * config.hidden_size)
            if config.cell == "lstm":
                self.bridge_cell = nn.Linear(memory_size, config.layers * config.hidden_size)
        sizes = {"hidden": config.hidden_size, "context": context_size, "embedding": config.embedding_size}
        width = sum(sizes[name] for name in config.readout)
        if config.readout_size is not None:
            self.readout = nn.Linear(width, config.readout_size)
            width = config.readout_size
        self.output = nn.Linear(width, config.vocabulary_size)
        if config.tied_output:
            self.output.weight = self.embedding.weight
        self.dropout = nn.Dropout(dropout)

    def share(self, encoder: TextEncoder) -> None:
        """Embed and recur with the weights of an encoder: what a language model does."""
        self.embedding, self.recurrence = encoder.embedding, encoder.recurrence
        if self.config.tied_output:
            self.output.weight = self.embedding.weight

    def start(self, encoded: Encoded) -> State:
        """The state before the first token, one row per source."""
        config = self.config
        hidden, cell = self._bridge(encoded)
        state = State(hidden=hidden)
        if cell is not None:
            state["cell"] = cell
        if config.attention.kind != "none":
            state["memory"] = encoded.memory
            state["keys"] = self.attention.keys(encoded.memory)
            state["memory_mask"] = encoded.memory_mask
        return state

    def start_at_zero(self, tokens: Tensor) -> State:
        """The state of a decoder that has read nothing yet, one row per row of tokens (batch, ...)."""
        hidden, cell = self.recurrence.initial_state(len(tokens), self.embedding.weight)
        return State(hidden=hidden) if cell is None else State(hidden=hidden, cell=cell)

    def _bridge(self, encoded: Encoded) -> RecurrentState:
        config = self.config
        batch = encoded.summary.shape[0]
        if config.bridge == "zeros":
            return self.recurrence.initial_state(batch, encoded.summary)
        if config.bridge == "copy":
            assert encoded.state is not None
            return encoded.state
        activation = torch.tanh if config.bridge == "tanh" else nn.Identity()
        shape = (batch, config.layers, config.hidden_size)
        hidden = activation(self.bridge_hidden(encoded.summary)).view(shape)
        cell = activation(self.bridge_cell(encoded.summary)).view(shape) if config.cell == "lstm" else None
        return RecurrentState(hidden, cell)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """tokens (batch,) to logits (batch, vocabulary), the next state, and attention weights (batch, source)."""
        embedded = self.dropout(self.embedding(tokens))
        recurrent = RecurrentState(state["hidden"], state.get("cell"))
        context, weights = None, None
        inputs = embedded
        if self.attends and self.config.context == "input":
            context, weights = self._attend(recurrent.hidden[:, -1:], state)
            inputs = torch.cat((embedded, context.squeeze(1)), 1)
        output, recurrent = self.recurrence.step(inputs, recurrent)
        if self.attends and self.config.context == "output":
            context, weights = self._attend(output.unsqueeze(1), state)
        logits = self.output(self._features(output.unsqueeze(1), context, embedded.unsqueeze(1))).squeeze(1)
        advanced = state.copy()
        advanced["hidden"] = recurrent.hidden
        if recurrent.cell is not None:
            advanced["cell"] = recurrent.cell
        return logits, advanced, None if weights is None else weights.squeeze(1)

    def unroll(self, tokens: Tensor, state: State) -> Tensor:
        """tokens (batch, target), each the input of its step, to logits (batch, target, vocabulary).

        The same as `step` after `step`. Where no step needs the context of the one before, all are one pass.
        """
        if self.attends and self.config.context == "input":
            logits = []
            for position in range(tokens.shape[1]):
                step_logits, state, _ = self.step(tokens[:, position], state)
                logits.append(step_logits)
            return torch.stack(logits, 1)
        all_logits: Tensor = self.output(self.features(tokens, state))
        return all_logits

    def features(self, tokens: Tensor, state: State) -> Tensor:
        """What the output layer reads when `unroll` is one pass: (batch, target, features)."""
        embedded = self.dropout(self.embedding(tokens))
        lengths = torch.full((tokens.shape[0],), tokens.shape[1], device=tokens.device)
        output, _ = self.recurrence.unroll(embedded, lengths, RecurrentState(state["hidden"], state.get("cell")))
        context = self._attend(output, state)[0] if self.attends else None
        return self._features(output, context, embedded)

    def _attend(self, query: Tensor, state: State) -> tuple[Tensor, Tensor]:
        context, weights = self.attention(query, state["keys"], state["memory"], state["memory_mask"])
        return context, weights

    def _features(self, hidden: Tensor, context: Tensor | None, embedded: Tensor) -> Tensor:
        """What the output layer reads of (batch, target, ...) parts named by `readout`."""
        parts = {"hidden": hidden, "context": context, "embedding": embedded}
        chosen = [part for name in self.config.readout if (part := parts[name]) is not None]
        read = torch.cat(chosen, 2) if len(chosen) > 1 else chosen[0]
        if self.config.readout_size is not None:
            read = torch.tanh(self.readout(read))
        features: Tensor = self.dropout(read)
        return features
