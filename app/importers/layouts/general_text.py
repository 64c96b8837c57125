"""Classifiers of texts, recognised by their structure: embedding, recurrences, perhaps attention, and a head."""

from collections.abc import Mapping, Sequence

from app.importers.checkpoint import Checkpoint
from app.importers.general_answer import answer_of
from app.importers.general_chain import chain_in, known_chain, one_hot_in, one_or_two, reads_words, tags_in
from app.importers.general_encoder import encoder_parts
from app.importers.general_options import OUTPUTS, options_of
from app.importers.general_understanding import understanding_of
from app.importers.layout import Converted, Given, Layout, Needs, Understanding
from app.importers.options import Option
from app.importers.side_by_side import check_steps, of_steps
from app.importers.text_options import text_options, vocabulary_of
from app.importers.vocabularies import Role
from app.store.classifier import Classifier

_MAY_TAG = (
    "whether a text has one label, or each of its words has one (--layout tagger), is not in the file: the parts are "
    "the same"
)


class TextClassifier(Layout):
    """One output has a sigmoid, and is that of the second label."""

    name = "text-classifier"
    source = "a classifier of texts, recognised by its structure"
    vocabularies: Sequence[Role] = ("source",)

    def matches(self, checkpoint: Checkpoint) -> bool:
        chain = chain_in(checkpoint)
        if chain is None or not reads_words(checkpoint, chain) or chain.crf is not None or tags_in(checkpoint, chain):
            return False
        return chain.outputs != chain.embedding.outputs

    def fits(self, checkpoint: Checkpoint) -> bool:
        chain = chain_in(checkpoint)
        return chain is not None and reads_words(checkpoint, chain) and chain.crf is None

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        chain = known_chain(checkpoint)
        outputs = chain.outputs
        understood = understanding_of(chain, "a sigmoid" if outputs == 1 else f"{outputs} labels of a text")
        tagger = [_MAY_TAG] if outputs > 1 and not chain.attention and chain.pooled == chain.width else []
        path = one_hot_in(checkpoint, chain)
        rows = (
            [f"one-hot rows: {chain.features} numbers a step, as many as {checkpoint.name_of(path)} has"]
            if path
            else []
        )
        return Understanding([*rows, *understood.facts], [*understood.unsure, *tagger])

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        chain = known_chain(checkpoint)
        outputs = [OUTPUTS] if chain.outputs > 1 else []
        texts = text_options(checkpoint, chain.embedding.outputs)
        texts = [of_steps(option, chain) if option.name == "length" else option for option in texts]
        return [*options_of(chain), *outputs, *texts]

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        chain = known_chain(checkpoint)
        usual = ("negative", "positive") if chain.outputs <= 2 else ()
        return Needs(
            self.vocabularies,
            labels=max(2, chain.outputs),
            usual_labels=usual,
            rows={"source": chain.embedding.outputs},
        )

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        chain = known_chain(checkpoint)
        values = given.values
        check_steps(chain, values, "length")
        parts, answer = encoder_parts(chain, values), answer_of(chain, values)
        answer = one_or_two(answer)
        return Converted(
            architecture=Classifier.model_validate(
                {
                    "encoder": parts.over(chain.embedding.weight),
                    "labels": answer.outputs,
                    "outputs": values.given.get("outputs", "softmax"),
                    **answer.members,
                }
            ),
            tensors={"encoder.embedding.weight": chain.embedding.weight, **parts.tensors, **answer.tensors},
            source=vocabulary_of("source", chain.embedding.outputs, given, values),
        )
