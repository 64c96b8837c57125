"""The models of one device: built from versions of the store, warmed, and unloaded."""

import copy
from collections.abc import Iterator, Mapping
from functools import partial

import torch

from app.engine.cost import cost_of
from app.engine.cuda_graphs import Units, memory_sizes
from app.engine.decode import decode
from app.engine.encode import encode
from app.engine.loaded_model import Counters, LoadedModel
from app.engine.policy import Policy, policy_of
from app.engine.protocol import AnswerSpec, Decode, Label, Pixels, Source, Tokens
from app.engine.request import Request, whole
from app.engine.slots import Slots
from app.errors import WeightsMismatch
from app.heap import give_back_memory
from app.machine import available_memory
from app.models.networks import Classifier, EncoderDecoder, build_network
from app.models.serving.precision import Precision, prepare, prepare_for_gpu
from app.store.architecture import Classifier as ClassifierConfig
from app.store.manifest import Manifest
from app.store.model_store import WEIGHTS, Version, check_hashes
from app.store.weights import check_weights, load_weights

_WARM_TOKENS = 8


class Models(Mapping[str, LoadedModel]):
    """The loaded models by `name/version`. `slots` is the number of rows of each, `unit` the number of steps for which
    CUDA graphs are captured, `policy` by default that of the device."""

    def __init__(
        self,
        device: torch.device,
        *,
        slots: int,
        precision: Precision = "auto",
        unit: int = 6,
        policy: Policy | None = None,
    ) -> None:
        self.device = device
        self.policy = policy or policy_of(device)
        self.counters = Counters()
        self._slots = slots
        self._precision = precision
        self._unit = unit
        self._models: dict[str, LoadedModel] = {}

    def __getitem__(self, key: str) -> LoadedModel:
        return self._models[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def load(self, version: Version) -> None:
        """Build, warm and add a version. Raises StoreError."""
        self.put(self.build(version))

    def build(self, version: Version) -> LoadedModel:
        """A version's network with its weights, on the device. It does not touch the other models: another thread may
        build while they run. The files are checked first, so that a damaged version takes no memory. Raises
        StoreError."""
        manifest = version.manifest
        image = manifest.image
        mean, std = (list(image.mean), list(image.std)) if image else ([0.0] * 3, [1.0] * 3)
        build = partial(build_network, manifest.architecture, mean=mean, std=std)
        check_weights(build, version)
        _check_memory(manifest)
        check_hashes(version, manifest.files)
        network = build()
        load_weights(network, version)
        return self._prepared(manifest, network)

    def add(self, manifest: Manifest, network: Classifier | EncoderDecoder) -> None:
        """Prepare, warm and add a network that has its weights."""
        self.put(self._prepared(manifest, network))

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

    def _prepared(self, manifest: Manifest, network: Classifier | EncoderDecoder) -> LoadedModel:
        if isinstance(network, EncoderDecoder) and manifest.decoding is not None:
            network.decoder.output.bias.data[list(manifest.decoding.suppress)] = float("-inf")
        exact = copy.deepcopy(network).eval() if isinstance(network, Classifier) else None
        precision = self._precision if manifest.precision == "auto" else manifest.precision
        if self.policy.looks_each_step:
            words = prepare(network, precision, self.device)
            slots = Slots(self._slots, self.device)
            return LoadedModel(manifest, network, slots, words, self._slots, self.policy, exact=exact)
        words = prepare_for_gpu(network, precision, self.device)
        memories = _memories(manifest, self.policy.positions)
        slots = Slots(self._slots, self.device, looks_each_step=False, positions=memories[-1])
        model = LoadedModel(
            manifest, network, slots, words, self._slots, self.policy, exact=exact, tf32=precision == "auto"
        )
        if isinstance(network, EncoderDecoder):
            model.apart = Slots(self._slots, self.device, looks_each_step=False)
            model.units = Units(network, slots, model.decoding.end, steps=self._unit, memories=memories)
        _warm(model)
        return model


def _memories(manifest: Manifest, most: int) -> list[int]:
    """The memory lengths for which graphs are captured; `most` is the largest for texts."""
    architecture = manifest.architecture
    if isinstance(architecture, ClassifierConfig) or architecture.decoder.attention.kind == "none":
        return [0]
    if architecture.decoder.attention.kind == "fixed":
        return [1]
    if architecture.encoder.kind == "image":
        return [architecture.encoder.memory_length]
    return memory_sizes(min(most, manifest.limits.source_tokens or most))


def _check_memory(manifest: Manifest) -> None:
    """Raises WeightsMismatch for weights that this machine can never hold."""
    size, memory = manifest.files[WEIGHTS].bytes, available_memory()
    if size > memory:
        raise WeightsMismatch(f"{WEIGHTS} has {size:,} bytes; this machine has {memory:,} bytes of memory")


def _warm(model: LoadedModel) -> None:
    """Run a small batch through everything once and capture the graphs: kernels and memory are ready before the first
    request."""
    image = model.manifest.image
    source: Source = (
        Pixels(image.size, bytes(3 * image.size**2))
        if image
        else Tokens([0] * min(_WARM_TOKENS, model.slots.positions or _WARM_TOKENS))
    )
    answer: AnswerSpec = Decode(2) if isinstance(model.network, EncoderDecoder) else Label()
    cost = cost_of(source, answer)
    rows = min(2, model.slots.capacity)
    encode(model, [whole(Request((b"", number), model.key, source, answer, cost)) for number in range(rows)])
    while model.rows:
        decode(model, 2)
    if model.units is not None:
        model.units.capture()
