"""Runs networks: `consume` for new requests, one unit of `emit` for running ones. Knows no queue and no socket."""

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from app.engine.beam_search import is_over, takes_unfinished
from app.engine.cuda_graphs import Units, rounded_rows
from app.engine.memory import give_back_memory
from app.engine.protocol import (
    IMAGE_STEPS,
    Activations,
    Emit,
    Emitted,
    Event,
    Explain,
    Explanation,
    Failed,
    FinishReason,
    Hypothesis,
    Pixels,
    Progress,
    RequestKey,
    Scored,
    Tokens,
)
from app.engine.sampling import LEAST, Choice, choose, most_probable
from app.engine.slots import BAD, STOP, End, Look, Running, Slots, Trace
from app.errors import EngineFailed, ModelUnavailable
from app.models.cells import RecurrentState
from app.models.encoders import Encoded, TextEncoder
from app.models.explain import layer_activations, probabilities_after_each
from app.models.networks import Classifier, EncoderDecoder, build_network
from app.models.serving.native.recurrent import NativeRecurrent
from app.models.serving.precision import Precision, prepare
from app.models.serving.segments import padded_steps, padded_to_longest
from app.models.serving.unrolled import PackedRecurrent
from app.store.manifest import Decoding, Manifest
from app.store.model_store import Version
from app.store.weights import load_weights

log = logging.getLogger("unroll.runner")
MOST_ALTERNATIVES = 20
_TOKENS_OF_A_CAPTION = 20
_NO_NUMBERS = "the model gives no numbers for it (NaN)"
_NO_MEMORY = "there is not enough memory for it, even by itself"
Told = tuple[RequestKey, Event]


@dataclass(frozen=True, slots=True)
class Item:
    """A request as the runner sees it; without `emit` a label is read, and explained if `explain` is there."""

    key: RequestKey
    source: Tokens | Pixels
    emit: Emit | None = None
    explain: Explain | None = None


class Portion(NamedTuple):
    """A part of a source: `steps` tokens of it from `start` on, or a whole image."""

    item: Item
    start: int
    steps: int

    @property
    def is_last(self) -> bool:
        return not isinstance(self.item.source, Tokens) or self.start + self.steps == len(self.item.source.ids)

    @property
    def is_whole(self) -> bool:
        return self.start == 0 and self.is_last


class Cost(NamedTuple):
    """What a request takes, in cell steps: to consume, and to emit as far as one can tell; and its rows."""

    consume: int
    emit: int
    rows: int


@dataclass(slots=True)
class Counters:
    """What was run, in cell steps: `useful` were asked for, `padded` are those and the padding around them."""

    units: int = 0
    consumed: int = 0
    consume_useful: int = 0
    consume_padded: int = 0
    emit_steps: int = 0
    emit_rows: int = 0
    out_of_memory: int = 0


@dataclass(slots=True)
class Reading:
    """A source that is consumed in part: the recurrent state after it, and the outputs so far (steps, memory)."""

    state: RecurrentState
    outputs: list[Tensor]


@dataclass(slots=True)
class LoadedModel:
    """A network ready to run, with its slots if it emits. `block` is how many rows it runs at once. `exact` is a
    classifier as it was stored, in float32 on the host: what explanations come from."""

    manifest: Manifest
    network: Classifier | EncoderDecoder
    slots: Slots
    precision: str  # in words
    block: int
    units: Units | None = None
    exact: Classifier | None = None
    reading: dict[RequestKey, Reading] = field(default_factory=dict)

    @property
    def decoding(self) -> Decoding:
        assert self.manifest.decoding is not None  # of every model that emits, see `Manifest`
        return self.manifest.decoding

    @property
    def is_divisible(self) -> bool:
        """Whether a source can be consumed in parts: only if it is read in one direction."""
        encoder = self.network.encoder
        return isinstance(encoder, TextEncoder) and encoder.recurrence.recurrence.directions == 1


