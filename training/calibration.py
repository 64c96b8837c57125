"""Calibration: probabilities that agree with frequencies."""

import torch
from torch import Tensor, nn


def calibrate(logits: Tensor, labels: Tensor) -> float:
    """The temperature (Guo et al. 2017, section 4.2) that divides log-odds (texts,), fitted to labels (texts,)."""
    log_temperature = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], lr=0.2, max_iter=100)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(logits / log_temperature.exp(), labels.float())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().exp())


def calibration_error(probabilities: Tensor, labels: Tensor, *, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): the mean gap between confidence and accuracy, over
    `bins` of equal width. probabilities of label 1 and labels, both (texts,)."""
    confidence = torch.maximum(probabilities, 1 - probabilities)
    is_right = ((probabilities > 0.5) == (labels == 1)).float()
    place = ((confidence - 0.5) * 2 * bins).long().clamp(max=bins - 1)
    error = 0.0
    for index in range(bins):
        mine = place == index
        if mine.any():
            gap = float((confidence[mine].mean() - is_right[mine].mean()).abs())
            error += gap * float(mine.float().mean())
    return error
