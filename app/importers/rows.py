"""The order of the outputs of a layer that forecasts several steps of several columns at once."""

from collections.abc import Mapping

from torch import Tensor

from app.importers.options import Option

ORDER = Option(
    "order",
    "the order of the outputs: steps (all columns of the first step, then those of the next) or targets (all steps of "
    "the first column, then those of the next)",
    "steps",
    ("steps", "targets"),
    depends="every number stands under another name and step; look at the last view or reshape of forward()",
    readings=("steps", "targets"),
    of_rows=True,
)


def steps_first(tensors: Mapping[str, Tensor], targets: int) -> dict[str, Tensor]:
    """An output layer whose rows are all steps of a column after the other, with the columns of a step side by side."""
    output = {key: tensor for key, tensor in tensors.items() if key.startswith("output.")}
    turned = {
        key: tensor.reshape(targets, -1, *tensor.shape[1:]).transpose(0, 1).flatten(0, 1).contiguous()
        for key, tensor in output.items()
    }
    return {**tensors, **turned}