class Runner:
    """The models of one device. `slots` is the capacity of each model in rows.

    `looks_each_step`: whether rows that end are released at once, and not at the end of the unit: on a CPU, where
    looking costs nothing. `runs_units`: whether a unit of plain decoding is run in one go (`cuda_graphs`): on a GPU,
    where the host is the slower one.
    """

    def __init__(self, device: torch.device, *, slots: int, precision: Precision = "auto") -> None:
        self.device = device
        self._precision = precision
        self.models: dict[str, LoadedModel] = {}
        self.counters = Counters()
        self.looks_each_step = device.type == "cpu"
        self.runs_units = device.type == "cuda"
        self._slots = slots

    def load(self, version: Version) -> None:
        """Build a version's network on the device, fill it and run it once. Raises StoreError."""
        self.put(self.build(version))

    def build(self, version: Version) -> LoadedModel:
        """A version's network on the device, filled, and not among the models yet: another thread may do this while
        models run. Raises StoreError."""
        manifest = version.manifest
        image = manifest.image
        mean, std = (list(image.mean), list(image.std)) if image else ([0.0] * 3, [1.0] * 3)
        network = build_network(manifest.architecture, mean=mean, std=std)
        load_weights(network, version)
        return self._made(manifest, network)

    def add(self, manifest: Manifest, network: Classifier | EncoderDecoder) -> None:
        """Put a network with its weights on the device and run it once."""
        self.put(self._made(manifest, network))

    def put(self, model: LoadedModel) -> None:
        """Put what was built among the models and run it once."""
        self.models[model.manifest.key] = model
        counters, self.counters = self.counters, Counters()
        try:
            self._warm(model)
        except Exception:
            del self.models[model.manifest.key]
            raise
        finally:
            self.counters = counters

    def unload(self, key: str) -> None:
        """Let go of a model that runs nothing, and give its memory back to the system."""
        model = self.models.pop(key)
        if model.units is not None:
            model.units.forget()
        del model
        give_back_memory(self.device)

    def _made(self, manifest: Manifest, network: Classifier | EncoderDecoder) -> LoadedModel:
        if isinstance(network, EncoderDecoder) and manifest.decoding is not None:
            network.decoder.output.bias.data[list(manifest.decoding.suppress)] = float("-inf")
        exact = copy.deepcopy(network).eval() if isinstance(network, Classifier) else None
        precision = self._precision if manifest.precision == "auto" else manifest.precision
        words = prepare(network, precision, self.device)
        slots = Slots(self._slots, self.device)
        model = LoadedModel(manifest, network, slots, words, block=self._slots, exact=exact)
        if isinstance(network, EncoderDecoder):
            model.units = Units(network, model.slots, model.decoding.end)
        return model

    def _warm(self, model: LoadedModel) -> None:
        """Run a small batch through everything once: kernels and memory are ready before the first request."""
        source: Tokens | Pixels = Tokens([0] * 8)
        if model.manifest.image:
            size = model.manifest.image.size
            source = Pixels(size, bytes(3 * size * size))
        key = model.manifest.key
        emit = Emit(2) if isinstance(model.network, EncoderDecoder) else None
        items = [Item((b"", index), source, emit) for index in range(min(2, self._slots))]
        self.consume(key, [Portion(item, 0, self.check(key, source, emit).consume) for item in items])
        while model.slots.count:
            self.emit(key, unit=2)

    def padded_steps(self, key: str) -> Callable[[Sequence[int]], int]:
        """What a batch of sources of a model costs, in cell steps with the padding."""
        encoder = self.models[key].network.encoder
        segmented = isinstance(encoder, TextEncoder) and isinstance(
            encoder.recurrence, PackedRecurrent | NativeRecurrent
        )
        return padded_steps if segmented else padded_to_longest

    def consume(self, key: str, portions: Sequence[Portion]) -> list[Told]:
        """Run parts of sources: labels at once, or rows that `emit` goes on with.

        Out of memory halves the batch; whatever else goes wrong on a CPU is narrowed down to the request that
        it is about, which fails alone. A fault of another device is raised.
        """
        try:
            return self._consume(self.models[key], portions)
        except RuntimeError as error:
            memory = is_out_of_memory(error)
            if not memory and self.device.type != "cpu":
                raise
            self.counters.out_of_memory += memory
            if len(portions) == 1:
                log.error("a request failed", exc_info=error)
                item = portions[0].item
                self.models[key].reading.pop(item.key, None)
                return [_failed(item.key, _NO_MEMORY if memory else _broken(error))]
        half = len(portions) // 2
        return self.consume(key, portions[:half]) + self.consume(key, portions[half:])

    @torch.inference_mode()
    def _consume(self, model: LoadedModel, portions: Sequence[Portion]) -> list[Told]:
        portions, encoded, lengths = self._encode(model, portions)
        items = [portion.item for portion in portions]
        if not items:
            return []
        self.counters.consumed += len(items)
        if isinstance(model.network, Classifier):
            scores = model.network.label(encoded, lengths).float().softmax(1).tolist()
            return [_scored(model, item, row) for item, row in zip(items, scores, strict=True)]
        state = model.network.decoder.start(encoded)
        memory = state["memory"].shape[1] if "memory" in state else 0
        requests = [
            Running(item.key, item.emit, min(memory, length))
            for item, length in zip(items, lengths.tolist() if memory else [0] * len(items), strict=True)
            if item.emit is not None
        ]
        model.slots.admit(
            requests, state, bos=model.decoding.bos, past_end=model.network.config.decoder.vocabulary_size
        )
        return []

    def _encode(self, model: LoadedModel, portions: Sequence[Portion]) -> tuple[Sequence[Portion], Encoded, Tensor]:
        """The portions that end their sources, those sources encoded, and the lengths of their memories (batch,)."""
        encoder = model.network.encoder
        pixels = [portion.item.source for portion in portions if isinstance(portion.item.source, Pixels)]
        if pixels:
            size = pixels[0].size
            content = torch.frombuffer(bytearray(b"".join(image.data for image in pixels)), dtype=torch.uint8)
            self.counters.consume_useful += IMAGE_STEPS * len(pixels)
            self.counters.consume_padded += IMAGE_STEPS * len(pixels)
            one_each = torch.ones(len(pixels), dtype=torch.long, device=self.device)
            encoded = encoder(self._put(content.view(len(pixels), size, size, 3)), one_each)
            return portions, encoded, one_each * encoded.memory.shape[1]
        tokens, lengths = self._padded(model, portions)
        if all(portion.is_whole for portion in portions):
            return portions, encoder(tokens, lengths), lengths
        assert isinstance(encoder, TextEncoder)
        return self._read(model, encoder, portions, tokens, lengths)

    def _read(
        self,
        model: LoadedModel,
        encoder: TextEncoder,
        portions: Sequence[Portion],
        tokens: Tensor,
        lengths: Tensor,
    ) -> tuple[Sequence[Portion], Encoded, Tensor]:
        """Go on with sources that are consumed in parts."""
        fresh = encoder.recurrence.initial_state(1, encoder.embedding(tokens[:1, 0]))
        readings = [model.reading.get(portion.item.key, Reading(fresh, [])) for portion in portions]
        cells = [reading.state.cell for reading in readings if reading.state.cell is not None]
        before = RecurrentState(
            torch.cat([reading.state.hidden for reading in readings]), torch.cat(cells) if cells else None
        )
        encoded = encoder(tokens, lengths, before)
        assert encoded.state is not None
        ended, states, memories = [], [], []
        for row, (portion, reading) in enumerate(zip(portions, readings, strict=True)):
            cell = encoded.state.cell
            state = RecurrentState(encoded.state.hidden[row, None], None if cell is None else cell[row, None])
            outputs = [*reading.outputs, encoded.memory[row, : portion.steps]]
            model.reading.pop(portion.item.key, None)  # not before: what fails is tried again
            if portion.is_last:
                ended.append(portion)
                states.append(state)
                memories.append(torch.cat(outputs))
            else:
                model.reading[portion.item.key] = Reading(state, outputs)
        if not ended:
            return [], encoded, lengths
        cells = [state.cell for state in states if state.cell is not None]
        last = RecurrentState(torch.cat([state.hidden for state in states]), torch.cat(cells) if cells else None)
        whole = torch.tensor([len(memory) for memory in memories], device=self.device)
        mask = torch.arange(int(whole.max()), device=self.device) < whole.unsqueeze(1)
        return ended, Encoded(pad_sequence(memories, batch_first=True), mask, last.hidden[:, -1], last), whole

    def _padded(self, model: LoadedModel, portions: Sequence[Portion]) -> tuple[Tensor, Tensor]:
        """Tokens (batch, source) and lengths (batch,)."""
        ids = [
            portion.item.source.ids[portion.start : portion.start + portion.steps]
            for portion in portions
            if isinstance(portion.item.source, Tokens)
        ]
        lengths = [len(row) for row in ids]
        self.counters.consume_useful += sum(lengths)
        self.counters.consume_padded += self.padded_steps(model.manifest.key)(lengths)
        longest = max(lengths)
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        return self._put(padded), self._put(torch.tensor(lengths))

    def _put(self, source: Tensor) -> Tensor:
        """Onto the device; from pinned memory, so that the host need not wait for it."""
        return (
            source.pin_memory().to(self.device, non_blocking=True)
            if self.device.type == "cuda"
            else source.to(self.device)
        )

    def emit(self, key: str, unit: int) -> list[Told]:
        """Up to `unit` steps of all running rows of a model; what ended, and what those that stream have to tell."""
        model = self.models[key]
        told = self._unit(model, unit) if self._is_one_unit(model) else self._steps(model, unit)
        self.counters.units += 1
        return told + self._progress_of_streams(model)

    def _is_one_unit(self, model: LoadedModel) -> bool:
        slots = model.slots
        return (
            self.runs_units
            and model.units is not None
            and slots.count > 0
            and slots.are_plain
            and model.block >= rounded_rows(slots.count, slots.capacity)
        )

    def _unit(self, model: LoadedModel, unit: int) -> list[Told]:
        """A unit of plain decoding in one go."""
        assert model.units is not None
        try:
            with torch.inference_mode():
                model.units.run(unit)
        except RuntimeError as error:
            return self._after_fault(model, error)
        self.counters.emit_steps += unit
        self.counters.emit_rows += unit * model.slots.count
        return self._look(model)

    def _steps(self, model: LoadedModel, unit: int) -> list[Told]:
        """A unit step by step."""
        told: list[Told] = []
        for step in range(unit):
            if not model.slots.count:
                break
            try:
                self._step(model)
            except RuntimeError as error:
                told += self._after_fault(model, error)
                continue
            if self.looks_each_step or step == unit - 1:
                told += self._look(model)
        return told

    def _progress_of_streams(self, model: LoadedModel) -> list[Told]:
        streams = list(model.slots.streams.values())
        if not streams:
            return []
        sentences = self._sentences(model, streams, model.slots.look(), "length")
        return [
            (request.key, progress) for request in streams if (progress := _progress(request, sentences[request.key]))
        ]

    def _after_fault(self, model: LoadedModel, error: RuntimeError) -> list[Told]:
        """Out of memory halves the rows that run at once; anything else ends the requests that run."""
        if is_out_of_memory(error):
            self.counters.out_of_memory += 1
            rows = min(model.block, model.slots.count)
            if rows > 1:
                model.block = (rows + 1) // 2
                log.warning("%s is out of memory with %d rows; %d at once", model.manifest.key, rows, model.block)
                return []
        elif self.device.type != "cpu":
            raise error
        log.error("%d requests failed", len(model.slots.requests), exc_info=error)
        failed = list(model.slots.requests)
        self._release(model, failed)
        return [_failed(request.key, _broken(error)) for request in failed]

    @torch.inference_mode()
    def _step(self, model: LoadedModel) -> None:
        """One token for every running row. Nothing is kept of a step that fails."""
        network, slots = model.network, model.slots
        assert isinstance(network, EncoderDecoder)
        blocks = [slice(first, min(first + model.block, slots.count)) for first in range(0, slots.count, model.block)]
        stepped = [network.step(*slots.view(rows)) for rows in blocks]
        logits = torch.cat([step[0] for step in stepped]) if len(stepped) > 1 else stepped[0][0]
        choice = most_probable(logits) if slots.are_plain else self._choose(model, logits)
        for rows, (_, state, _) in zip(blocks, stepped, strict=True):
            slots.advance(rows, state)
        weights = [step[2] for step in stepped]
        self._trace(model, choice, None if weights[0] is None else torch.cat([w for w in weights if w is not None]))
        slots.take(choice, model.decoding.end)
        self.counters.emit_steps += 1
        self.counters.emit_rows += slots.count

    def _choose(self, model: LoadedModel, logits: Tensor) -> Choice:
        slots = model.slots
        longest = slots.history.shape[1]
        if slots.options.constrain and self.looks_each_step:
            longest = max(1, int(slots.steps[: slots.count].max()))
        return choose(
            logits,
            slots.steps[: slots.count],
            slots.history[: slots.count, :longest],
            slots.scores[: slots.count],
            slots.options,
            model.decoding.end,
            how=model.decoding.search,
        )

    def _trace(self, model: LoadedModel, choice: Choice, weights: Tensor | None) -> None:
        """Note the step for requests that search or want more told than tokens."""
        ends = {end.scores.shape[1]: tuple(column.tolist() for column in end) for end in choice.ends}
        number: dict[int, int] = {}
        traced = [
            request
            for request in ([] if model.slots.are_plain else model.slots.requests)
            if request.emit.beams > 1 or request.emit.alternatives or request.emit.attention
        ]
        if not traced:
            return
        tokens, log_probs = choice.tokens.tolist(), choice.log_probs.tolist()
        came_from = list(range(len(tokens))) if choice.parents is None else choice.parents.tolist()
        for request in traced:
            emit = request.emit
            places = {row: place for place, row in enumerate(request.rows)}
            best, attended = None, None
            if emit.alternatives or emit.attention:
                rows = torch.tensor(request.rows, device=self.device)
                table = choice.table
                best = table[rows].topk(emit.alternatives) if emit.alternatives and table is not None else None
                attended = weights[rows, : request.length] if emit.attention and weights is not None else None
            request.trace.append(
                Trace(
                    [places[came_from[row]] for row in request.rows],
                    [tokens[row] for row in request.rows],
                    [log_probs[row] for row in request.rows],
                    (best.indices, best.values) if best is not None else None,
                    attended,
                )
            )
            if emit.beams > 1:
                place = number[emit.beams] = number.get(emit.beams, -1) + 1
                *found, closed = (column[place] for column in ends[emit.beams])
                step = len(request.trace) - 1
                request.ended += [
                    End(step, beam, score, log_prob)
                    for score, beam, log_prob in zip(*found, strict=True)
                    if score > float("-inf")
                ]
                request.closed |= {rank for rank, is_closed in enumerate(closed) if is_closed}

    def _look(self, model: LoadedModel) -> list[Told]:
        """Answer and release what ended."""
        slots = model.slots
        look = slots.look()
        candidates = [] if slots.are_plain else slots.requests
        searches = [request for request in candidates if request.emit.beams > 1 and _is_over(model, request)]
        if not searches and not look.ended.any():
            return []
        rows = look.ended.nonzero().flatten()
        ended = dict(zip(rows.tolist(), look.ended[rows].tolist(), strict=True))
        done = dict.fromkeys([slots.owners[row] for row in ended] + searches)
        good = {request: None for request in done if all(ended.get(row) != BAD for row in request.rows)}
        sentences = self._sentences(model, list(good), look, "length")
        told = [_failed(request.key, _NO_NUMBERS) for request in done if request not in good]
        for request in good:
            sentence = sentences.get(request.key)
            if sentence and request.emit.stream and (progress := _progress(request, sentence)):
                told.append((request.key, progress))
            told.append((request.key, self._emitted(model, request, sentence, "length")))
        self._release(model, list(done))
        return told

    def _emitted(
        self, model: LoadedModel, request: Running, sentence: Hypothesis | None, reason: FinishReason
    ) -> Emitted:
        """The answer to a request as far as it came: its one `sentence`, or what a search found; `reason` is that of
        hypotheses without an end."""
        if sentence is not None:
            return Emitted(request.key[1], [sentence])
        emit = request.emit
        found = [_traced(request, end.step, end.beam, end.score, end) for end in request.ended]
        step = len(request.trace)
        if takes_unfinished(
            model.decoding.search,
            ended=len(found),
            is_over=_is_over(model, request),
            is_at_limit=step == emit.max_tokens,
        ):
            scores = model.slots.scores[torch.tensor(request.rows, device=self.device)].tolist()
            alive = [(score, beam) for beam, score in enumerate(scores) if score > float("-inf")]
            unfinished = (_traced(request, step, beam, score, None, reason) for score, beam in alive)
            found += [hypothesis for hypothesis in unfinished if model.decoding.end not in hypothesis.tokens]
        found.sort(key=lambda hypothesis: -hypothesis.score)
        return Emitted(request.key[1], found[: emit.n_best])

    def _sentences(
        self, model: LoadedModel, requests: Sequence[Running], look: Look, reason: FinishReason
    ) -> dict[RequestKey, Hypothesis]:
        """The sentences of those requests that have one row; `reason` is that of sentences without an end."""
        single = [request for request in requests if request.emit.beams == 1]
        with torch.inference_mode():
            found = model.slots.read([request.rows[0] for request in single], look)
        return {
            request.key: _sentence(
                request, tokens, log_probs, "stop" if look.ended[request.rows[0]] == STOP else reason
            )
            for request, (tokens, log_probs) in zip(single, found, strict=True)
        }

    def _release(self, model: LoadedModel, requests: Sequence[Running]) -> None:
        with torch.inference_mode():
            model.slots.release(requests)

    def release(self, key: str, request: RequestKey) -> None:
        """Forget a request that nobody waits for any more."""
        model = self.models[key]
        model.reading.pop(request, None)
        if running := model.slots.find(request):
            self._release(model, [running])

    def expire(self, key: str, request: RequestKey) -> Emitted | None:
        """Answer a request that is out of time as far as it came, and forget it; None if it emits nothing yet."""
        model = self.models[key]
        running = model.slots.find(request)
        answer = None
        if running:
            sentences = self._sentences(model, [running], model.slots.look(), "deadline")
            answer = self._emitted(model, running, sentences.get(request), "deadline")
        self.release(key, request)
        return answer

    def check(self, key: str, source: Tokens | Pixels, emit: Emit | None) -> Cost:
        """The cost of a request. Raises ModelUnavailable, and EngineFailed when the model cannot take it."""
        model = self.models.get(key)
        if model is None:
            raise ModelUnavailable(f"{key} is not loaded; choose another version")
        if (emit is not None) != isinstance(model.network, EncoderDecoder):
            raise EngineFailed(f"model {key} does not answer with {'sentences' if emit else 'labels'}")
        if emit is not None:
            self._check_emit(model, emit)
        rows, tokens = (emit.beams, emit.max_tokens) if emit else (0, 0)
        if isinstance(source, Pixels):
            image = model.manifest.image
            if image is None or source.size != image.size or len(source.data) != 3 * source.size**2:
                raise EngineFailed(f"model {key} does not take this image")
            return Cost(IMAGE_STEPS, rows * min(tokens, _TOKENS_OF_A_CAPTION), rows)
        encoder = model.network.config.encoder
        if (
            encoder.kind != "text"
            or not source.ids
            or not 0 <= min(source.ids) <= max(source.ids) < encoder.vocabulary_size
        ):
            raise EngineFailed(f"model {key} does not take these tokens")
        return Cost(len(source.ids), rows * min(tokens, 2 * len(source.ids) + 8), rows)

    def _check_emit(self, model: LoadedModel, emit: Emit) -> None:
        network = model.network
        assert isinstance(network, EncoderDecoder)
        vocabulary = network.config.decoder.vocabulary_size
        if emit.beams > min(self._slots, vocabulary // 2):
            raise EngineFailed(f"{emit.beams} beams are more than the engine's {self._slots} slots")
        if not (1 <= emit.n_best <= emit.beams and emit.max_tokens >= 1 and emit.alternatives <= MOST_ALTERNATIVES):
            raise EngineFailed("these decoding options contradict each other")
        given = emit.prefix if emit.first is None else [emit.first, *emit.prefix]
        if given and not 0 <= min(given) <= max(given) < vocabulary:
            raise EngineFailed(f"model {model.manifest.key} does not know these tokens of the prefix")


def _is_over(model: LoadedModel, request: Running) -> bool:
    """Whether a search may stop before its limit."""
    emit = request.emit
    return is_over(
        model.decoding.until,
        ended=len(request.ended),
        closed=request.closed,
        beams=emit.beams,
        n_best=emit.n_best,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is about memory, of a GPU or of the host."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _broken(error: BaseException) -> str:
    return f"the engine could not run it: {type(error).__name__}"


def _failed(key: RequestKey, reason: str) -> Told:
    return key, Failed(key[1], reason)


def _scored(model: LoadedModel, item: Item, scores: list[float]) -> Told:
    """What is explained is answered by the network that explains it."""
    explanation = _explanation(model, item)
    if explanation is not None:
        scores = explanation.probabilities[-1]
    if any(score != score for score in scores):
        return _failed(item.key, _NO_NUMBERS)
    return item.key, Scored(item.key[1], scores, explanation)


def _explanation(model: LoadedModel, item: Item) -> Explanation | None:
    if item.explain is None or model.exact is None or not isinstance(item.source, Tokens):
        return None
    tokens, layer = torch.tensor(item.source.ids), item.explain.layer
    probabilities = probabilities_after_each(model.exact, tokens).tolist()
    found = [] if layer is None else layer_activations(model.exact, tokens, layer)
    activations = [
        Activations(
            one.hidden.tolist(),
            [] if one.cell is None else one.cell.tolist(),
            {name: values.tolist() for name, values in one.gates.items()},
        )
        for one in found
    ]
    return Explanation(probabilities, activations)


def _sentence(request: Running, tokens: list[int], log_probs: list[float], reason: FinishReason) -> Hypothesis:
    """Of a request with one row; the end is not among the tokens."""
    emit, trace = request.emit, request.trace[: len(log_probs)]
    return Hypothesis(
        tokens[:-1] if reason == "stop" else tokens,
        log_probs,
        _normalised(sum(log_probs), len(log_probs), emit),
        reason,
        [_alternatives(step, 0) for step in trace] if emit.alternatives else [],
        [_weights(step, 0) for step in trace] if emit.attention else [],
    )


def _progress(request: Running, sentence: Hypothesis) -> Progress | None:
    """What a stream has not told yet. (A search tells nothing: it is not settled before its end.)"""
    first, last = request.sent, len(sentence.tokens)
    if first == last:
        return None
    request.sent = last
    return Progress(
        request.key[1],
        sentence.tokens[first:],
        sentence.log_probs[first:last],
        sentence.alternatives[first:last],
        sentence.attention[first:last],
    )


def _normalised(total: float, tokens: int, emit: Emit) -> float:
    """Score after the length penalty (Wu et al. 2016, section 7, equation 14); `tokens` with the end."""
    return total / ((5 + tokens) / 6) ** emit.length_penalty if emit.length_penalty else total


def _traced(
    request: Running, step: int, beam: int, score: float, end: End | None, reason: FinishReason = "stop"
) -> Hypothesis:
    """A hypothesis of a search, followed back from beam `beam` before step `step`."""
    emit = request.emit
    tokens: list[int] = []
    log_probs = [] if end is None else [max(end.log_prob, LEAST)]
    told = [] if end is None else [(request.trace[step], beam)]
    for trace in reversed(request.trace[:step]):
        tokens.append(trace.tokens[beam])
        log_probs.append(trace.log_probs[beam])
        beam = trace.parents[beam]
        told.append((trace, beam))
    told.reverse()
    return Hypothesis(
        tokens[::-1],
        log_probs[::-1],
        _normalised(score, len(log_probs), emit),
        "stop" if end is not None else reason,
        [_alternatives(*place) for place in told] if emit.alternatives else [],
        [_weights(*place) for place in told] if emit.attention else [],
    )


def _alternatives(trace: Trace, beam: int) -> list[tuple[int, float]]:
    assert trace.alternatives is not None
    ids, log_probs = (column[beam].tolist() for column in trace.alternatives)
    return [(token, value) for token, value in zip(ids, log_probs, strict=True) if value > float("-inf")]


def _weights(trace: Trace, beam: int) -> list[float]:
    weights: list[float] = [] if trace.attention is None else trace.attention[beam].tolist()
    return weights
