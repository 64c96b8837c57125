"""Measures the models on a GPU: `python -m benchmarks.gpu`. benchmarks/README.md explains the figures.

It calls the engine's code in process, without HTTP. Beside torch it needs click, tqdm, msgspec, pydantic and
safetensors only. Without a GPU it runs small sizes on the CPU, to show that it works: those figures say nothing of one.
"""

import itertools
import json
import os
import random
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import click
import torch
from tqdm import tqdm

from app.engine.cost import cost_of
from app.engine.decode import decode, release
from app.engine.encode import encode
from app.engine.models import Models
from app.engine.policy import Policy
from app.engine.protocol import Decode, Failed, Label, Pixels, Source, Tokens
from app.engine.request import Output, Request, whole
from app.models.networks import build_network
from app.models.serving.precision import Precision
from app.store.attention import Attention
from app.store.decoder import Decoder
from app.store.decoding import Decoding
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder
from app.store.manifest import Manifest
from app.store.model_store import read_store
from app.store.recurrence import Recurrence
from app.store.text_input import TokenizerUse
from benchmarks.options import OUTPUT, STORE, Counts, Names

UNIT = 6
SHIPPED = ("translate-en-ko", "caption-en", "sentiment-en")
PRECISIONS = ("float32", "float16", "bfloat16", "auto")
STEP_ROWS = (1, 4, 16, 64, 256, 1024, 4096)  # those of the batch sizes for which steps are timed
PIECE = 512  # requests that are encoded at once
MOST_IMAGES = 512  # in a batch
MOST_STEPS = 2**19  # cell steps of a batch of sources that are only encoded
_MOST_TIMED, _PROFILED = 40, 5  # units
_NONE = "–"


@dataclass(frozen=True)
class Scale:
    """How large things are. `source` tokens have the sources that are answered, `target` their answers, and `lengths`
    the sources that are only read."""

    batch_sizes: tuple[int, ...]
    beams: tuple[int, ...]
    precisions: tuple[Precision, ...]
    seconds: float
    layers: int
    width: int
    vocabulary: int
    source: int = 30
    target: int = 30
    lengths: tuple[int, ...] = (16, 256)


ON_GPU = Scale(
    tuple(2**n for n in range(13)),
    (1, 5),
    ("float32", "float16", "bfloat16"),
    1.0,
    layers=4,
    width=1024,
    vocabulary=32000,
)
ON_CPU = Scale(
    (1, 16),
    (1, 5),
    ("auto",),
    0.05,
    layers=1,
    width=256,
    vocabulary=4000,
    source=8,
    target=8,
    lengths=(8, 64),
)


@dataclass(frozen=True)
class StepTime:
    """One step of all rows, in ms: on the clock, and the sum of its kernels, None without a GPU."""

    model: str
    precision: str
    rows: int
    in_one_go: bool  # on a GPU: as a CUDA graph
    wall: float
    kernels: float | None


@dataclass(frozen=True)
class Rate:
    """How much a second; `tokens` are those of sources, and of targets where there are any."""

    model: str
    precision: str
    what: str
    beams: int
    batch: int
    requests: float
    tokens: float | None


class Model:
    """A model on the device, with as many slots as the largest batch has rows. The end token is switched off, so that
    answers are as long as they may be whatever the weights are."""

    def __init__(self, models: Models, manifest: Manifest, precision: Precision, scale: Scale) -> None:
        self.loaded = models[manifest.key]
        self.precision = precision
        self.manifest = manifest
        self.decodes = manifest.decoding is not None
        self._rng = random.Random(20)
        self._numbers = itertools.count()
        self._image = self._rng.randbytes(3 * manifest.image.size**2) if manifest.image else b""
        self.source_tokens = 0 if manifest.image else scale.source
        self.target_tokens = scale.target

    def requests(self, count: int, tokens: int, answer: Label | Decode) -> list[Request]:
        """`count` requests with sources of `tokens` tokens, or with images."""
        return [self._request(self._source(tokens), answer) for _ in range(count)]

    def _request(self, source: Source, answer: Label | Decode) -> Request:
        return Request((b"", next(self._numbers)), self.manifest.key, source, answer, cost_of(source, answer))

    def _source(self, tokens: int) -> Source:
        encoder = self.manifest.architecture.encoder
        if self.manifest.image or encoder.kind != "text":
            assert self.manifest.image is not None
            return Pixels(self.manifest.image.size, self._image)
        return Tokens([self._rng.randrange(4, encoder.vocabulary_size) for _ in range(tokens)])

    def encode(self, requests: Sequence[Request]) -> list[Output]:
        """All of them, some at a time."""
        outputs: list[Output] = []
        for start in range(0, len(requests), PIECE):
            outputs += encode(self.loaded, [whole(request) for request in requests[start : start + PIECE]])
        return _good(outputs)

    def unit(self, steps: int = UNIT) -> list[Output]:
        return _good(decode(self.loaded, steps))

    @property
    def is_running(self) -> bool:
        return self.loaded.rows > 0

    def finish(self) -> None:
        """Decode until nothing runs."""
        while self.is_running:
            self.unit()

    def forget_all(self) -> None:
        """End whatever runs."""
        release(self.loaded, *(request for slots in self.loaded.groups for request in slots.requests))


