"""What the command of a model file reads: token ids of a text, or rows of numbers in their own units."""

from collections.abc import Sequence

from app.export.program import Program
from app.store.manifest import Manifest
from app.store.series_input import Feature, SeriesInput
from app.store.text_input import TokenizerUse

IDS = "ids = torch.tensor([[int(argument) for argument in arguments]])"


def text(manifest: Manifest) -> str:
    """What the arguments are, for a network over texts."""
    use = manifest.tokenizer
    assert use is not None  # see `Manifest`
    return f"    python model.py 5 17 3\n\nreads token ids. {_rules(use)}"


def _rules(use: TokenizerUse) -> str:
    said = [f"{use.file} has the words (library tokenizers)."]
    if use.split != "file":
        said.append(f"Texts are split into words by {use.split}.")
    if use.cleaning:
        said.append("Before, they are cleaned as manifest.json says (tokenizer.cleaning).")
    if use.lower:
        said.append("Words are in lower case.")
    if use.reverse:
        said.append("Ids are in reverse order.")
    if use.prepend:
        said.append(f"Put {' '.join(map(str, use.prepend))} before the ids.")
    if use.append:
        said.append(f"Put {' '.join(map(str, use.append))} after the ids.")
    if use.length is not None:
        pad = f", and pad with {use.length.pad} on the {use.length.pad_side}" if use.length.pad is not None else ""
        said.append(f"Cut to {use.length.to} ids on the {use.length.cut_side}{pad}.")
    return "\n".join(said)


def series(program: Program, series: SeriesInput) -> None:
    """Add the scaling of the features, and a function that reads rows."""
    names = ", ".join(feature.name for feature in series.features)
    window = f"The last {series.window} steps count." if series.window else "A series has any length."
    program.reads = (
        f"    python model.py {' '.join([','.join(['1.5'] * min(len(series.features), 3))] * 3)} ...\n\n"
        f"reads one argument a step, with commas between its numbers:\n{names}. {window}"
    )
    program.constants += scaling("", series.features)
    lines = ["x = torch.tensor(rows, dtype=torch.float64)"]
    if series.window is not None:
        lines.append(f"x = x[-{series.window}:]")
    if any(feature.log1p for feature in series.features):
        lines.append("x = torch.where(LOG1P, x.clamp(min=-1).log1p(), x)")
    lines.append("x = ((x - SHIFT) / SCALE).float()")
    if series.pad != "refuse":
        missing = f"{series.window} - len(x)"
        sides = f"(0, 0, {missing}, 0)" if series.pad == "left" else f"(0, 0, 0, {missing})"
        lines.append(f"x = nn.functional.pad(x, {sides}, value={series.pad_value})")
    elif series.window is not None:
        lines += [f"if len(x) < {series.window}:", f'    sys.exit("the network reads {series.window} steps")']
    program.function(
        "source(rows)",
        "Rows in their own units to the numbers that the network reads (1, steps, features).",
        [*lines, "return x.unsqueeze(0)"],
    )
    program.main.append(
        "rows = [[float(number) for number in argument.split(',')] for argument in arguments]".replace("'", '"')
    )


def scaling(prefix: str, features: Sequence[Feature]) -> list[str]:
    """Constants: (x - shift) / scale, and for which columns ln(1 + x) comes first."""
    shifts, scales = zip(*(feature.affine for feature in features), strict=True)
    names = [feature.name for feature in features]
    lines = [
        f"{prefix}NAMES = {names!r}",
        f"{prefix}SHIFT = torch.tensor({list(shifts)!r}, dtype=torch.float64)",
        f"{prefix}SCALE = torch.tensor({list(scales)!r}, dtype=torch.float64)",
    ]
    if any(feature.log1p for feature in features):
        lines.append(f"{prefix}LOG1P = torch.tensor({[feature.log1p for feature in features]!r})")
    return lines
