"""The conditional random field: against all sequences of labels one by one, and against pytorch-crf."""

import copy

import pytest
import torch
from torch import Tensor
from torchcrf import CRF

from app.models.crf import LinearChainCrf
from app.models.pieces import at_once
from tests.models.references import mask_of
from tests.models.series_references import every_path, path_score

LABELS, SOURCE = 4, 5
LENGTHS = torch.tensor([3, SOURCE, 1, 2])


@pytest.fixture
def crf() -> LinearChainCrf:
    made = LinearChainCrf(LABELS)
    with torch.no_grad():
        for values in made.parameters():
            values.normal_()
    return made


def random_logits() -> Tensor:
    return torch.randn(len(LENGTHS), SOURCE, LABELS) * 2


def scores_of_all(crf: LinearChainCrf, logits: Tensor) -> dict[tuple[int, ...], Tensor]:
    """Every sequence of labels for one row of logits (source, labels), with its score."""
    weights = crf.state_dict()
    return {path: path_score(weights, logits, path) for path in every_path(LABELS, len(logits))}


@torch.no_grad()
def test_the_best_path_is_the_best_of_all(crf: LinearChainCrf) -> None:
    for _ in range(20):
        logits = random_logits()
        found = at_once(crf.best_paths(logits, LENGTHS)).tolist()
        for row, length in enumerate(LENGTHS.tolist()):
            scores = scores_of_all(crf, logits[row, :length])
            assert tuple(found[row][:length]) == max(scores, key=lambda path: scores[path].item())
            assert found[row][length:] == [0] * (SOURCE - length)


@torch.no_grad()
def test_marginals_are_shares_of_all_paths(crf: LinearChainCrf) -> None:
    logits = random_logits()
    found = at_once(crf.marginals(logits, LENGTHS))
    for row, length in enumerate(LENGTHS.tolist()):
        scores = scores_of_all(crf, logits[row, :length])
        shares = dict(zip(scores, torch.stack(list(scores.values())).softmax(0), strict=True))
        for position in range(length):
            for label in range(LABELS):
                expected = sum(share for path, share in shares.items() if path[position] == label)
                assert found[row, position, label].item() == pytest.approx(float(expected), abs=1e-6)


@torch.no_grad()
def test_padding_changes_no_path(crf: LinearChainCrf) -> None:
    logits = random_logits()
    changed = torch.cat((logits, torch.randn(len(LENGTHS), 3, LABELS)), 1)
    past = ~mask_of(LENGTHS, SOURCE + 3)
    changed[past] = 1e3
    paths = at_once(crf.best_paths(changed, LENGTHS))
    assert paths[:, :SOURCE].tolist() == at_once(crf.best_paths(logits, LENGTHS)).tolist()
    for row, length in enumerate(LENGTHS.tolist()):
        both = (at_once(crf.marginals(given, LENGTHS))[row, :length] for given in (changed, logits))
        torch.testing.assert_close(*both, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("rows", "source", "labels"), [(7, 40, 9), (1, 1, 2), (3, 17, 50)])
@torch.no_grad()
def test_equals_pytorch_crf(rows: int, source: int, labels: int) -> None:
    theirs, mine = CRF(labels, batch_first=True), LinearChainCrf(labels)
    names = {"start": theirs.start_transitions, "end": theirs.end_transitions, "transitions": theirs.transitions}
    for values in names.values():
        values.normal_()
    mine.load_state_dict(names)
    logits = torch.randn(rows, source, labels) * 3
    lengths = torch.randint(1, source + 1, (rows,))
    lengths[0] = source
    mask = mask_of(lengths, source)
    found = at_once(mine.best_paths(logits, lengths)).tolist()
    paths = [path[:length] for path, length in zip(found, lengths, strict=True)]
    assert paths == theirs.decode(logits, mask)


@torch.no_grad()
def test_marginals_are_the_gradient_of_pytorch_crf(crf: LinearChainCrf) -> None:
    """Of its log-likelihood by the logits: the labels less the marginals (Lafferty et al. 2001, section 3)."""
    theirs = CRF(LABELS, batch_first=True)
    names = {"start_transitions": crf.start, "end_transitions": crf.end, "transitions": crf.transitions}
    theirs.load_state_dict(names)
    logits, labels = random_logits(), torch.randint(LABELS, (len(LENGTHS), SOURCE))
    mask = mask_of(LENGTHS, SOURCE)
    with torch.enable_grad():
        given = logits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(theirs(given, labels, mask), given)
    expected = torch.nn.functional.one_hot(labels, LABELS) - gradient
    torch.testing.assert_close(at_once(crf.marginals(logits, LENGTHS))[mask], expected[mask], rtol=0, atol=1e-5)


@torch.no_grad()
def test_long_sequences_keep_their_precision(crf: LinearChainCrf) -> None:
    """Scores grow with the length; float32 has seven digits."""
    source = 3000
    logits, lengths = torch.randn(1, source, LABELS) * 3 + 20, torch.tensor([source])
    exact = copy.deepcopy(crf).double()
    found, expected = at_once(crf.marginals(logits, lengths)), at_once(exact.marginals(logits.double(), lengths))
    torch.testing.assert_close(found, expected.float(), rtol=0, atol=1e-5)
    assert torch.equal(at_once(crf.best_paths(logits, lengths)), at_once(exact.best_paths(logits.double(), lengths)))
