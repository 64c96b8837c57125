"""A unit of decoding in one call of the native kernels: some steps of all rows of a decoder, from the embedding of the
last tokens to the choice of the next ones. ctypes releases the interpreter lock during the call.

`unit_of` says whether a network has it; `app.engine.decode` runs the rows that need nothing else in it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.models.decoders import Decoder
from app.models.networks import EncoderDecoder, Network
from app.models.serving.native import NativeLinear, NativeRecurrent
from app.models.serving.native.library import CellFields, DecoderFields, DrawFields, LayerFields, UnitFields, loaded
from app.models.serving.packed import PackedEmbedding
from app.store.attention import AttentionKind
from app.store.language_model import LanguageModel

_ATTENTION: dict[AttentionKind, int] = {"none": 0, "fixed": 1, "dot": 2, "general": 2, "additive": 3, "gated": 4}
_PARTS = ("embedding", "hidden", "context")
_EMBEDDINGS = (torch.float16, torch.float32)  # in the order of `enum type`


class Drawn(NamedTuple):
    """Rows whose tokens are drawn, and how, each (some,): see `app.engine.sampling.sample`."""

    rows: Tensor
    seed: Tensor
    top_k: Tensor
    temperature: Tensor
    top_p: Tensor
    min_p: Tensor


class RunningRows(NamedTuple):
    """The storage of the running rows, which a unit changes in place: the first `running` rows of each tensor run.

    `state` as in `State`, memories with at least `positions` positions. previous (rows,), the last tokens; steps
    (rows,), tokens decoded so far; ended (rows,), see `app.engine.slots`; limits (rows,), the most tokens; history and
    log_probs (rows, tokens). `drawn` are the rows that do not take the most probable token.
    """

    state: Mapping[str, Tensor]
    previous: Tensor
    steps: Tensor
    ended: Tensor
    limits: Tensor
    history: Tensor
    log_probs: Tensor
    running: int
    positions: int
    drawn: Drawn | None = None


class DecoderUnit:
    """`decoder` as the kernels read it. Its weights must not change."""

    def __init__(self, decoder: Decoder, *, memory_size: int) -> None:
        config = decoder.config
        assert isinstance(decoder.recurrence, NativeRecurrent)
        cells = [layer[0] for layer in decoder.recurrence.cells]
        attention = decoder.attention if decoder.attends else None
        self._decoder = decoder
        self._own: list[NativeLinear] = []
        self._memory_size = memory_size if attention is not None else 0
        self._score = torch.zeros(0)
        fields = self._fields = DecoderFields(
            projections=(LayerFields * len(cells))(*(cell.projection for cell in cells)),
            cells=(CellFields * len(cells))(*(cell.fields for cell in cells)),
            output=self._layer(decoder.output),
            embedding_size=config.embedding_size,
            embedding_relu=config.embedding_activation is not None,
            layers=config.layers,
            hidden_size=config.hidden_size,
            memory_size=self._memory_size,
            attention=_ATTENTION[config.attention.kind],
            attends_first=attention is not None and config.context == "input",
            fed=decoder.feeds or 0,
            part_count=len(config.readout),
            level=cells[0].level,
        )
        self._embedding = decoder.embedding.weight.detach().contiguous()
        fields.embedding = self._embedding.data_ptr()
        fields.embedding_type = _EMBEDDINGS.index(self._embedding.dtype)
        fields.parts[: len(config.readout)] = [_PARTS.index(part) for part in config.readout]
        if config.input_size is not None:
            fields.input = self._layer(decoder.input)
        if config.readout_size is not None:
            fields.readout = self._layer(decoder.readout)
        if attention is not None:
            fields.key_size = config.attention.size or (
                config.hidden_size if config.attention.kind == "general" else memory_size
            )
            fields.attention_relu = config.attention.activation == "relu"
        if attention is not None and config.attention.kind in ("additive", "gated"):
            fields.query = self._layer(attention.query)
            self._score = attention.score.weight.detach().float().flatten().contiguous()
            fields.score = self._score.data_ptr()
        if attention is not None and config.attention.kind == "gated":
            fields.gate = self._layer(attention.gate)

    def _layer(self, layer: nn.Module) -> LayerFields:
        """A linear layer; one that has no serving form gets one here."""
        if isinstance(layer, nn.Linear):
            layer = NativeLinear(layer.weight, layer.bias, dtype=torch.float32)
            self._own.append(layer)
        assert isinstance(layer, NativeLinear)
        return layer.fields

    def run(self, rows: RunningRows, *, steps: int, block: int, end: int) -> tuple[int, int]:
        """Decode up to `steps` tokens for the running rows, `block` of them at once; `end` ends an answer. Returns the
        number of steps, and the number of tokens of all rows.

        Raises ValueError or MemoryError, and then nothing has changed.
        """
        self._check(rows)
        state, drawn = rows.state, rows.drawn
        unit = UnitFields(
            previous=rows.previous.data_ptr(),
            progress=rows.steps.data_ptr(),
            ended=rows.ended.data_ptr(),
            history=rows.history.data_ptr(),
            log_probs=rows.log_probs.data_ptr(),
            limits=rows.limits.data_ptr(),
            count=rows.running,
            steps=steps,
            block=block,
            end=end,
            room=rows.history.shape[1],
            positions=rows.positions,
        )
        for name in ("hidden", "cell", "fed", "first", "is_first", "memory", "keys"):
            if name in state:
                setattr(unit, name, state[name].data_ptr())
        if "memory" in state:
            memory, keys, mask = state["memory"], state["keys"], state["memory_mask"]
            unit.memory_row, unit.memory_position = memory.stride(0), memory.stride(1)
            unit.keys_row, unit.keys_position = keys.stride(0), keys.stride(1)
            unit.mask, unit.mask_row = mask.data_ptr(), mask.stride(0)
        if drawn is not None:  # its tensors must live until the end of the call
            whole = [tensor.long().contiguous() for tensor in (drawn.rows, drawn.seed, drawn.top_k)]
            real = [tensor.float().contiguous() for tensor in (drawn.temperature, drawn.top_p, drawn.min_p)]
            places, seeds, top_k, temperatures, top_p, min_p = (tensor.data_ptr() for tensor in (*whole, *real))
            unit.drawn = DrawFields(
                rows=places,
                seeds=seeds,
                top_k=top_k,
                temperatures=temperatures,
                top_p=top_p,
                min_p=min_p,
                count=len(drawn.rows),
            )
        status = loaded().unroll_decode(self._fields, unit)
        if status == -1:
            raise MemoryError("there is no memory for a unit of decoding")
        if status:
            raise ValueError("a row has a last token outside of the vocabulary, or no room for another token")
        return unit.made_steps, unit.made_rows

    def _check(self, rows: RunningRows) -> None:
        """Check what the kernel relies on. Raises ValueError."""
        config, count, state = self._decoder.config, rows.running, rows.state
        of_rows = (rows.previous, rows.steps, rows.ended, rows.limits)
        wanted: dict[str, tuple[int, ...]] = {"hidden": (config.layers, config.hidden_size)}
        if self._decoder.has_cell:
            wanted["cell"] = wanted["hidden"]
        if self._decoder.feeds is not None:
            wanted["fed"] = (self._decoder.feeds,)
        if config.first_input == "summary":
            wanted |= {"first": (config.embedding_size,), "is_first": (1,)}
        tables = (rows.history, rows.log_probs)
        is_sound = (
            all(tensor.dtype == torch.int64 and tensor.is_contiguous() and len(tensor) >= count for tensor in of_rows)
            and all(tensor.is_contiguous() and len(tensor) >= count for tensor in tables)
            and rows.history.shape == rows.log_probs.shape
            and rows.history.dtype == torch.int64
            and rows.log_probs.dtype == torch.float32
            and all(
                state[name].shape[1:] == shape
                and len(state[name]) >= count
                and state[name].is_contiguous()
                and state[name].dtype == (torch.bool if name == "is_first" else torch.float32)
                for name, shape in wanted.items()
            )
        )
        if self._memory_size:
            sizes = (("memory", self._memory_size), ("keys", self._fields.key_size))
            mask = state["memory_mask"]
            is_sound = (
                is_sound
                and all(
                    state[name].dtype == torch.float32 and state[name].shape[2] == size and state[name].stride(2) == 1
                    for name, size in sizes
                )
                and mask.dtype == torch.bool
                and mask.stride(1) == 1
                and all(
                    len(state[name]) >= count and state[name].shape[1] >= rows.positions >= 1
                    for name in ("memory", "keys", "memory_mask")
                )
            )
        if not is_sound:
            raise ValueError("the storage of the rows does not fit the decoder")


def unit_of(network: Network) -> DecoderUnit | None:
    """The unit of a network in its serving form; None if it has no decoder, or one that the kernels do not compute:
    its recurrence is not native, or its attention is by location or over a memory with holes."""
    if not isinstance(network, EncoderDecoder) or not isinstance(network.decoder.recurrence, NativeRecurrent):
        return None
    decoder, encoder = network.decoder, network.config.encoder
    kind = decoder.config.attention.kind
    if kind not in _ATTENTION or (kind not in ("none", "fixed") and not decoder.attention.natively):
        return None
    if not isinstance(decoder.embedding, PackedEmbedding) and decoder.embedding.weight.dtype not in _EMBEDDINGS:
        return None
    if isinstance(network.config, LanguageModel):
        return DecoderUnit(decoder, memory_size=0)
    return DecoderUnit(decoder, memory_size=encoder.summary_size if kind == "fixed" else encoder.memory_size)
