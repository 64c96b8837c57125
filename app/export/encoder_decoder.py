"""Encoder-decoders over texts as a model file, with greedy decoding."""

from typing import assert_never

from app.errors import ExportFailed
from app.export import sources
from app.export.code import Code
from app.export.encoder import encoder
from app.export.language_model import choice
from app.export.program import Program
from app.export.recurrence import name_of, recurrence
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder
from app.store.manifest import Manifest
from app.store.recurrence import CELLS


def encoder_decoder(manifest: Manifest, config: EncoderDecoder) -> Program:
    """Ids of a source to ids of an answer."""
    if not isinstance(config.encoder, TextEncoder):
        raise ExportFailed("a network over images cannot be exported: its model file would need more than torch")
    decoder, decoding = config.decoder, manifest.decoding
    if decoder.first_input == "summary":
        raise ExportFailed("a decoder that reads the summary first cannot be exported")
    assert decoding is not None  # see `Manifest`
    code = Code()
    program = Program(code, sources.text(manifest) + "\nIt decodes greedily" + _other_search(manifest) + ".")
    encode = encoder(code, config.encoder, name="source_")
    writer = _Writer(code, config)
    program.method(
        "encode(self, x)",
        "Token ids (1, steps) to memory (1, steps, features), last states, and the decoder's first state.",
        [*encode, *writer.first_state(), "return x, last, state"],
    )
    feeds = ", fed" if decoder.input_feeding else ""
    program.method(
        f"step(self, token, memory, last, state{feeds})",
        f"A token (1,) to logits (1, vocabulary){', the fed features' if feeds else ''} and the next state.",
        writer.step(),
    )
    fed = [f"fed = torch.zeros(1, {decoder.readout_size})"] if feeds else []
    got = "logits, fed, state" if feeds else "logits, state"
    program.main += [
        sources.IDS,
        "memory, last, state = model.encode(ids)",
        *fed,
        f"made, token = [], {decoding.bos}",
        f"while len(made) < {decoding.max_tokens}:",
        f"    {got} = model.step(torch.tensor([token]), memory, last, state{feeds})",
        *choice(decoding, "logits[0]"),
        "print(*made)",
    ]
    if manifest.target_tokenizer is not None:
        program.reads += f"\nThe answer's ids are those of {manifest.target_tokenizer.file}."
    return program


def _other_search(manifest: Manifest) -> str:
    decoding = manifest.decoding
    return f"; the service searches with {decoding.beams} beams" if decoding and decoding.beams > 1 else ""


