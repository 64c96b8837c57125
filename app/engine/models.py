"""The models of one device: built from versions of the store, warmed, and unloaded."""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import assert_never

import torch
from torch import nn

from app.engine.cost import cost_of
from app.engine.cuda_graphs import Units, memory_sizes
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.faults import NOT_FINITE
from app.engine.forecast import forecast
from app.engine.loaded_model import Counters, LoadedModel
from app.engine.policy import Policy, policy_of
from app.engine.protocol import (
    AnswerSpec,
    Decode,
    Failed,
    Forecast,
    Frames,
    Label,
    Pixels,
    Series,
    Source,
    Table,
    Tag,
    Tokens,
)
from app.engine.request import Request, whole
from app.engine.sizes import needed_bytes, row_bytes
from app.engine.slots import Slots
from app.errors import WeightsMismatch
from app.heap import give_back_memory
from app.machine import available_memory
from app.models.networks import Classifier, EncoderDecoder, Network, TokenNetwork, build_network
from app.models.pieces import InPieces
from app.models.serving.precision import Precision, precision_of, prepare, prepare_for_gpu
from app.models.serving.unit import unit_of
from app.store.architecture import Architecture, WritesTokens
from app.store.classifier import Classifier as ClassifierConfig
from app.store.encoder_decoder import EncoderDecoder as EncoderDecoderConfig
from app.store.forecaster import Forecaster
from app.store.hashes import HashOf, sha256_of
from app.store.language_model import LanguageModel
from app.store.manifest import Manifest
from app.store.model_store import WEIGHTS, Version, check_hashes, inspect_version
from app.store.tagger import Tagger
from app.store.weights import WithoutValues, check_weights, distinct_tensors, load_in_pieces, load_weights
from app.store.window_language_model import WindowLanguageModel as WindowLanguageModelConfig

_WARM_STEPS, _WARM_FRAMES = 8, 2  # of a source: another number of them needs no other kernel
_AS_STORED = "float32"  # in the words of `prepare`


