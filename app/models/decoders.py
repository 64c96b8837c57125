"""Decoder: a recurrent state to logits over the next token, step by step."""

from typing import assert_never

import torch
from torch import Tensor, nn

from app.models.attention import Attention
from app.models.cells import RecurrentState
from app.models.encoders import Encoded, TextEncoder
from app.models.recurrent import Recurrent, RecurrentSteps
from app.models.state import State
from app.store.decoder import Decoder as DecoderConfig
from app.store.recurrence import CELLS


class Decoder(nn.Module):
    """`start` makes the first state, `step` decodes one token per row, `unroll` takes all steps of known targets."""

    def __init__(
        self,
        config: DecoderConfig,
        *,
        memory_size: int,
        summary_size: int,
        state_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        """`state_size` is the width of the last state of a layer of the encoder, its directions side by side."""
        super().__init__()
        self.config = config
        self.attends = config.attention.kind != "none"
        self.has_cell = CELLS[config.cell].has_cell
        if config.attention.kind == "fixed":
            memory_size = summary_size
        context_size = memory_size if self.attends else 0
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.1)  # with `tied_output` also the output layer's
        self.feeds = config.readout_size if config.input_feeding else None
        input_size = config.embedding_size + (context_size if config.context == "input" else 0) + (self.feeds or 0)
        if config.input_size is not None:
            self.input = nn.Linear(input_size, config.input_size)
        self.recurrence = Recurrent(config.recurrence(config.input_size or input_size), dropout=dropout)
        if self.attends:
            self.attention = Attention(
                config.attention,
                memory_size=memory_size,
                query_size=config.hidden_size,
                embedding_size=config.embedding_size,
            )
        if config.bridge in ("linear", "tanh"):
            self.bridge_hidden = nn.Linear(summary_size, config.layers * config.hidden_size)
            if self.has_cell:
                self.bridge_cell = nn.Linear(summary_size, config.layers * config.hidden_size)
        elif config.bridge in ("layerwise", "layerwise_tanh"):
            self.bridge_hidden = nn.Linear(state_size or summary_size, config.hidden_size)
            if self.has_cell:
                self.bridge_cell = nn.Linear(state_size or summary_size, config.hidden_size)
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
        """Use embedding and recurrence of an encoder, as a language model does."""
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
        if self.attends:
            is_fixed = config.attention.kind == "fixed"
            memory = encoded.summary.unsqueeze(1) if is_fixed else encoded.memory
            state["memory"] = memory
            state["keys"] = self.attention.keys(memory)
            state["memory_mask"] = encoded.memory_mask[:, :1] if is_fixed else encoded.counted
        if config.first_input == "summary":
            state["first"] = encoded.summary
            state["is_first"] = torch.ones(len(hidden), 1, dtype=torch.bool, device=hidden.device)
        if self.feeds is not None:
            state["fed"] = hidden.new_zeros(len(hidden), self.feeds)
        return state

    def start_at_zero(self, tokens: Tensor) -> State:
        """The state of a decoder without a source, one row per row of tokens (batch, ...)."""
        hidden, cell = self.recurrence.initial_state(len(tokens), self.embedding.weight)
        return State(hidden=hidden) if cell is None else State(hidden=hidden, cell=cell)

    def _bridge(self, encoded: Encoded) -> RecurrentState:
        bridge = self.config.bridge
        match bridge:
            case "zeros":
                return self.recurrence.initial_state(len(encoded.summary), encoded.summary)
            case "copy":
                assert encoded.state is not None
                return encoded.state
            case "join" | "first":
                assert encoded.state is not None
                hidden, cell = encoded.state
                rows = self._joined_rows if bridge == "join" else self._first_rows
                return RecurrentState(rows(hidden), None if cell is None else rows(cell))
            case "linear" | "tanh":
                hidden = self._bridged(self.bridge_hidden, encoded.summary)
                return RecurrentState(
                    hidden, self._bridged(self.bridge_cell, encoded.summary) if self.has_cell else None
                )
            case "layerwise" | "layerwise_tanh":
                assert encoded.state is not None
                hidden, cell = encoded.state
                hidden = self._layerwise(self.bridge_hidden, hidden)
                return RecurrentState(hidden, None if cell is None else self._layerwise(self.bridge_cell, cell))
            case _:
                assert_never(bridge)

    def _joined_rows(self, last: Tensor) -> Tensor:
        """An encoder's last hidden or cell (batch, layers * 2, hidden) to (batch, layers, 2 * hidden)."""
        return last.reshape(len(last), self.config.layers, self.config.hidden_size)

    def _layerwise(self, layer: nn.Linear, last: Tensor) -> Tensor:
        """An encoder's last hidden or cell (batch, layers * directions, hidden) to (batch, layers, hidden)."""
        values: Tensor = layer(last.reshape(len(last), self.config.layers, -1))
        return torch.tanh(values) if self.config.bridge == "layerwise_tanh" else values

    def _first_rows(self, last: Tensor) -> Tensor:
        """An encoder's last hidden or cell (batch, layers * directions, hidden) to (batch, layers, hidden)."""
        return last[:, : self.config.layers]

    def _bridged(self, layer: nn.Linear, summary: Tensor) -> Tensor:
        """An encoder's summary (batch, summary) to (batch, layers, hidden)."""
        values: Tensor = layer(summary)
        values = torch.tanh(values) if self.config.bridge == "tanh" else values
        return values.view(len(summary), self.config.layers, self.config.hidden_size)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """tokens (batch,) to logits (batch, vocabulary), the next state, and attention weights (batch, source)."""
        features, advanced, weights = self.advance(tokens, state, self.recurrence)
        return self.output(features).squeeze(1), advanced, weights

    def advance(self, tokens: Tensor, state: State, recurrence: RecurrentSteps) -> tuple[Tensor, State, Tensor | None]:
        """`step`, up to the input of the output layer (batch, 1, features). `recurrence` computes the layers."""
        embedded = self._embed(tokens)
        advanced = state.copy()
        if "is_first" in state:
            embedded = torch.where(state["is_first"], state["first"], embedded)
            advanced["is_first"] = torch.zeros_like(state["is_first"])
        recurrent = RecurrentState(state["hidden"], state.get("cell"))
        context, weights = None, None
        inputs = embedded
        if self.attends and self.config.context == "input":
            context, weights = self._attend(recurrent.hidden[:, -1:], embedded.unsqueeze(1), state)
            inputs = torch.cat((embedded, context.squeeze(1)), 1)
        if "fed" in state:
            inputs = torch.cat((inputs, state["fed"]), 1)
        if self.config.input_size is not None:
            inputs = torch.relu(self.input(inputs))
        output, recurrent = recurrence.step(inputs, recurrent)
        if self.attends and self.config.context == "output":
            context, weights = self._attend(output.unsqueeze(1), embedded.unsqueeze(1), state)
        features = self._features(output.unsqueeze(1), context, embedded.unsqueeze(1))
        advanced["hidden"] = recurrent.hidden
        if recurrent.cell is not None:
            advanced["cell"] = recurrent.cell
        if "fed" in state:
            advanced["fed"] = features.squeeze(1)
        return features, advanced, None if weights is None else weights.squeeze(1)

    @property
    def _is_one_pass(self) -> bool:
        """Whether a step needs only hidden and cell of the step before."""
        config = self.config
        needs_context = self.attends and config.context == "input"
        return not (needs_context or config.input_feeding or config.input_size or config.first_input == "summary")

    def unroll(self, tokens: Tensor, state: State) -> Tensor:
        """tokens (batch, target), the inputs of the steps, to logits (batch, target, vocabulary).

        Equal to one `step` per position; a single pass where no step needs the context of the step before.
        """
        if not self._is_one_pass:
            logits = []
            for position in range(tokens.shape[1]):
                step_logits, state, _ = self.step(tokens[:, position], state)
                logits.append(step_logits)
            return torch.stack(logits, 1)
        all_logits: Tensor = self.output(self.features(tokens, state))
        return all_logits

    def features(self, tokens: Tensor, state: State) -> Tensor:
        """The input of the output layer when `unroll` is one pass: (batch, target, features)."""
        embedded = self._embed(tokens)
        lengths = torch.full((tokens.shape[0],), tokens.shape[1], device=tokens.device)
        output, _ = self.recurrence.unroll(embedded, lengths, RecurrentState(state["hidden"], state.get("cell")))
        context = self._attend(output, embedded, state)[0] if self.attends else None
        return self._features(output, context, embedded)

    def _embed(self, tokens: Tensor) -> Tensor:
        """tokens (batch, ...) to (batch, ..., embedding)."""
        embedded: Tensor = self.dropout(self.embedding(tokens))
        return embedded if self.config.embedding_activation is None else torch.relu(embedded)

    def _attend(self, query: Tensor, embedded: Tensor, state: State) -> tuple[Tensor, Tensor]:
        context, weights = self.attention(query, state["keys"], state["memory"], state["memory_mask"], embedded)
        return context, weights

    def _features(self, hidden: Tensor, context: Tensor | None, embedded: Tensor) -> Tensor:
        """The input of the output layer, from the (batch, target, ...) parts that `readout` names."""
        parts = {"hidden": hidden, "context": context, "embedding": embedded}
        chosen = [part for name in self.config.readout if (part := parts[name]) is not None]
        read = torch.cat(chosen, 2) if len(chosen) > 1 else chosen[0]
        if self.config.readout_size is not None:
            read = torch.tanh(self.readout(read))
        features: Tensor = self.dropout(read)
        return features