def _good(outputs: list[Output]) -> list[Output]:
    failed = [event.reason for _, event in outputs if isinstance(event, Failed)]
    if failed:
        raise click.ClickException(f"requests failed: {failed[0]}")
    return outputs


def gnmt(scale: Scale) -> Manifest:
    """The size of Google's system (Wu et al. 2016, section 3) with as many layers and units as the scale says, in one
    direction; random weights."""
    recurrence = Recurrence(cell="lstm", input_size=scale.width, hidden_size=scale.width, layers=scale.layers)
    decoder = Decoder(
        vocabulary_size=scale.vocabulary,
        embedding_size=scale.width,
        cell="lstm",
        hidden_size=scale.width,
        layers=scale.layers,
        attention=Attention(kind="additive", size=scale.width),
        context="input",
        readout=("hidden",),
        bridge="copy",
    )
    encoder = TextEncoder(vocabulary_size=scale.vocabulary, recurrence=recurrence)
    return Manifest(
        name="gnmt-sized" if scale.layers == ON_GPU.layers else "gnmt-shaped-but-small",
        version=1,
        task="translation",
        description="As large as Google's system, with random weights.",
        architecture=EncoderDecoder(encoder=encoder, decoder=decoder),
        tokenizer=TokenizerUse(),
        decoding=Decoding(bos=1, eos=2, suppress=(0, 1, 2, 3), max_tokens=scale.target),
        parameters=1,
        files={},
        licence="none",
    )


def models(store: Path, scale: Scale, device: torch.device, wanted: Sequence[str]) -> Iterator[Model]:
    """Each model in each precision, one after the other: the one before is gone when the next comes."""
    policy = Policy(looks_each_step=False)  # on a CPU, too: the code of a GPU is what is measured
    versions = {version.manifest.name: version for version in read_store(store).versions}  # the newest of each
    for name, precision in itertools.product(wanted, scale.precisions):
        loaded = Models(device, slots=max(scale.batch_sizes), precision=precision, unit=UNIT, policy=policy)
        if name == "gnmt":
            torch.manual_seed(20)
            manifest = gnmt(scale)
            loaded.add(manifest, build_network(manifest.architecture, mean=[], std=[]))
        elif name in versions:
            manifest = _without_end(versions[name].manifest)
            loaded.load(replace(versions[name], manifest=manifest))
        else:
            continue
        yield Model(loaded, manifest, precision, scale)


def _without_end(manifest: Manifest) -> Manifest:
    if manifest.decoding is None:
        return manifest
    suppress = (*manifest.decoding.suppress, manifest.decoding.eos)
    return manifest.model_copy(update={"decoding": manifest.decoding.model_copy(update={"suppress": suppress})})


