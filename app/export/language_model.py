"""Language models as a model file."""

from app.errors import ExportFailed
from app.export import sources
from app.export.code import Code
from app.export.encoder import encoder, head, pooled
from app.export.program import Program
from app.export.recurrence import name_of, recurrence
from app.store.decoding import Decoding
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.window_language_model import WindowLanguageModel


def language_model(manifest: Manifest, config: LanguageModel) -> Program:
    """Ids to the most probable ids that follow; the state is kept."""
    code = Code()
    made = config.recurrence
    embedding = code.part(
        "embedding", f"nn.Embedding({config.vocabulary_size}, {made.input_size})", "encoder.embedding"
    )
    call = recurrence(code, name_of(made), made, "encoder.recurrence")
    lines = [f"x, state = {call}({embedding}(x), state)"]
    width = made.hidden_size
    if config.readout_size is not None:
        readout = code.part("readout", f"nn.Linear({width}, {config.readout_size})", "decoder.readout")
        lines.append(f"x = torch.tanh({readout}(x))")
        width = config.readout_size
    output = code.part("output", f"nn.Linear({width}, {config.vocabulary_size})", "decoder.output")
    if config.tied_output:
        code.parts.append("self.output.weight = self.embedding.weight")
        code.shared["output.weight"] = "embedding.weight"
    program = Program(code, sources.text(manifest) + "\nIt continues them by the most probable ids.")
    program.method(
        "forward(self, x, state=None)",
        "Token ids (batch, steps) to the logits of the id after each (batch, steps, vocabulary), and the state.",
        [*lines, f"return {output}(x), state"],
    )
    decoding = _decoding(manifest)
    program.main += [
        sources.IDS,
        "state, made = None, []",
        f"while len(made) < {decoding.max_tokens}:",
        "    logits, state = model(ids, state)",
        *choice(decoding, "logits[0, -1]"),
        "    ids = torch.tensor([[token]])",
        "print(*made)",
    ]
    return program


def window_language_model(manifest: Manifest, config: WindowLanguageModel) -> Program:
    """The same, but each step reads the last ids anew."""
    code = Code()
    lines = [*encoder(code, config.encoder), *pooled(code, config)]
    lines += head(code, config.head, config.pooled_size, config.vocabulary_size, config.norm)
    program = Program(code, sources.text(manifest) + "\nIt continues them by the most probable ids.")
    program.method(
        "forward(self, x)",
        "Token ids (batch, steps) to the logits of the next id (batch, vocabulary).",
        [*lines, "return x"],
    )
    window = f"window = ids[-{config.window}:]"
    decoding = _decoding(manifest)
    padded: list[str] = []
    begun: list[str] = []
    if config.pad is not None:
        padding = f"[{config.pad}] * ({config.window} - len(window))"
        padded = [
            f"    window = {padding} + window" if config.pad_side == "left" else f"    window = window + {padding}"
        ]
        begun = [f"while ids[:1] == [{config.pad}]:  # which an empty text has", "    del ids[0]"]
    program.main += [
        "ids, made = [int(argument) for argument in arguments], []",
        *(begun if config.pad_side == "right" else ()),
        f"while len(made) < {decoding.max_tokens}:",
        f"    {window}",
        *padded,
        *choice(decoding, "model(torch.tensor([window]))[0]"),
        "    ids.append(token)",
        "print(*made)",
    ]
    return program


def choice(decoding: Decoding, logits: str) -> list[str]:
    """Lines of a loop that choose `token` and add it to `made`."""
    lines = [f"    scores = {logits}"]
    if barred := sorted({*decoding.suppress, *decoding.forbidden}):
        lines.append(f"    scores[{barred}] = -torch.inf  # never chosen")
    if decoding.min_tokens and decoding.end >= 0:
        lines += [f"    if len(made) < {decoding.min_tokens}:", f"        scores[{decoding.eos}] = -torch.inf"]
    lines.append("    token = int(scores.argmax())")
    if decoding.end >= 0:
        lines += [f"    if token == {decoding.eos}:  # the end", "        break"]
    return [*lines, "    made.append(token)"]


def _decoding(manifest: Manifest) -> Decoding:
    if manifest.decoding is None:
        raise ExportFailed(f"{manifest.key} has no decoding")
    return manifest.decoding
