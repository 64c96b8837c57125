"""The parts of a model file: constants, a class, and a small `main`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.export.code import INDENT, Code
from app.store.manifest import Manifest


@dataclass
class Program:
    """`reads` says what the arguments of the command are; `methods` are those of the class beside `__init__`; `main`
    are lines that know `model` and `arguments`; `functions` stand before it."""

    code: Code
    reads: str
    constants: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    main: list[str] = field(default_factory=list)

    def method(self, signature: str, doc: str, lines: Sequence[str]) -> None:
        """Add a method to the class."""
        self.methods.append("\n".join(_function(signature, doc, lines)))

    def function(self, signature: str, doc: str, lines: Sequence[str]) -> None:
        """Add a function to the file."""
        self.functions.append("\n".join(_function(signature, doc, lines)))

    def text(self, manifest: Manifest, version: str) -> str:
        """The file."""
        methods = "\n\n".join(_indented(method) for method in self.methods)
        parts = "\n".join(INDENT * 2 + part for part in self.code.parts)
        pieces = [
            f'"""{_quoted(_head(manifest, version, self.reads))}\n"""',
            "import sys\nfrom pathlib import Path\n\nimport torch\nfrom torch import nn",
            "\n".join(self.constants),
            *(f"\n{text.replace('class NAME', f'class {name}').rstrip()}" for name, text in self.code.helpers.items()),
            f'\nclass Model(nn.Module):\n{INDENT}"""{_quoted(manifest.architecture.describe())}."""\n\n'
            f"{INDENT}def __init__(self):\n{INDENT * 2}super().__init__()\n{parts}\n\n{methods}",
            *(f"\n{function}" for function in self.functions),
            "\n" + _LOAD,
            "\n" + "\n".join(_function("main(arguments)", "", ["model = load()", *self.main])),
            '\nif __name__ == "__main__":\n    torch.set_grad_enabled(False)\n    main(sys.argv[1:])',
        ]
        return "\n\n".join(piece for piece in pieces if piece.strip()) + "\n"


_LOAD = '''def load():
    """The network with its weights, which lie beside this file."""
    model = Model()
    model.load_state_dict(torch.load(Path(__file__).with_name("weights.pt"), weights_only=True))
    return model.eval()'''


def _head(manifest: Manifest, version: str, reads: str) -> str:
    return (
        f"{manifest.key}: {manifest.task}. Plain PyTorch, exported by Unroll {version}.\n\n{reads}\n\n"
        f"Licence of the weights: {manifest.licence}."
    )


def _quoted(text: str) -> str:
    """A manifest may contain any text; inside a docstring it stays text."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "\\x00")


def _function(signature: str, doc: str, lines: Sequence[str]) -> list[str]:
    said = [f'{INDENT}"""{doc}"""'] if doc else []
    if lines[-1] == "return x" and len(lines) > 1 and lines[-2].startswith("x = "):
        lines = [*lines[:-2], f"return {lines[-2].removeprefix('x = ')}"]
    return [f"def {signature}:", *said, *(INDENT + line for line in lines)]


def _indented(text: str) -> str:
    return "\n".join(INDENT + line if line else line for line in text.split("\n"))
