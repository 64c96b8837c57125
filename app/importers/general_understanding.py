"""A chain in words."""

from app.importers.chain import Chain
from app.importers.doubts import doubts_of
from app.importers.general_options import poolings_of
from app.importers.layout import Understanding


def understanding_of(chain: Chain, answer: str) -> Understanding:
    """The chain in words, from the source on; `answer` is what it answers with."""
    facts = []
    if chain.table is not None:
        facts.append(f"embedding {chain.table.name}: {chain.table.outputs:,} x {chain.table.inputs}")
    if chain.front:
        facts.append("before the recurrence: " + ", ".join(group.describe() for group in chain.front))
    for group in chain.recurrences:
        recurrent = chain.structure.recurrence(group)
        facts.append(f"recurrence {group.name}: {recurrent.describe()}, {recurrent.input_size} numbers a step")
    if chain.attention:
        facts.append("attention over the outputs: " + ", ".join(group.name for group in chain.attention))
    sizes = " -> ".join([str(chain.pooled), *(str(layer.linear.outputs) for layer in chain.head)])
    names = ", ".join(layer.linear.name for layer in chain.head)
    facts.append(f"head {names}: {sizes}, {answer}")
    unsure = []
    if chain.directions == 2 and chain.pooled == chain.width and not chain.attention:
        unsure.append("which of the two directions the head reads first is not in the file (pooling)")
    elif len(poolings_of(chain)) > 1:
        unsure.append(f"whether the head reads the last output or another pooling of {chain.pooled} numbers (pooling)")
    if chain.back:
        facts.append("norm after the recurrence: " + ", ".join(group.name for group in chain.back))
        if chain.pooled == chain.width:
            unsure.append("whether this norm is before or after the pooling is not in the file (norm_at)")
    if norms := [layer.norm.name for layer in chain.head if layer.norm is not None]:
        facts.append("norms in the head: " + ", ".join(norms))
    if len(chain.head) > 1:
        unsure.append("the function between the layers of the head is not in the file (activation)")
    return Understanding(facts, [*unsure, *doubts_of(chain)])
