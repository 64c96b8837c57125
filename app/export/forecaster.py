"""Forecasters as a model file."""

from app.export import sources
from app.export.code import Code, applied
from app.export.encoder import encoder, head, pooled
from app.export.program import Program
from app.export.recurrence import has_cell, name_of, recurrence
from app.store.forecaster import Forecaster
from app.store.manifest import Manifest

_ROWS = "Rows (batch, steps, features) to the rows that follow (batch, {}, targets), all scaled."


def forecaster(manifest: Manifest, config: Forecaster) -> Program:
    """A series to the rows that follow."""
    code = Code()
    program = Program(code, "")
    series = manifest.series
    assert series is not None  # see `Manifest`
    program.constants += sources.scaling("TARGET_", series.targets)
    sources.series(program, series)
    lines = encoder(code, config.encoder)
    if config.is_stepwise:
        _stepwise(program, manifest, config, lines)
        program.main.append(f"forecast = model(source(rows), {config.horizon})[0]")
    else:
        program.method("forward(self, x)", _ROWS.format(config.horizon), [*lines, *_at_once(code, config)])
        program.main.append("forecast = model(source(rows))[0]")
    program.main.append("forecast = forecast.double() * TARGET_SCALE + TARGET_SHIFT")
    if any(target.log1p for target in series.targets):
        program.main.append("forecast = torch.where(TARGET_LOG1P, forecast.expm1(), forecast)")
    program.main += [
        'print(*TARGET_NAMES, sep=",")',
        "for row in forecast.tolist():",
        '    print(*(f"{number:.6g}" for number in row), sep=",")',
    ]
    return program


def _at_once(code: Code, config: Forecaster) -> list[str]:
    if config.per_step:
        return [f"x = x[:, -{config.horizon}:]", *_head(code, config, config.encoder.memory_size, over_steps=True)]
    lines = pooled(code, config)
    if config.decoder is not None:
        made = config.decoder.recurrence(config.pooled_size)
        call = recurrence(code, f"decoder_{name_of(made)}", made, "decoder.recurrence")
        first = ", state" if config.decoder.continues else ""
        lines += [f"x, _ = {call}(x.unsqueeze(1).repeat(1, {config.horizon}, 1){first})"]
        return [*lines, *_head(code, config, config.decoder.hidden_size, over_steps=True)]
    lines += _head(code, config, config.pooled_size)[:-1]
    return [*lines, f"return x.view(-1, {config.horizon}, {config.targets})"]


def _head(code: Code, config: Forecaster, inputs: int, *, over_steps: bool = False) -> list[str]:
    outputs = config.targets if over_steps or config.is_stepwise else config.horizon * config.targets
    lines = head(code, config.head, inputs, outputs, config.norm, over_steps=over_steps)
    if config.output_activation != "none":
        lines.append(f"x = {applied(config.output_activation, 'x', config.slope)}")
    return [*lines, "return x"]


def _stepwise(program: Program, manifest: Manifest, config: Forecaster, encode: list[str]) -> None:
    """Rows that are made one after the other, as many as are wanted."""
    code = program.code
    rows = _ROWS.format("count")
    if config.feedback == "window":
        answer = [*encode, *pooled(code, config), *_head(code, config, config.pooled_size)]
        program.method("next(self, x)", "A window to the row after it (batch, targets).", answer)
        moved = [
            "rows = []",
            "for _ in range(count):",
            "    rows.append(self.next(x))",
            "    x = torch.cat([x[:, 1:], rows[-1].unsqueeze(1)], 1)  # the window moves",
            "return torch.stack(rows, 1)",
        ]
        program.method("forward(self, x, count)", rows, moved)
        return
    decoder = config.decoder
    width = config.encoder.recurrence.hidden_size
    if decoder is None:
        call = f"self.{name_of(config.encoder.recurrence)}"
        lines, hidden = [*encode, "rows = [self.row(last)]"], config.encoder.recurrence
        loop = "while len(rows) < count:"
    else:
        assert manifest.series is not None
        made = decoder.recurrence(config.targets)
        call, hidden = recurrence(code, f"decoder_{name_of(made)}", made, "decoder.recurrence"), made
        places = [
            manifest.series.features.index(target)
            for target in manifest.series.targets
            if decoder.first_input == "last"
        ]
        first = f"x[:, -1, {places}]" if decoder.first_input == "last" else f"x.new_zeros(len(x), {config.targets})"
        lines = [f"row = {first}", *encode, "rows = []"]
        loop = "while len(rows) < count:"
        width = decoder.hidden_size
    last = "state[0][-1]" if has_cell(hidden) else "state[-1]"
    before = "rows[-1]" if decoder is None else "row"
    step = [loop, f"    _, state = {call}({before}.unsqueeze(1), state)"]
    if decoder is None:
        step.append(f"    rows.append(self.row({last}))")
    else:
        step += [f"    row = self.row({last})", "    rows.append(row)"]
    program.method(
        "row(self, x)", "The last state (batch, hidden) to a row (batch, targets).", _head(code, config, width)
    )
    program.method("forward(self, x, count)", rows, [*lines, *step, "return torch.stack(rows, 1)"])