class Models(Mapping[str, LoadedModel]):
    """The loaded models by `name/version`. `slots` is the number of rows of each, `unit` the number of steps for which
    CUDA graphs are captured, `policy` by default that of the device, `memory` the bytes that all may take; None stands
    for all memory of this machine."""

    def __init__(
        self,
        device: torch.device,
        *,
        slots: int,
        precision: Precision = "auto",
        unit: int = 6,
        policy: Policy | None = None,
        memory: int | None = None,
        hash_of: HashOf = sha256_of,
    ) -> None:
        self.device = device
        self.policy = policy or policy_of(device)
        self.counters = Counters()
        self.memory = memory or available_memory()
        self._slots = slots
        self._precision = precision
        self._unit = unit
        self._hash_of = hash_of
        self._models: dict[str, LoadedModel] = {}

    def __getitem__(self, key: str) -> LoadedModel:
        return self._models[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def bytes(self) -> int:
        """Memory of all loaded models."""
        return sum(model.bytes for model in self.values())

    def open(self, folder: Path) -> Version:
        """The version in a folder; its hashes are not checked. Raises StoreError, also if it can never be loaded
        here."""
        version = inspect_version(folder)
        self._check_fits(version)
        return version

    def load(self, version: Version) -> None:
        """Build, warm and add a version. Raises StoreError."""
        self.put(self.build(version))

    def check(self, version: Version) -> None:
        """Check the files of a version, which takes no memory. Raises StoreError."""
        self._check_fits(version)
        check_weights(_builder(version), version)
        check_hashes(version, version.manifest.files, self._hash_of)

    def build(self, version: Version) -> LoadedModel:
        """A version's network with its weights, on the device. It does not touch the other models: another thread may
        build while they run. The files are checked first. Raises StoreError."""
        self.check(version)
        network = _without_values(version)
        load_weights(network, version)
        model = self._prepared(version.manifest, network)
        model.make_exact = partial(self._exact, version)
        give_back_memory()  # of the form in float32
        return model

    def _exact(self, version: Version) -> InPieces[Network]:
        """A loaded network in float32, from its files once more. Raises StoreError if they have changed since."""
        check_hashes(version, [WEIGHTS], self._hash_of)
        network = _without_values(version)
        yield from load_in_pieces(network, version)
        return network.eval().requires_grad_(False)

    def add(self, manifest: Manifest, network: Network) -> None:
        """Prepare, warm and add a network that has its weights."""
        exact = copy.deepcopy(network).eval() if _is_explained(network) else None
        model = self._prepared(manifest, network)
        model.exact = model.exact or exact
        self.put(model)

    def put(self, model: LoadedModel) -> None:
        """Add a model to the others. One of a CPU is warmed; one of a GPU is warm, since captures take seconds."""
        if model.policy.looks_each_step:
            _warm(model)
        model.counters = self.counters  # after the warm-up, which is no work of a request
        self._models[model.key] = model

    def unload(self, key: str) -> None:
        """Remove an idle model and give its memory back to the system."""
        model = self._models.pop(key)
        if model.units is not None:
            model.units.forget()
        del model
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        give_back_memory()

    def needed_bytes(self, version: Version) -> int:
        """Memory that a version needs while it is loaded; on a GPU also that of its plain rows, which it has from the
        start."""
        architecture, rows = version.manifest.architecture, 0
        if self.device.type != "cpu" and isinstance(architecture, WritesTokens):
            rows = self._slots * row_bytes(architecture, _memories(version.manifest, self.policy.positions)[-1])
        return needed_bytes(version) + rows

    def _check_fits(self, version: Version) -> None:
        """Raises WeightsMismatch."""
        needed = self.needed_bytes(version)
        if needed > self.memory:
            raise WeightsMismatch(
                f"{WEIGHTS} needs {needed:,} bytes of memory, and the models of an engine may take {self.memory:,} "
                "(models_memory): raise it if the machine has more"
            )

    def _prepared(self, manifest: Manifest, network: Network) -> LoadedModel:
        if isinstance(network, TokenNetwork) and manifest.decoding is not None:
            output = network.decoder.output if isinstance(network, EncoderDecoder) else network.output
            output.bias.data[list(manifest.decoding.suppress)] = float("-inf")
        weights = sum(tensor.numel() for tensor in distinct_tensors(network).values())
        precision = precision_of(network, self._precision, manifest.precision)
        if self.policy.looks_each_step:
            words = prepare(network, precision, self.device)
            unit = unit_of(network)
            slots = Slots(self._slots, self.device, free_only=unit is not None)
            model = LoadedModel(manifest, network, slots, words, self._slots, self.policy, unit=unit)
            if unit is not None:
                model.apart = Slots(self._slots, self.device)
            model.exact = network if _is_explained(network) and words == _AS_STORED else None
        else:
            words = prepare_for_gpu(network, precision, self.device)
            memories = _memories(manifest, self.policy.positions)
            slots = Slots(self._slots, self.device, looks_each_step=False, positions=memories[-1])
            model = LoadedModel(
                manifest, network, slots, words, self._slots, self.policy, tf32=precision in ("auto", "int8")
            )
            if isinstance(network, TokenNetwork):
                model.apart = Slots(self._slots, self.device, looks_each_step=False)
                if model.bounded(self._unit) == self._unit:  # a graph of a slow step has too many kernels
                    model.units = Units(network, slots, model.decoding.end, steps=self._unit, memories=memories)
            _warm(model)
        model.weights_bytes = _served_bytes(network, weights)
        if _is_explained(network) and model.exact is None and self.device.type == "cpu":
            model.exact_bytes = 4 * weights
        return model


def _is_explained(network: Network) -> bool:
    """Whether explanations read the network in float32."""
    return isinstance(network, Classifier | EncoderDecoder)


def _memories(manifest: Manifest, most: int) -> list[int]:
    """The memory lengths for which graphs are captured; `most` is the largest for texts."""
    architecture = manifest.architecture
    if not isinstance(architecture, WritesTokens):
        return [0]
    if architecture.decoder.attention.kind == "none":
        return [0]
    if architecture.decoder.attention.kind == "fixed":
        return [1]
    if architecture.encoder.kind == "image":
        return [architecture.encoder.memory_length]
    tokens = manifest.limits.source_tokens
    return memory_sizes(most if tokens is None else min(most, architecture.encoder.memory_length(tokens)))


def _builder(version: Version) -> Callable[[], Network]:
    image = version.manifest.image
    mean, std = (list(image.mean), list(image.std)) if image else ([0.0] * 3, [1.0] * 3)
    return partial(build_network, version.manifest.architecture, mean=mean, std=std)


def _without_values(version: Version) -> Network:
    with WithoutValues():
        return _builder(version)()


def _served_bytes(network: nn.Module, weights: int) -> int:
    """The size of the serving form of a network with this number of weights; weights that are packed for FBGEMM or
    oneDNN show no size, and count as float32."""
    tensors = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}.values()
    packed = max(0, weights - sum(tensor.numel() for tensor in tensors))
    return sum(tensor.nbytes for tensor in tensors) + 4 * packed


