"""What layouts of captioning share: a torchvision ResNet, a recurrent decoder, words with `<start>` and `<end>`."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.layout import Converted, Given, Layout
from app.importers.options import OptionValues
from app.importers.parts import decoder_of, embedded, linear, prefixed, recurrence, recurrent_weights, under
from app.importers.tokenizer import check_words, index_of, word_vocabulary
from app.importers.torchvision import IMAGENET_MEAN, IMAGENET_STD, torchvision_resnet
from app.importers.vocabularies import Role
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.image_encoder import ImageEncoder, Projection
from app.store.image_input import ImageInput

MOST_TOKENS = 200


@dataclass(frozen=True)
class Captioner:
    """The parts in which layouts differ. `recurrent` has the names of an `nn.LSTM`; `tensors` are those beside ResNet,
    embedding and recurrence, by our names; the mappings are members of the configuration of the same name."""

    embedding: Tensor
    recurrent: Tensors
    tensors: Tensors
    encoder: Mapping[str, Any]
    decoder: Mapping[str, Any]
    decoding: Mapping[str, Any]
    image: Mapping[str, Any] = field(default_factory=dict)
    start_is_output: bool = False


class Captioning(Layout):
    """Two state dicts: an encoder with a ResNet under `resnet.`, and a decoder."""

    vocabularies: Sequence[Role] = ("target",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        return self.split(checkpoint) is not None

    @abstractmethod
    def split(self, checkpoint: Checkpoint) -> tuple[Tensors, Tensors] | None:
        """Encoder and decoder; None if the checkpoint has another layout."""

    @abstractmethod
    def captioner(self, encoder: Tensors, decoder: Tensors, values: OptionValues) -> Captioner: ...

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        words, values = given.words, given.values
        parts = self.split(checkpoint)
        assert parts is not None
        made = self.captioner(*parts, values)
        target = words["target"]
        check_words(target, len(made.embedding), "target")
        start, end = (index_of(target, word, "target") for word in ("<start>", "<end>"))
        resnet, tensors = torchvision_resnet(under(parts[0], "resnet."))
        return Converted(
            task="captioning",
            architecture=EncoderDecoder(
                encoder=ImageEncoder(resnet=resnet, **made.encoder),
                decoder=decoder_of(made.embedding, recurrence(made.recurrent, ""), **made.decoder),
            ),
            tensors={
                **prefixed(tensors, "encoder.resnet."),
                **embedded("decoder", made.embedding, recurrent_weights(made.recurrent, "")),
                **made.tensors,
            },
            target=word_vocabulary(target, "spaces", unk="<unk>", hidden=(start,) if made.start_is_output else ()),
            decoding=Decoding(bos=start, eos=end, **made.decoding),
            limits=TokenLimits(max_tokens=MOST_TOKENS),
            image=ImageInput(reading="plain", mean=IMAGENET_MEAN, std=IMAGENET_STD, **made.image),
        )


def show_and_tell(
    encoder: Tensors,
    decoder: Tensors,
    *,
    projection: str,
    batch_norm: str | None,
    embedding: str,
    recurrent: str,
    output: str,
    max_tokens: int,
    image: Mapping[str, Any],
) -> Captioner:
    """Vinyals et al. 2015: the first input of the decoder is the projected image, in place of `<start>`, which is its
    first output. The arguments of parts are prefixes of keys."""
    size = len(encoder[f"{projection}weight"])
    normalised = {} if batch_norm is None else prefixed(under(encoder, batch_norm), "encoder.projection.1.")
    return Captioner(
        embedding=decoder[f"{embedding}weight"],
        recurrent=under(decoder, recurrent),
        tensors={
            **prefixed(linear(encoder, projection), "encoder.projection.0."),
            **normalised,
            **prefixed(linear(decoder, output), "decoder.output."),
        },
        encoder={
            "image_size": image.get("size", 224),
            "output": "pooled",
            "projection": Projection(size=size, batch_norm=batch_norm is not None),
        },
        decoder={"bridge": "zeros", "first_input": "summary"},
        decoding={"max_tokens": max_tokens},
        image=image,
        start_is_output=True,
    )
