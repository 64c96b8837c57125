"""fastai, AWD-LSTM (Merity et al. 2017; ULMFiT: Howard and Ruder 2018): `learn.save` and the vocabulary `dls.vocab`."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from app.importers.checkpoint import Checkpoint
from app.importers.fastai import AwdLstm, HeadBlock, awd_lstm_in, head_of
from app.importers.general_answer import Answer
from app.importers.general_chain import one_or_two
from app.importers.layout import Converted, Given, Layout, Needs, Understanding, known, require
from app.importers.norms import taken_in
from app.importers.options import Option
from app.importers.parts import linear, prefixed
from app.importers.stacks import stacked, widened_output
from app.importers.text_rules.fastai import fastai
from app.importers.tokenizer import check_words
from app.importers.vocabularies import Role
from app.store.classifier import Classifier
from app.store.decoding import Decoding, TokenLimits
from app.store.encoders import TextEncoder
from app.store.language_model import LanguageModel
from app.store.layer import Layer
from app.store.stages import RecurrenceStage, Stage

_LANGUAGE = Option("language", "language of spaCy's rules", "en", assumed=True)
_MOST_TOKENS = 1000


class _AwdLstm(Layout):
    vocabularies: Sequence[Role] = ("source",)

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        awd = _known(checkpoint)
        rows, size = awd.embedding.shape
        layers = " -> ".join(recurrence.describe() for recurrence, _ in awd.layers)
        return Understanding([f"embedding {rows:,} x {size}, {layers}", *self._head_facts(awd)])

    @abstractmethod
    def _head_facts(self, awd: AwdLstm) -> list[str]: ...


class FastaiClassifier(_AwdLstm):
    """Last output, maximum and mean over time, then batch normalisation and a linear layer, twice or more often."""

    name = "fastai-classifier"
    source = "fastai, text_classifier_learner with AWD_LSTM"

    def matches(self, checkpoint: Checkpoint) -> bool:
        awd = checkpoint.once(awd_lstm_in)
        return awd is not None and head_of(awd) is not None

    def _head_facts(self, awd: AwdLstm) -> list[str]:
        blocks = head_of(awd) or []
        sizes = [str(len(blocks[0].norm["running_mean"])), *(str(len(block.linear["weight"])) for block in blocks)]
        return [f"head over last, maximum and mean of the outputs: {' -> '.join(sizes)} labels"]

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [
            Option(
                "max_len",
                "words of the longest text; of longer ones fastai pools the last max_len, which is refused here",
                "1440",
                kind="whole",
                assumed=True,
            ),
            _LANGUAGE,
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        awd = _known(checkpoint)
        labels = len((head_of(awd) or [])[-1].linear["weight"])
        usual = ("negative", "positive") if labels <= 2 else ()
        return Needs(self.vocabularies, labels=max(2, labels), usual_labels=usual, rows={"source": len(awd.embedding)})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        awd = _known(checkpoint)
        blocks = head_of(awd)
        require(blocks is not None, "the head is not that of fastai's classifier: choose another --layout")
        assert blocks is not None
        words = given.words["source"]
        rows, size = awd.embedding.shape
        check_words(words, rows, "source")
        *earlier, (last, weights) = awd.layers
        front: list[Stage] = [RecurrenceStage(recurrence=recurrence) for recurrence, _ in earlier]
        tensors: dict[str, Tensor] = {"encoder.embedding.weight": awd.embedding}
        for number, (_, mine) in enumerate(earlier):
            tensors |= prefixed(mine, f"encoder.front.{number}.recurrence.")
        tensors |= prefixed(weights, "encoder.recurrence.")
        answer = one_or_two(_answer(blocks))
        return Converted(
            architecture=Classifier(
                encoder=TextEncoder(
                    vocabulary_size=rows, embedding_size=size if front else None, front=tuple(front), recurrence=last
                ),
                pooling=("last" if last.directions == 1 else "last_output", "max", "mean"),
                labels=answer.outputs,
                **answer.members,
            ),
            tensors={**tensors, **answer.tensors},
            source=fastai(words, language=given.values.text("language")),
            limits=TokenLimits(source_tokens=given.values.number("max_len")),
        )


def _answer(blocks: Sequence[HeadBlock]) -> Answer:
    """The last norm goes into the output layer, whose inputs it scales and shifts."""
    head: list[Layer] = []
    tensors: dict[str, Tensor] = {}
    *before, last = blocks
    for number, block in enumerate(before):
        head.append(Layer(size=len(block.linear["weight"]), batch_norm="before", activation="relu"))
        tensors |= prefixed(linear(block.linear, ""), f"head.{number}.")
        tensors |= prefixed(block.norm, f"head.norm{number}.")
    output = taken_in(last.norm, linear(last.linear, ""))
    return Answer({"head": tuple(head)}, tensors | prefixed(output, "output."), len(output["weight"]))


class FastaiLanguageModel(_AwdLstm):
    """The state is kept from word to word."""

    name = "fastai-language-model"
    source = "fastai, language_model_learner with AWD_LSTM"

    def matches(self, checkpoint: Checkpoint) -> bool:
        awd = checkpoint.once(awd_lstm_in)
        return awd is not None and "1.decoder.weight" in awd.head and awd.layers[-1][0].directions == 1

    def _head_facts(self, awd: AwdLstm) -> list[str]:
        is_tied = torch.equal(awd.head["1.decoder.weight"], awd.embedding)
        return [f"output layer over the same words{', with the weights of the embedding' if is_tied else ''}"]

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        return [
            Option("max_tokens", "words of a completion", "100", kind="whole", most=_MOST_TOKENS, assumed=True),
            Option(
                "no_unk",
                "yes: xxunk is never written, as learn.predict has it",
                "no",
                ("yes", "no"),
                assumed=True,
            ),
            _LANGUAGE,
        ]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        return Needs(self.vocabularies, rows={"source": len(_known(checkpoint).embedding)})

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        awd, words = _known(checkpoint), list(given.words["source"])
        rows = len(awd.embedding)
        check_words(words, rows, "source")
        recurrence, weights = stacked(awd.layers)
        output = linear(awd.head, "1.decoder.")
        source = fastai(words, language=given.values.text("language"))
        return Converted(
            architecture=LanguageModel(vocabulary_size=rows, recurrence=recurrence),
            tensors={
                "encoder.embedding.weight": awd.embedding,
                **prefixed(weights, "encoder.recurrence."),
                "decoder.output.weight": widened_output(output["weight"], recurrence.hidden_size),
                "decoder.output.bias": output["bias"],
            },
            source=source,
            decoding=Decoding(
                bos=words.index("xxbos"),
                eos=0,
                fixed_steps=True,
                max_tokens=given.values.number("max_tokens"),
                suppress=(words.index("xxunk"),) if given.values.is_yes("no_unk") else (),
            ),
            limits=TokenLimits(max_tokens=_MOST_TOKENS),
        )


def _known(checkpoint: Checkpoint) -> AwdLstm:
    return known(checkpoint.once(awd_lstm_in), "AWD-LSTM of fastai")