def _warm(model: LoadedModel) -> None:
    """Run a small batch through everything once and capture the graphs: kernels and memory are ready before the first
    request. Raises RuntimeError or MemoryError if a request of it fails; infinite numbers and NaN are an answer of the
    weights."""
    architecture = model.manifest.architecture
    source, answer = _warm_source(model), _warm_answer(architecture)
    cost = cost_of(source, answer, architecture)
    rows = min(2, model.slots.capacity)
    outputs = encode(model, [whole(Request((b"", number), model.key, source, answer, cost)) for number in range(rows)])
    while model.rows:
        outputs += forecast(model, 2) if len(model.forecasts) else decode(model, 2)
    for _, event in outputs:
        if isinstance(event, Failed) and not event.reason.startswith(NOT_FINITE):
            if model.counters.out_of_memory:
                raise MemoryError("the warm-up ran out of memory")
            raise RuntimeError(f"the warm-up failed: {event.reason}")
    if model.units is not None:
        with model.number_types():
            model.units.capture()


def _warm_source(model: LoadedModel) -> Source:
    manifest = model.manifest
    match manifest.source:
        case "text":
            steps = _warm_steps(manifest.architecture)
            return Tokens([0] * min(steps, model.slots.positions or steps))
        case "series":
            assert manifest.series is not None
            steps, window = _warm_steps(manifest.architecture), manifest.series.window
            columns, steps = len(manifest.series.features), steps if window is None else min(steps, window)
            return Series(Table(columns, bytes(4 * columns * steps)))
        case "image" | "frames":
            assert manifest.image is not None
            size, count = manifest.image.size, _warm_steps(manifest.architecture, _WARM_FRAMES)
            if manifest.source == "image":
                return Pixels(size, bytes(3 * size**2))
            return Frames(size, count, bytes(3 * size**2 * count))
        case _:
            assert_never(manifest.source)


def _warm_steps(architecture: Architecture, usual: int = _WARM_STEPS) -> int:
    return architecture.fixed_steps or max(usual, architecture.least_steps)


def _warm_answer(architecture: Architecture) -> AnswerSpec:
    match architecture:
        case ClassifierConfig():
            return Label()
        case Tagger():
            return Tag()
        case Forecaster():
            return Forecast(min(2, architecture.horizon) if not architecture.is_stepwise else 2)
        case EncoderDecoderConfig() | LanguageModel() | WindowLanguageModelConfig():
            return Decode(2)
        case _:
            assert_never(architecture)