def step_time(model: Model, rows: int, seconds: float, *, in_one_go: bool) -> StepTime:
    """The time of a step while all rows run."""
    loaded = model.loaded
    graphs = loaded.units
    loaded.units = graphs if in_one_go else None
    units = 3 + _MOST_TIMED + _PROFILED
    model.encode(model.requests(rows, model.source_tokens, Decode((units + 1) * UNIT)))
    for _ in range(3):
        model.unit()
    wall, _ = _timed(model.unit, seconds, most=_MOST_TIMED)
    kernels = None
    if loaded.device.type == "cuda":
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            for _ in range(_PROFILED):
                model.unit()
        on_device = [event for event in profile.events() or [] if event.device_type.name == "CUDA"]
        kernels = sum(event.time_range.elapsed_us() for event in on_device) / 1000 / (_PROFILED * UNIT) or None
    model.forget_all()
    loaded.units = graphs
    return StepTime(model.manifest.name, model.precision, rows, in_one_go, 1000 * wall / UNIT, kernels)


def answering(model: Model, batch: int, beams: int, seconds: float) -> Rate:
    """Whole batches from the source to the last token. A target counts once, however many beams looked for it."""
    requests = batch // beams
    answer = Decode(model.target_tokens, beams=beams)

    def run() -> None:
        model.encode(model.requests(requests, model.source_tokens, answer))
        model.finish()

    run()
    wall, _ = _timed(run, seconds)
    what = "images answered" if model.manifest.image else "sentences answered"
    tokens = requests * (model.source_tokens + model.target_tokens) / wall
    return Rate(model.manifest.name, model.precision, what, beams, batch, requests / wall, tokens)


def encoding(model: Model, batch: int, tokens: int, seconds: float) -> Rate:
    """Sources alone; images when `tokens` is 0. Decoding is cut off after one step."""
    answer = Decode(1) if model.decodes else Label()
    device = model.loaded.device

    def run() -> float:
        requests = model.requests(batch, tokens, answer)
        started = time.perf_counter()
        model.encode(requests)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        spent = time.perf_counter() - started
        while model.is_running:
            model.unit(1)
        return spent

    run()
    spent = [run()]
    while sum(spent) < seconds:
        spent.append(run())
    wall = sum(spent) / len(spent)
    what = f"sources of {tokens} encoded" if tokens else "images encoded"
    per_second = batch * tokens / wall if tokens else None
    return Rate(model.manifest.name, model.precision, what, 1, batch, batch / wall, per_second)


def _timed(run: Callable[[], object], seconds: float, most: int = 10**9) -> tuple[float, int]:
    """Mean seconds of a call, and how many there were: at least one, at most `most`."""
    calls = 0
    started = now = time.perf_counter()
    while calls == 0 or (now - started < seconds and calls < most):
        run()
        calls += 1
        now = time.perf_counter()
    return (now - started) / calls, calls


def measurements(model: Model, scale: Scale) -> Iterator[Callable[[], StepTime | Rate]]:
    """All that is measured of a model, in order, each to be called once."""

    def later(
        function: Callable[..., StepTime | Rate], *values: object, **more: object
    ) -> Callable[[], StepTime | Rate]:
        return lambda: function(model, *values, **more)

    if model.decodes:
        for beams, batch in itertools.product(scale.beams, scale.batch_sizes):
            if batch >= beams:
                yield later(answering, batch, beams, scale.seconds)
        for rows in (size for size in scale.batch_sizes if size in STEP_ROWS):
            for in_one_go in (False, True):
                yield later(step_time, rows, scale.seconds / 2, in_one_go=in_one_go)
    for tokens in (0,) if model.manifest.image else scale.lengths:
        for batch in scale.batch_sizes:
            if batch <= MOST_IMAGES if model.manifest.image else batch * tokens <= MOST_STEPS:
                yield later(encoding, batch, tokens, scale.seconds)


def steps_table(rows: Sequence[StepTime]) -> str:
    """Wall ÷ kernel time is what target 9 of the design is about."""
    heads = ("model", "precision", "rows", "unit", "step ms", "kernels ms", "step ÷ kernels")
    on_gpu = any(row.kernels is not None for row in rows)
    cells = [
        (
            row.model,
            row.precision,
            str(row.rows),
            ("graph" if on_gpu else "in one go") if row.in_one_go else "step by step",
            f"{row.wall:.3f}",
            _number(row.kernels, ".3f"),
            _number(row.wall / row.kernels if row.kernels else None, ".2f"),
        )
        for row in rows
    ]
    return _table(heads, cells, words=4)


