"""Classifiers and taggers as a model file."""

from app.export import sources
from app.export.code import Code
from app.export.encoder import encoder, head, pooled
from app.export.masks import left_out
from app.export.program import Program
from app.store.classifier import Classifier
from app.store.manifest import Manifest
from app.store.tagger import Tagger


def classifier(manifest: Manifest, config: Classifier) -> Program:
    """A source to the score of each label."""
    masked = left_out(config)
    code = Code()
    lines = [*encoder(code, config.encoder), *pooled(code, config)]
    lines += head(code, config.head, config.pooled_size, config.labels, config.norm)
    program = Program(code, sources.text(manifest) if manifest.tokenizer else "")
    program.constants.append(f"LABELS = {list(manifest.labels)!r}")
    if manifest.series is not None:
        sources.series(program, manifest.series)
        program.main.append("logits = model(source(rows))")
        read = "A series (batch, steps, features)"
    else:
        if masked is not None:
            program.reads += f"\nThe id {masked} is masked: the network reads a text without it."
            program.main.append(f'arguments = [argument for argument in arguments if argument != "{masked}"]')
        program.main += [sources.IDS, "logits = model(ids)"]
        read = "Token ids (batch, steps)"
    program.method("forward(self, x)", f"{read} to logits (batch, labels).", [*lines, "return x"])
    scores = "softmax(0)" if config.outputs == "softmax" else "sigmoid()"
    program.main += [
        f"for label, score in zip(LABELS, logits[0].{scores}.tolist()):",
        '    print(f"{label}\\t{score:.6f}")',
    ]
    return program


def tagger(manifest: Manifest, config: Tagger) -> Program:
    """A text to a label for each token."""
    code = Code()
    lines = encoder(code, config.encoder)
    lines = [line for line in lines if not line.startswith("last = ")]
    lines += head(code, config.head, config.encoder.memory_size, config.labels, over_steps=True)
    program = Program(code, sources.text(manifest))
    program.constants.append(f"LABELS = {list(manifest.labels)!r}")
    program.method(
        "forward(self, x)", "Token ids (batch, steps) to logits (batch, steps, labels).", [*lines, "return x"]
    )
    program.main.append(sources.IDS)
    if config.crf:
        for name, shape in (("start", "(N)"), ("end", "(N)"), ("transitions", "(N, N)")):
            code.part(name, f"nn.Parameter(torch.zeros{shape})".replace("N", str(config.labels)), f"crf.{name}")
        program.method(
            "best(self, logits)", "Logits (steps, labels) to the labels of the best sequence (Viterbi).", _VITERBI
        )
        program.main.append("labels = model.best(model(ids)[0])")
    else:
        program.main.append("labels = model(ids)[0].argmax(1).tolist()")
    program.main += ["for token, label in zip(arguments, labels):", '    print(f"{token}\\t{LABELS[label]}")']
    return program


_VITERBI = [
    "scores, origins = self.start + logits[0], []",
    "for step in logits[1:]:",
    "    scores, origin = (scores.unsqueeze(1) + self.transitions).max(0)",
    "    scores = scores + step",
    "    origins.append(origin)",
    "path = [int((scores + self.end).argmax())]",
    "for origin in reversed(origins):",
    "    path.insert(0, int(origin[path[0]]))",
    "return path",
]