class _Writer:
    """Adds the parts of a decoder to the code, and makes its lines."""

    def __init__(self, code: Code, config: EncoderDecoder) -> None:
        self.code, self.encoder, self.decoder = code, config.encoder, config.decoder
        decoder = config.decoder
        self.summary = config.encoder.summary_size
        self.memory = self.summary if decoder.attention.kind == "fixed" else config.encoder.memory_size
        self.attends = decoder.attention.kind != "none"
        made = f"nn.Embedding({decoder.vocabulary_size}, {decoder.embedding_size})"
        self.embedding = code.part("embedding", made, "decoder.embedding")

    def first_state(self) -> list[str]:
        """Lines from the encoder's `last` and `state` to the decoder's `state`."""
        decoder = self.decoder
        layers, size = decoder.layers, decoder.hidden_size
        parts = ["hidden", "cell"] if self._has_cell else ["hidden"]
        unpacked = f"{', '.join(parts)} = state" if self._has_cell else "hidden = state"
        packed = "state = (hidden, cell)" if self._has_cell else "state = hidden"
        match decoder.bridge:
            case "copy":
                return []
            case "zeros":
                zeros = f"x.new_zeros({layers}, 1, {size})"
                return [f"state = ({zeros}, {zeros})" if self._has_cell else f"state = {zeros}"]
            case "first":
                return [unpacked, *(f"{name} = {name}[:{layers}]" for name in parts), packed]
            case "join":
                joined = ".unflatten(0, (-1, 2)).transpose(1, 2).flatten(2)"
                return [unpacked, *(f"{name} = {name}{joined}" for name in parts), packed]
            case "layerwise" | "layerwise_tanh":
                assert isinstance(self.encoder, TextEncoder)  # see `EncoderDecoder`
                lines, directions = [unpacked], self.encoder.recurrence.directions
                for name in parts:
                    made = f"nn.Linear({self.encoder.recurrence.output_size}, {size})"
                    joined = f"{name}.unflatten(0, (-1, {directions})).transpose(1, 2).flatten(2)"
                    value = f"{self.code.part(f'bridge_{name}', made, f'decoder.bridge_{name}')}({joined})"
                    lines.append(
                        f"{name} = torch.tanh({value})" if decoder.bridge != "layerwise" else f"{name} = {value}"
                    )
                return [*lines, packed]
            case "linear" | "tanh":
                lines = []
                for name in parts:
                    made = f"nn.Linear({self.summary}, {layers * size})"
                    value = f"{self.code.part(f'bridge_{name}', made, f'decoder.bridge_{name}')}(last)"
                    value = f"torch.tanh({value})" if decoder.bridge == "tanh" else value
                    lines.append(f"{name} = {value}.view(1, {layers}, {size}).transpose(0, 1).contiguous()")
                return [*lines, packed]
            case _:
                assert_never(decoder.bridge)

    def step(self) -> list[str]:
        """Lines of a step."""
        decoder, code = self.decoder, self.code
        embedded = f"{self.embedding}(token)"
        embedded = f"torch.relu({embedded})" if decoder.embedding_activation else embedded
        lines, inputs = [f"embedded = {embedded}"], ["embedded"]
        width = decoder.embedding_size
        if self.attends and decoder.context == "input":
            lines += self._attend("state[0][-1]" if self._has_cell else "state[-1]")
            inputs.append("context")
            width += self.memory
        if decoder.input_feeding:
            inputs.append("fed")
            width += decoder.readout_size or 0
        lines.append(f"x = {_side_by_side(inputs)}")
        if decoder.input_size is not None:
            layer = code.part("decoder_input", f"nn.Linear({width}, {decoder.input_size})", "decoder.input")
            lines.append(f"x = torch.relu({layer}(x))")
            width = decoder.input_size
        made = decoder.recurrence(width)
        call = recurrence(code, name_of(made), made, "decoder.recurrence")
        lines += [f"x, state = {call}(x.unsqueeze(1), state)", "hidden = x.squeeze(1)"]
        if self.attends and decoder.context == "output":
            lines += self._attend("hidden")
        return lines + self._read()

    def _read(self) -> list[str]:
        decoder = self.decoder
        sizes = {"hidden": decoder.hidden_size, "context": self.memory, "embedding": decoder.embedding_size}
        names = {"hidden": "hidden", "context": "context", "embedding": "embedded"}
        lines = [f"x = {_side_by_side([names[name] for name in decoder.readout])}"]
        width = sum(sizes[name] for name in decoder.readout)
        if decoder.readout_size is not None:
            readout = self.code.part("readout", f"nn.Linear({width}, {decoder.readout_size})", "decoder.readout")
            lines.append(f"x = torch.tanh({readout}(x))")
            width = decoder.readout_size
        output = self.code.part("output", f"nn.Linear({width}, {decoder.vocabulary_size})", "decoder.output")
        if decoder.tied_output:
            self.code.parts.append("self.output.weight = self.embedding.weight")
            self.code.shared["output.weight"] = "embedding.weight"
        return [*lines, f"return {output}(x), {'x, ' if decoder.input_feeding else ''}state"]

    def _attend(self, query: str) -> list[str]:
        """Lines that make `context` (1, features) of the memory."""
        config, decoder = self.decoder.attention, self.decoder
        ours = "decoder.attention"
        weighted = "context = (weights.unsqueeze(2) * memory).sum(1)"
        match config.kind:
            case "none":
                return []
            case "fixed":
                return ["context = last"]
            case "dot":
                return [f"weights = (memory @ {query}.unsqueeze(2)).squeeze(2).softmax(1)", weighted]
            case "general":
                made = f"nn.Linear({self.memory}, {decoder.hidden_size}, bias=False)"
                key = self.code.part("attention_key", made, f"{ours}.key")
                return [f"weights = ({key}(memory) @ {query}.unsqueeze(2)).squeeze(2).softmax(1)", weighted]
            case "location":
                made = f"nn.Linear({decoder.embedding_size + decoder.hidden_size}, {config.size})"
                score = self.code.part("attention_score", made, f"{ours}.score")
                return [
                    f"weights = {score}(torch.cat([embedded, {query}], 1)).softmax(1)[:, : memory.shape[1]]",
                    "context = (weights.unsqueeze(2) * memory[:, : weights.shape[1]]).sum(1)",
                ]
            case "additive" | "gated":
                return self._additive(query, weighted)
            case _:
                assert_never(config.kind)

    def _additive(self, query: str, weighted: str) -> list[str]:
        config, hidden = self.decoder.attention, self.decoder.hidden_size
        ours = "decoder.attention"
        key = self.code.part("attention_key", f"nn.Linear({self.memory}, {config.size})", f"{ours}.key")
        asked = self.code.part("attention_query", f"nn.Linear({hidden}, {config.size})", f"{ours}.query")
        score = self.code.part("attention_score", f"nn.Linear({config.size}, 1, bias=False)", f"{ours}.score")
        lines = [
            f"keys = torch.{config.activation}({key}(memory) + {asked}({query}).unsqueeze(1))",
            f"weights = {score}(keys).squeeze(2).softmax(1)",
            weighted,
        ]
        if config.kind == "gated":
            gate = self.code.part("attention_gate", f"nn.Linear({hidden}, {self.memory})", f"{ours}.gate")
            lines.append(f"context = torch.sigmoid({gate}({query})) * context")
        return lines

    @property
    def _has_cell(self) -> bool:
        return CELLS[self.decoder.cell].has_cell


def _side_by_side(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"torch.cat([{', '.join(names)}], 1)"
