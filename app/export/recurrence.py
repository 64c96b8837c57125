"""Recurrences as code: `torch.nn` where it has the cell, and otherwise a class with the equations of the cell."""

from app.export.code import INDENT, Code, applied
from app.store.recurrence import CELLS, Join, KeptInput, Recurrence

_CELL = "Recurrence"
_CLASSES = {"rnn_tanh": "RNN", "rnn_relu": "RNN", "gru": "GRU", "lstm": "LSTM"}


def recurrence(code: Code, name: str, config: Recurrence, ours: str) -> str:
    """Add a stack of recurrent layers. Called with (batch, steps, features) and perhaps a state, it returns outputs and
    the last state, as `torch.nn` does."""
    if not config.is_usual:
        return code.part(name, f"{_own_cell(code, config)}({_sizes(config)})", ours)
    options = f"{config.input_size}, {config.hidden_size}"
    if config.layers > 1:
        options += f", num_layers={config.layers}"
    if config.cell == "rnn_relu":
        options += ', nonlinearity="relu"'
    options += ", batch_first=True" + (", bidirectional=True" if config.directions == 2 else "")
    return code.part(name, f"nn.{_CLASSES[config.cell]}({options})", ours)


def name_of(config: Recurrence) -> str:
    """The usual name of such a part: lstm, gru or rnn."""
    return _CLASSES[config.cell].lower()


def has_cell(config: Recurrence) -> bool:
    return CELLS[config.cell].has_cell


def unrolled(call: str, config: Recurrence, *, state: str = "state") -> list[str]:
    """Lines that read `x`, and leave outputs in `x` and the last state in `state`."""
    flip = ["x = x.flip(1)"] if config.reverse else []
    return [*flip, f"x, {state} = {call}(x)"]


def kept(keeps_input: KeptInput | None, reading: list[str]) -> list[str]:
    """The lines of `reading`, which leave outputs in `x`, with what they read beside them."""
    if keeps_input is None:
        return reading
    both = "given, x" if keeps_input == "before" else "x, given"
    return ["given = x", *reading, f"x = torch.cat([{both}], 2)"]


def last_of(config: Recurrence, join: Join, state: str = "state", *, part: int = 0) -> str:
    """The last states of the top layer (batch, features), both directions joined; with `part` 1 its cell states."""
    hidden = f"{state}[{part}]" if has_cell(config) else state
    if config.directions == 1:
        return f"{hidden}[-1]"
    if join == "concatenate":
        return f"torch.cat([{hidden}[-2], {hidden}[-1]], 1)"
    return f"{hidden}[-2:].{_joins(join)}(0)"


def joined(config: Recurrence, join: Join, rows: str = "x") -> list[str]:
    """Lines that join the directions of the outputs."""
    if config.directions == 1 or join == "concatenate":
        return []
    return [f"{rows} = {rows}.unflatten(2, (2, -1)).{_joins(join)}(2)"]


def _joins(join: Join) -> str:
    return {"sum": "sum", "mean": "mean", "product": "prod"}[join]


def _sizes(config: Recurrence) -> str:
    return f"{config.input_size}, {config.hidden_size}, {config.layers}, {config.directions}"


def _own_cell(code: Code, config: Recurrence) -> str:
    """The name of a class with this cell."""
    text = _CLASS.format(
        blocks=CELLS[config.cell].blocks,
        step="\n".join(INDENT * 2 + line for line in _step(config)),
        doc=config.words,
        first="(zeros, zeros)" if has_cell(config) else "zeros",
        get="h, c = state[0][row], state[1][row]" if has_cell(config) else "h, c = state[row], None",
        result="(torch.stack(hs), torch.stack(cs))" if has_cell(config) else "torch.stack(hs)",
    )
    name = next((name for name, written in code.helpers.items() if written == text), None)
    if name is None:
        number = sum(other.startswith(_CELL) for other in code.helpers) + 1
        name = _CELL if number == 1 else f"{_CELL}{number}"
        code.helpers[name] = text
    return name


def _step(config: Recurrence) -> list[str]:
    """The lines of `step`, after `app/models/gates.py`."""

    def act(value: str) -> str:
        return applied(config.activation, value, config.slope)

    def gate(value: str) -> str:
        return applied(config.recurrent_activation, value)

    if config.cell == "lstm":
        return [
            "i, f, g, o = (x + h @ w.T + b).chunk(4, 1)",
            f"c = {gate('f')} * c + {gate('i')} * {act('g')}",
            f"return {gate('o')} * {act('c')}, c",
        ]
    if config.cell == "gru":
        candidate = "r * (h @ w[n:].T + b[n:])" if config.reset_after else "(r * h) @ w[n:].T + b[n:]"
        return [
            "n = 2 * h.shape[1]",
            f"r, z = {gate('(x[:, :n] + h @ w[:n].T + b[:n])')}.chunk(2, 1)",
            f"new = {act(f'(x[:, n:] + {candidate})')}",
            "return (1 - z) * new + z * h, None",
        ]
    return [f"return {act('(x + h @ w.T + b)')}, None"]


_CLASS = '''class NAME(nn.Module):
    """Layers of a cell that torch.nn does not have: {doc}. Parameters and calls are as in torch.nn."""

    def __init__(self, inputs, size, layers, directions):
        super().__init__()
        self.size, self.layers, self.suffixes = size, layers, ["", "_reverse"][:directions]
        for layer in range(layers):
            for suffix in self.suffixes:
                width = inputs if layer == 0 else size * directions
                for name, shape in [("weight_ih", (width,)), ("weight_hh", (size,)), ("bias_ih", ()), ("bias_hh", ())]:
                    tensor = torch.zeros({blocks} * size, *shape)
                    self.register_parameter(f"{{name}}_l{{layer}}{{suffix}}", nn.Parameter(tensor))

    def step(self, x, h, c, w, b):
{step}

    def forward(self, x, state=None):
        if state is None:
            zeros = x.new_zeros(self.layers * len(self.suffixes), len(x), self.size)
            state = {first}
        hs, cs = [], []
        for layer in range(self.layers):
            both = []
            for suffix in self.suffixes:
                wi, wh, bi, bh = (
                    getattr(self, f"{{name}}_l{{layer}}{{suffix}}")
                    for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
                )
                row = len(hs)
                {get}
                fresh = x @ wi.T + bi
                outputs = []
                for place in reversed(range(x.shape[1])) if suffix else range(x.shape[1]):
                    h, c = self.step(fresh[:, place], h, c, wh, bh)
                    outputs.append(h)
                hs.append(h)
                cs.append(c)
                both.append(torch.stack(outputs[::-1] if suffix else outputs, 1))
            x = torch.cat(both, 2)
        return x, {result}
'''
