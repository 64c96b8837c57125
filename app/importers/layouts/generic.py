"""One's own network of `nn.Embedding`, `nn.RNN`, `nn.GRU` or `nn.LSTM` and `nn.Linear`: a file says which keys are of
which part. See docs/importing.md for its members."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from app.errors import ImportFailed
from app.importers.layout import Answers, Converted, Found, Layout, Option, Role, Tensors, check_words, require
from app.importers.parts import is_recurrent, linear, placed, recurrence, recurrent_weights, two_labels
from app.importers.vocabularies import index_of, word_vocabulary
from app.store.architecture import Classifier, Decoder, EncoderDecoder, TextEncoder
from app.store.manifest import Decoding, TokenLimits

_MAPPING = Option("mapping", "a JSON file from our parts to the prefixes of your keys, see docs/importing.md")
_WITHOUT_BIAS = ("decoder.embedding", "decoder.attention.score")  # a score's is the same everywhere: softmax drops it
_TOKENIZER = Option("tokenizer", "how texts were split into words, see docs/tokenizers.md", "spaces_lower")


class _Generic(Layout):
    """Never recognised by itself: any network might be meant."""

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        return False

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        return [_MAPPING, _TOKENIZER]


class GenericClassifier(_Generic):
    """Embedding, recurrence, pooling, one linear layer; with one output it is followed by a sigmoid."""

    name = "generic-classifier"
    source = "one's own classifier, by a mapping file"
    words: Sequence[Role] = ("source",)

    def convert(self, found: Found, answers: Answers) -> Converted:
        mapping = _Mapping(found, answers)
        words = found.words["source"]
        output = mapping.prefix("output")
        layer = two_labels(mapping.tensors, output) if mapping.outputs == 1 else linear(mapping.tensors, output)
        try:
            architecture = Classifier(
                encoder=mapping.encoder(words),
                pooling=tuple(mapping.rest.pop("pooling", ["last"])),
                labels=len(layer["weight"]),
            )
        except ValidationError as error:
            raise ImportFailed(f"the mapping file: {error.errors()[0]['msg']}") from error
        mapping.check_nothing_is_left()
        return Converted(
            task="sentiment",
            architecture=architecture,
            tensors={**mapping.encoder_tensors(), **placed(layer, "output.")},
            source=word_vocabulary(words, answers.text("tokenizer"), unk=mapping.unk, **mapping.around(words)),
        )


class GenericEncoderDecoder(_Generic):
    """An encoder and a decoder of parts that Unroll has; `decoder` in the file is the decoder of a manifest, less what
    shapes tell."""

    name = "generic-encoder-decoder"
    source = "one's own encoder-decoder, by a mapping file"
    words: Sequence[Role] = ("source", "target")

    def convert(self, found: Found, answers: Answers) -> Converted:
        mapping = _Mapping(found, answers)
        source, target = found.words["source"], found.words["target"]
        check_words(target, len(mapping.weight("decoder.embedding")), "target")
        recurrent = recurrence(mapping.tensors, mapping.prefix("decoder.recurrence"))
        shapes = {
            "vocabulary_size": len(target),
            "embedding_size": mapping.weight("decoder.embedding").shape[1],
            "cell": recurrent.cell,
            "hidden_size": recurrent.hidden_size,
            "layers": recurrent.layers,
        }
        bos, eos = (index_of(target, str(mapping.rest.pop(name, f"<{name}>")), "target") for name in ("bos", "eos"))
        most = int(mapping.rest.pop("max_tokens", 50))
        try:
            decoder = Decoder.model_validate(shapes | dict(mapping.rest.pop("decoder", {})))
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
            source=word_vocabulary(source, answers.text("tokenizer"), unk=mapping.unk, **around),
            target=word_vocabulary(target, "spaces", unk=mapping.unk),
            decoding=Decoding(bos=bos, eos=eos, max_tokens=most),
            limits=TokenLimits(source_tokens=1000, max_tokens=1000),
        )


class _Mapping:
    """A mapping file over the tensors of all checkpoints; with several, keys begin with the number of theirs."""

    def __init__(self, found: Found, answers: Answers) -> None:
        path = Path(answers.text("mapping"))
        try:
            self.rest: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
            self._parts: dict[str, str] = dict(self.rest.pop("parts"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ImportFailed(f"{path.name} is not a mapping file: JSON with an object 'parts' is wanted") from error
        if len(found.networks) == 1:
            (self.tensors,) = found.networks.values()
        else:
            self.tensors = {f"{at}.{key}": value for at, part in found.networks.items() for key, value in part.items()}
        self.unk: str | None = self.rest.pop("unk", "<unk>")

    def prefix(self, part: str) -> str:
        """Of the keys of a part. Raises ImportFailed if it is not in the file, or no key begins so."""
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
        require(is_recurrent(self.tensors, prefix), f"{prefix} is no nn.RNN, nn.GRU or nn.LSTM")
        return TextEncoder(vocabulary_size=len(words), recurrence=recurrence(self.tensors, prefix))

    def encoder_tensors(self) -> dict[str, Tensor]:
        return {
            "encoder.embedding.weight": self.weight("encoder.embedding"),
            **placed(recurrent_weights(self.tensors, self.prefix("encoder.recurrence")), "encoder.recurrence."),
        }

    def decoder_tensors(self, decoder: Decoder) -> dict[str, Tensor]:
        """Of every part whose name begins with `decoder.`: a recurrence, an embedding, or a linear layer."""
        tensors: dict[str, Tensor] = {}
        for part in self._parts:
            if not part.startswith("decoder."):
                continue
            prefix = self.prefix(part)
            if part == "decoder.recurrence":
                tensors |= placed(recurrent_weights(self.tensors, prefix), f"{part}.")
            elif part in _WITHOUT_BIAS or (part == "decoder.attention.key" and decoder.attention.kind == "general"):
                tensors[f"{part}.weight"] = self.weight(part)
            else:
                tensors |= placed(linear(self.tensors, prefix), f"{part}.")
        return tensors

    def around(self, words: Sequence[str]) -> dict[str, Any]:
        """Ids put before and after a source."""
        return {
            name: tuple(index_of(words, word, "source") for word in self.rest.pop(name, ()))
            for name in ("prepend", "append")
        }

    def check_nothing_is_left(self) -> None:
        require(not self.rest, f"the mapping file has members that are not known: {', '.join(self.rest)}")
