"""A network of the user's own, of `nn.Embedding`, `nn.RNN`, `nn.GRU` or `nn.LSTM`, and `nn.Linear`. A mapping file
names the keys of each part; docs/importing.md lists its members."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import ValidationError
from torch import Tensor

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Converted, Given, Layout, Needs, require
from app.importers.options import Option
from app.importers.parts import (
    decoder_of,
    embedded,
    is_recurrent,
    linear,
    prefixed,
    recurrence,
    recurrent_weights,
    reordered,
    two_labels,
)
from app.importers.tokenizer import check_words, index_of, word_vocabulary
from app.importers.vocabularies import Role
from app.store.classifier import Classifier
from app.store.decoder import Decoder
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import TextEncoder

_CLASSIFIER = ("encoder.embedding", "encoder.recurrence", "output")
_PAIR = (
    *("encoder.embedding", "encoder.recurrence", "decoder.embedding", "decoder.recurrence", "decoder.output"),
    *("decoder.attention.key", "decoder.attention.query", "decoder.attention.score", "decoder.attention.gate"),
    *("decoder.bridge_hidden", "decoder.bridge_cell", "decoder.readout", "decoder.input"),
)
_MEANINGS = {"bos": "begins", "eos": "ends"}
_MARKS = ("sos", "eos", "bos", "sostok", "eostok", "start", "end", "\t", "\n")
_SHOWN = 8
_OF_THE_SKELETON = ("why", "layout", "keys")  # members that `--write-mapping` adds
_MAPPING = Option("mapping", "a JSON file from our parts to the prefixes of your keys, see docs/importing.md")
_WITHOUT_BIAS = ("decoder.embedding", "decoder.attention.score")  # softmax drops a score's bias
_TOKENIZER = Option("tokenizer", "how texts were split into words, see docs/tokenizers.md", "spaces_lower")


class _Generic(Layout):
    """Must be chosen with `--layout`: any network could match."""

    is_generic = True
    parts: Sequence[str]

    def matches(self, checkpoint: Checkpoint) -> bool:
        return False

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [_MAPPING, _TOKENIZER]

    def _rows(self, checkpoint: Checkpoint, chosen: Mapping[str, str], part: str) -> int | None:
        """Rows of the weight of a part, if the mapping is known."""
        if "mapping" not in chosen:
            return None
        mapping = _Mapping(checkpoint, chosen["mapping"])
        mapping.check_parts(self.parts)
        return len(mapping.weight(part))


class GenericClassifier(_Generic):
    """Embedding, recurrence, pooling, one linear layer. A single output has a sigmoid."""

    name = "generic-classifier"
    source = "your own classifier, with a mapping file"
    parts = _CLASSIFIER
    vocabularies: Sequence[Role] = ("source",)

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        outputs, rows = (self._rows(checkpoint, chosen, part) for part in ("output", "encoder.embedding"))
        labels = None if outputs is None else max(2, outputs)
        return Needs(self.vocabularies, labels=labels, rows={} if rows is None else {"source": rows})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        mapping = _Mapping(checkpoint, values.text("mapping"))
        mapping.check_parts(self.parts)
        source = words["source"]
        output = mapping.prefix("output")
        layer = linear(mapping.tensors, output)
        layer = two_labels(layer) if mapping.outputs == 1 else layer
        poolings = tuple(mapping.rest.pop("pooling", ["last"]))
        encoder = mapping.encoder(source)
        if "last_backward_first" in poolings:
            half = encoder.recurrence.hidden_size
            require(poolings == ("last_backward_first",), "pooling last_backward_first stands alone")
            require(encoder.recurrence.directions == 2, "pooling last_backward_first needs two directions")
            poolings, layer["weight"] = ("last",), reordered(layer["weight"], (half, half), (1, 0))
        try:
            architecture = Classifier.model_validate(
                {"encoder": encoder, "pooling": poolings, "labels": len(layer["weight"])}
            )
        except ValidationError as error:
            raise ImportFailed(f"the mapping file: {error.errors()[0]['msg']}") from error
        mapping.check_nothing_is_left()
        return Converted(
            task="sentiment",
            architecture=architecture,
            tensors={**mapping.encoder_tensors(), **prefixed(layer, "output.")},
            source=word_vocabulary(source, values.text("tokenizer"), unk=mapping.unk, **mapping.around(source)),
        )


class GenericEncoderDecoder(_Generic):
    """An encoder and a decoder with parts that Unroll has. `decoder` in the file is the decoder of a manifest without
    the members that follow from shapes."""

    name = "generic-encoder-decoder"
    source = "your own encoder-decoder, with a mapping file"
    parts = _PAIR
    vocabularies: Sequence[Role] = ("source", "target")

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        source, target = (self._rows(checkpoint, chosen, f"{side}.embedding") for side in ("encoder", "decoder"))
        rows = {} if source is None or target is None else {"source": source, "target": target}
        return Needs(self.vocabularies, rows=cast(Mapping[Role, int], rows))

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        mapping = _Mapping(checkpoint, values.text("mapping"))
        mapping.check_parts(self.parts)
        source, target = words["source"], words["target"]
        check_words(target, len(mapping.weight("decoder.embedding")), "target")
        recurrent = recurrence(mapping.tensors, mapping.prefix("decoder.recurrence"))
        bos, eos = (mapping.mark(name, target) for name in ("bos", "eos"))
        most = int(mapping.rest.pop("max_tokens", 50))
        try:
            embedding, others = mapping.weight("decoder.embedding"), dict(mapping.rest.pop("decoder", {}))
            decoder = decoder_of(embedding, recurrent, **others)
            architecture = EncoderDecoder(encoder=mapping.encoder(source), decoder=decoder)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ImportFailed(f"the mapping file, decoder.{where}: {first['msg']}") from error
        around = mapping.around(source)
        mapping.check_nothing_is_left()
        return Converted(
            task="translation",
            architecture=architecture,
            tensors={**mapping.encoder_tensors(), **mapping.decoder_tensors(decoder)},
            source=word_vocabulary(source, values.text("tokenizer"), unk=mapping.unk, **around),
            target=word_vocabulary(target, "spaces", unk=mapping.unk),
            decoding=Decoding(bos=bos, eos=eos, max_tokens=most),
            limits=TokenLimits(source_tokens=1000, max_tokens=1000),
        )


class _Mapping:
    """A mapping file over the tensors of all networks. With several networks, keys begin with the path of theirs."""

    def __init__(self, checkpoint: Checkpoint, name: str) -> None:
        path = Path(name)
        try:
            self.rest: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
            self._parts: dict[str, str] = dict(self.rest.pop("parts"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ImportFailed(f"{path.name} is not a mapping file: it must be JSON with an object 'parts'") from error
        for member in _OF_THE_SKELETON:
            self.rest.pop(member, None)
        parts = checkpoint.networks.items()
        self.tensors: Tensors = checkpoint.single or {
            f"{path}.{key}": value for path, part in parts for key, value in part.items()
        }
        self.unk: str | None = self.rest.pop("unk", "<unk>")

    def check_parts(self, known: Sequence[str]) -> None:
        """Raises ImportFailed for a part that this layout does not have, or that has no keys yet."""
        unknown = [part for part in self._parts if part not in known]
        require(not unknown, f"the mapping file has unknown parts: {', '.join(unknown)}; parts are {', '.join(known)}")
        empty = [part for part, prefix in self._parts.items() if not prefix]
        require(not empty, f"the mapping file names no keys for {', '.join(empty)}: fill them in, or remove the part")

    def prefix(self, part: str) -> str:
        """The prefix of the keys of a part. Raises ImportFailed if the file or the checkpoint does not have it."""
        require(part in self._parts, f"the mapping file names no keys for {part!r}")
        prefix = self._parts[part].removesuffix(".") + "."
        keys = ", ".join(sorted({key.rpartition(".")[0] for key in self.tensors}))
        require(any(key.startswith(prefix) for key in self.tensors), f"no key begins with {prefix}; there are {keys}")
        return prefix

    def weight(self, part: str) -> Tensor:
        key = f"{self.prefix(part)}weight"
        require(key in self.tensors, f"there is no tensor {key}, which {part!r} needs")
        return self.tensors[key]

    @property
    def outputs(self) -> int:
        return len(self.weight("output"))

    def encoder(self, words: Sequence[str]) -> TextEncoder:
        check_words(words, len(self.weight("encoder.embedding")), "source")
        prefix = self.prefix("encoder.recurrence")
        require(is_recurrent(self.tensors, prefix), f"{prefix} is not an nn.RNN, nn.GRU or nn.LSTM")
        return TextEncoder(vocabulary_size=len(words), recurrence=recurrence(self.tensors, prefix))

    def encoder_tensors(self) -> dict[str, Tensor]:
        weights = recurrent_weights(self.tensors, self.prefix("encoder.recurrence"))
        return embedded("encoder", self.weight("encoder.embedding"), weights)

    def decoder_tensors(self, decoder: Decoder) -> dict[str, Tensor]:
        """The tensors of every part `decoder.*`: a recurrence, an embedding, or a linear layer."""
        tensors: dict[str, Tensor] = {}
        for part in self._parts:
            if not part.startswith("decoder."):
                continue
            prefix = self.prefix(part)
            if part == "decoder.recurrence":
                tensors |= prefixed(recurrent_weights(self.tensors, prefix), f"{part}.")
            elif part in _WITHOUT_BIAS or (part == "decoder.attention.key" and decoder.attention.kind == "general"):
                tensors[f"{part}.weight"] = self.weight(part)
            else:
                tensors |= prefixed(linear(self.tensors, prefix), f"{part}.")
        return tensors

    def around(self, words: Sequence[str]) -> dict[str, Any]:
        """Ids before and after a source."""
        return {
            name: tuple(index_of(words, word, "source") for word in self.rest.pop(name, ()))
            for name in ("prepend", "append")
        }

    def mark(self, name: str, words: Sequence[str]) -> int:
        """The id of the word that begins (`bos`) or ends (`eos`) an answer. Raises ImportFailed if there is none."""
        usual = f"<{name}>"
        named = name in self.rest
        word = str(self.rest.pop(name, usual))
        if named or word in words:
            return index_of(words, word, "target")
        others = [other for other in words if other.startswith(("<", "[", "_")) or other.lower() in _MARKS]
        seen = f"; these look like marks: {', '.join(others[:_SHOWN])}" if others else ""
        raise ImportFailed(
            f"the mapping file does not name the word that {_MEANINGS[name]} an answer, and the target vocabulary has "
            f"no {usual}{seen}. Name it: {json.dumps({name: others[0] if others else 'WORD'}, ensure_ascii=False)}. "
            'Words around a source are named as lists: "prepend": [...], "append": [...]'
        )

    def check_nothing_is_left(self) -> None:
        """Raises ImportFailed for members and tensors that nothing reads: a network without a part of it answers
        wrongly. A tensor that is equal to one that is read may be left over: parts may share it."""
        leave = tuple(f"{prefix.removesuffix('.')}." for prefix in self.rest.pop("leave_out", ()))
        require(not self.rest, f"the mapping file has unknown members: {', '.join(self.rest)}")
        used = tuple(self.prefix(part) for part in self._parts)
        read = [tensor for key, tensor in self.tensors.items() if key.startswith(used)]
        left = [
            key
            for key, tensor in self.tensors.items()
            if not key.startswith((*used, *leave)) and not any(torch.equal(tensor, other) for other in read)
        ]
        names = list(dict.fromkeys(key.rpartition(".")[0] or key for key in left))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        require(
            not left,
            f"no part of the mapping file reads {', '.join(names[:_SHOWN])}{more}: without them the network would "
            'answer wrongly. Name their part, or say that the answers do not need them: "leave_out": ["PREFIX", ...]',
        )