def rates_table(rows: Sequence[Rate]) -> str:
    """Tokens are source plus target, as the literature counts them."""
    heads = ("model", "precision", "what", "beams", "rows", "requests/s", "tokens/s, source + target")
    cells = [
        (
            row.model,
            row.precision,
            row.what,
            str(row.beams),
            str(row.batch),
            f"{row.requests:.1f}",
            _number(row.tokens, ".0f"),
        )
        for row in rows
    ]
    return _table(heads, cells, words=3)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> str:
    """The first `words` columns on the left, the others on the right."""
    rule = ["---" if column < words else "---:" for column in range(len(heads))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def machine(device: torch.device) -> str:
    """Where the figures come from and how they were got, in one line."""
    command = shlex.join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]])
    if device.type == "cuda":
        name = f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    else:
        name = f"no GPU, {torch.get_num_threads()} threads of {os.cpu_count()} cores"
    return f"{date.today()}, {name}, torch {torch.__version__}: `{command}`"


@click.command()
@STORE
@click.option("--device", default=None, help="cuda:0 or cpu.  [default: the first GPU, or else cpu]")
@click.option("--batch-sizes", type=Counts(), default=None, help="Rows.  [default: 1,2,4,...,4096; 1,16 on a CPU]")
@click.option("--beams", type=Counts(), default=None, help="Widths of beam search, 1 for greedy.  [default: 1,5]")
@click.option(
    "--seconds",
    type=click.FloatRange(0.01, 60),
    default=None,
    help="Per measurement.  [default: 1; 0.05 on a CPU]",
)
@click.option("--precisions", type=Names(PRECISIONS), default=None, help="[default: all but auto; auto on a CPU]")
@click.option("--models", "names", type=Names((*SHIPPED, "gnmt")), default=",".join((*SHIPPED, "gnmt")))
@OUTPUT
def main(
    store: Path,
    device: str | None,
    batch_sizes: list[int] | None,
    beams: list[int] | None,
    seconds: float | None,
    precisions: list[Precision] | None,
    names: list[str],
    output: Path | None,
) -> None:
    """Time steps and their kernels, and count tokens and images per second, over batch sizes."""
    where = torch.device(device or ("cuda:0" if torch.cuda.is_available() else "cpu"))
    if where.type == "cuda" and not torch.cuda.is_available():
        raise click.ClickException("torch finds no GPU: use --device cpu")
    usual = ON_GPU if where.type == "cuda" else ON_CPU
    scale = Scale(
        tuple(batch_sizes or usual.batch_sizes),
        tuple(beams or usual.beams),
        tuple(precisions or usual.precisions),
        seconds or usual.seconds,
        *(usual.layers, usual.width, usual.vocabulary, usual.source, usual.target, usual.lengths),
    )
    if where.type == "cpu":
        torch.set_num_threads(1)  # as an engine on a CPU has
    about = machine(where)
    found: list[StepTime | Rate] = []
    with tqdm(unit="run", dynamic_ncols=True) as bar:
        for model in models(store, scale, where, names):
            todo = list(measurements(model, scale))
            bar.total = (bar.total or 0) + len(todo)
            bar.set_description(f"{model.manifest.name}, {model.precision}")
            for measure in todo:
                found.append(measure())
                bar.update()
            if output is not None:
                _write(output, about, found)  # after each model: a run that is cut short leaves what it has
    click.echo(about)
    if where.type != "cuda":
        click.echo(
            "\nNot on a GPU: small sizes on the CPU, to show that the benchmark works. `gnmt-shaped-but-small` has "
            f"{scale.layers} + {scale.layers} layers of {scale.width} and {scale.vocabulary} words, not GNMT's size."
        )
    steps, rates = _apart(found)
    for table in (steps_table(steps) if steps else None, rates_table(rates) if rates else None):
        if table:
            click.echo(f"\n{table}")


def _apart(found: Sequence[StepTime | Rate]) -> tuple[list[StepTime], list[Rate]]:
    return [row for row in found if isinstance(row, StepTime)], [row for row in found if isinstance(row, Rate)]


def _write(output: Path, about: str, found: Sequence[StepTime | Rate]) -> None:
    steps, rates = _apart(found)
    figures = {"about": about, "steps": [asdict(row) for row in steps], "rates": [asdict(row) for row in rates]}
    output.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
