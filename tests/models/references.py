"""References for the tests: slow code, one row and one step at a time, or torch.nn's own modules."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from app.models.cells import RecurrentState
from app.models.encoders import Encoded
from app.store.attention import AttentionKind
from app.store.decoder import Decoder
from app.store.recurrence import Recurrence


def mask_of(lengths: Tensor, width: int) -> Tensor:
    """(batch, width), true on the first `lengths` positions of each row."""
    mask = torch.zeros(len(lengths), width, dtype=torch.bool)
    for row, length in enumerate(lengths.tolist()):
        mask[row, :length] = True
    return mask


def torch_module(spec: Recurrence, dropout: float = 0.0) -> nn.RNNBase:
    """torch.nn's module of the same shape."""
    bidirectional = spec.directions == 2
    sizes = spec.input_size, spec.hidden_size, spec.layers
    if spec.cell == "lstm":
        return nn.LSTM(*sizes, batch_first=True, dropout=dropout, bidirectional=bidirectional)
    if spec.cell == "gru":
        return nn.GRU(*sizes, batch_first=True, dropout=dropout, bidirectional=bidirectional)
    nonlinearity = {"rnn_tanh": "tanh", "rnn_relu": "relu"}[spec.cell]
    return nn.RNN(*sizes, nonlinearity, batch_first=True, dropout=dropout, bidirectional=bidirectional)


def unroll_packed(
    module: nn.RNNBase, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None
) -> tuple[Tensor, RecurrentState]:
    """torch.nn's module on a packed sequence, its answer in the layout of `Recurrent.unroll`."""
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    start: Tensor | tuple[Tensor, Tensor] | None = None
    if state is not None:
        start = state.hidden.transpose(0, 1).contiguous()
        if state.cell is not None:
            start = start, state.cell.transpose(0, 1).contiguous()
    packed_outputs, last = module(packed, start)
    outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=inputs.shape[1])
    hidden, cell = last if isinstance(last, tuple) else (last, None)
    return outputs, RecurrentState(hidden.transpose(0, 1), None if cell is None else cell.transpose(0, 1))


def attend(kind: AttentionKind, weights: dict[str, Tensor], query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """One query (query,) and the real rows of one memory (source, memory): context (memory,), weights (source,).

    Luong et al. (2015) equations 7 and 8, Bahdanau et al. (2015) appendix A.1.2; the gate of Xu et al. (2015,
    section 4.2.1) is one number per feature of the context here.
    """
    scores = []
    for row in memory:
        if kind == "dot":
            scores.append(torch.dot(query, row))
        elif kind == "general":
            scores.append(torch.dot(query, torch.mv(weights["key.weight"], row)))
        else:
            key = torch.mv(weights["key.weight"], row) + weights["key.bias"]
            asked = torch.mv(weights["query.weight"], query) + weights["query.bias"]
            scores.append(torch.dot(weights["score.weight"][0], torch.tanh(asked + key)))
    powers = [torch.exp(score - max(scores)) for score in scores]
    shares = [power / sum(powers) for power in powers]
    context = torch.zeros_like(memory[0])
    for share, row in zip(shares, memory, strict=True):
        context = context + share * row
    if kind == "gated":
        gate = 1 / (1 + torch.exp(-(torch.mv(weights["gate.weight"], query) + weights["gate.bias"])))
        context = gate * context
    return context, torch.stack(shares)


def encode_row(spec: Recurrence, weights: dict[str, Tensor], tokens: Tensor) -> Encoded:
    """One unpadded source (source,) through torch.nn's module; `weights` of a `TextEncoder`, answers of batch 1."""
    module = torch_module(spec)
    module.load_state_dict(_under("recurrence.", weights))
    embedded = torch.stack([weights["embedding.weight"][token] for token in tokens])
    memory, state = unroll_packed(module, embedded.unsqueeze(0), torch.tensor([len(tokens)]))
    last = [memory[:, -1, : spec.hidden_size]]  # forward ends at the last token, backward at the first
    if spec.directions == 2:
        last.append(memory[:, 0, spec.hidden_size :])
    return Encoded(memory, torch.ones(1, len(tokens), dtype=torch.bool), torch.cat(last, 1), state)


def decode(config: Decoder, weights: dict[str, Tensor], encoded: Encoded, tokens: Tensor) -> Tensor:
    """Logits (batch, target, vocabulary), from the papers' formulas, row by row and step by step."""
    attended = encoded.memory.shape[2] if config.attention.kind != "none" and config.context == "input" else 0
    spec = Recurrence(
        cell=config.cell,
        input_size=config.embedding_size + attended,
        hidden_size=config.hidden_size,
        layers=config.layers,
    )
    module = torch_module(spec)
    module.load_state_dict(_under("recurrence.", weights))
    return torch.stack([_decode_row(config, weights, module, encoded, tokens, row) for row in range(len(tokens))])


def _decode_row(
    config: Decoder, weights: dict[str, Tensor], module: nn.RNNBase, encoded: Encoded, tokens: Tensor, row: int
) -> Tensor:
    memory = torch.stack([encoded.memory[row, i] for i, real in enumerate(encoded.memory_mask[row]) if real])
    attention = _under("attention.", weights)
    state = _first_state(config, weights, encoded, row)
    logits = []
    for token in tokens[row]:
        embedded = weights["embedding.weight"][token]
        parts = {"embedding": embedded}
        inputs = embedded
        if config.attention.kind != "none" and config.context == "input":
            parts["context"], _ = attend(config.attention.kind, attention, state.hidden[0, -1], memory)
            inputs = torch.cat((embedded, parts["context"]))
        output, state = unroll_packed(module, inputs.view(1, 1, -1), torch.tensor([1]), state)
        parts["hidden"] = output[0, 0]
        if config.attention.kind != "none" and config.context == "output":
            parts["context"], _ = attend(config.attention.kind, attention, output[0, 0], memory)
        read = torch.cat([parts[name] for name in config.readout])
        if config.readout_size is not None:
            read = torch.tanh(torch.mv(weights["readout.weight"], read) + weights["readout.bias"])
        table = weights["embedding.weight" if config.tied_output else "output.weight"]
        logits.append(torch.mv(table, read) + weights["output.bias"])
    return torch.stack(logits)


def _first_state(config: Decoder, weights: dict[str, Tensor], encoded: Encoded, row: int) -> RecurrentState:
    def bridged(name: str) -> Tensor:
        layers = []
        for layer in range(config.layers):
            units = slice(layer * config.hidden_size, (layer + 1) * config.hidden_size)
            if config.bridge == "zeros":
                layers.append(torch.zeros(config.hidden_size))
                continue
            values = torch.mv(weights[f"{name}.weight"][units], encoded.summary[row]) + weights[f"{name}.bias"][units]
            layers.append(torch.tanh(values) if config.bridge == "tanh" else values)
        return torch.stack(layers).unsqueeze(0)

    if config.bridge == "copy":
        assert encoded.state is not None
        cell = encoded.state.cell
        return RecurrentState(encoded.state.hidden[row : row + 1], None if cell is None else cell[row : row + 1])
    return RecurrentState(bridged("bridge_hidden"), bridged("bridge_cell") if config.cell == "lstm" else None)


def _under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): values for name, values in weights.items() if name.startswith(prefix)}
