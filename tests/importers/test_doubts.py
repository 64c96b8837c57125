"""What the sizes of a network leave open is said, refused or an option: CRFs, norms, strides, scalers that clip."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.errors import ImportFailed
from app.importers.chain import chain_of
from app.importers.doubts import doubts_of
from app.importers.reading import ForeignObject
from app.importers.scalers import scaler_of
from app.importers.structure import structure_of
from app.tasks.sources.raw_series import JsonSeries
from tests.importers.importing import answered, asked, imported, saved
from tests.importers.test_not_silent import VOCABULARY, _words


def _tagger(tags: int, **crf: Tensor) -> dict[str, Tensor]:
    parts = {"emb": nn.Embedding(len(VOCABULARY), 5), "lstm": nn.LSTM(5, 4), "hidden2tag": nn.Linear(4, tags)}
    return {**nn.ModuleDict(parts).state_dict(), **crf}


def _crf(**more: Tensor) -> dict[str, Tensor]:
    shapes = {"crf.transitions": (3, 3), "crf.start_transitions": (3,), "crf.end_transitions": (3,)}
    return {**{key: torch.randn(shape) for key, shape in shapes.items()}, **more}


def test_a_crf_that_forbids_transitions_is_refused(tmp_path: Path) -> None:
    allowed = torch.ones(5, 5)
    free = _tagger(3, **_crf(**{"crf._constraint_mask": allowed.clone()}))
    assert "layout: tagger" in asked(tmp_path, saved(tmp_path, free), _words(tmp_path))
    allowed[0, 1] = 0
    bound = _tagger(3, **_crf(**{"crf._constraint_mask": allowed}))
    assert "crf._constraint_mask" in asked(tmp_path, saved(tmp_path, bound), _words(tmp_path))
    others = _tagger(3, **{"crf.trans_matrix": torch.randn(3, 3), "crf.start_trans": torch.randn(3)})
    assert "crf.trans_matrix" in asked(tmp_path, saved(tmp_path, others), _words(tmp_path))


def test_a_crf_without_names_of_its_ends_asks_for_them(tmp_path: Path) -> None:
    state = _tagger(4, transitions=torch.randn(4, 4))
    given = (saved(tmp_path, state), _words(tmp_path), "--usual", "--labels=x,y,from,to")
    assert "--set start_tag=NAME" in asked(tmp_path, *given)
    assert "there is no such tag" in asked(tmp_path, *given, "--set=start_tag=9", "--set=stop_tag=to")
    imported(tmp_path, *given, "--set=start_tag=from", "--set=stop_tag=3")
    imported(tmp_path, *given, "--set=start_tag=none", "--set=stop_tag=none", name="other")


def _doubts(**parts: nn.Module) -> str:
    chain = chain_of(structure_of(nn.ModuleDict(parts).state_dict()))
    assert chain is not None
    return " ".join(doubts_of(chain))


@pytest.mark.parametrize(
    ("parts", "doubt"),
    [
        ({"lstm1": nn.LSTM(4, 4), "lstm2": nn.LSTM(4, 4), "fc": nn.Linear(4, 2)}, "the order of lstm1 and lstm2"),
        ({"fc": nn.Linear(4, 4), "lstm": nn.LSTM(4, 4), "out": nn.Linear(4, 2)}, "the place of fc"),
        ({"lstm": nn.LSTM(3, 4), "gate": nn.Linear(4, 4), "fc": nn.Linear(4, 2)}, "the place of gate"),
        ({"gru": nn.GRU(3, 4, 2), "fc": nn.Linear(8, 2)}, "states of several layers, or of several sources"),
        ({"lstm": nn.LSTM(3, 4), "fc": nn.Linear(8, 2)}, "states of several sources"),
        ({"conv": nn.Conv1d(3, 4, 3), "lstm": nn.LSTM(4, 5), "fc": nn.Linear(5, 2)}, "conv_stride"),
    ],
)
def test_parts_that_may_stand_elsewhere_are_named(parts: dict[str, nn.Module], doubt: str) -> None:
    assert doubt in _doubts(**parts)


def test_sizes_of_one_chain_leave_no_doubt() -> None:
    assert not _doubts(lstm1=nn.LSTM(3, 4), lstm2=nn.LSTM(4, 4), fc1=nn.Linear(4, 5), fc2=nn.Linear(5, 1))


def test_a_head_narrower_than_an_output_is_no_chain() -> None:
    assert chain_of(structure_of(nn.ModuleDict({"rnn": nn.GRU(3, 8), "fc": nn.Linear(2, 1)}).state_dict())) is None


class Strided(nn.Module):
    """Batch normalisation, a convolution with a stride, an LSTM and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv1d(3, 3, 3, stride=2, padding=1), nn.BatchNorm1d(3)
        self.lstm, self.fc = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 1)
        assert self.bn.running_mean is not None
        nn.init.normal_(self.bn.running_mean)
        nn.init.uniform_(self.bn.weight)

    def forward(self, rows: Tensor) -> Tensor:
        convolved = torch.relu(self.conv(self.bn(rows.transpose(1, 2)))).transpose(1, 2)
        values: Tensor = self.fc(self.lstm(convolved)[0][:, -1])
        return values


def test_a_norm_before_a_convolution_and_its_stride_are_options(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = Strided().eval()
    given = (saved(tmp_path, module), "--features=a,b,c", "--targets=a")
    assert "front_norm=" in asked(tmp_path, *given)
    settings = ("--set=front_norm=input", "--set=conv_stride=2", "--set=conv_padding=1")
    imported(tmp_path, *given, "--usual", *settings)
    rows = torch.randn(9, 3)
    (result,) = answered(tmp_path, [JsonSeries(rows.tolist())])
    with torch.no_grad():
        assert result["values"][0] == pytest.approx(module(rows[None])[0].tolist(), abs=1e-5)


def _sklearn(kind: str, **state: Any) -> ForeignObject:
    return ForeignObject(f"sklearn.preprocessing._data.{kind}", state)


def test_scalers_of_sklearn_with_parts_left_out() -> None:
    numbers = torch.tensor([2.0, 3.0])
    clips = scaler_of(_sklearn("MinMaxScaler", clip=True, scale_=numbers, data_min_=numbers, data_max_=numbers + 1))
    assert clips is not None
    assert "clip=True" in clips.describe()
    for state in ({"center_": None, "scale_": numbers}, {"center_": numbers, "scale_": None}):
        robust = scaler_of(_sklearn("RobustScaler", **state))
        assert robust is not None
        assert len(robust.columns) == 2
    with pytest.raises(ImportFailed, match="data_min_ and data_max_"):
        scaler_of(_sklearn("MinMaxScaler", scale_=numbers))
    with pytest.raises(ImportFailed, match="a PowerTransformer is not supported"):
        scaler_of(_sklearn("PowerTransformer"))
    assert scaler_of(ForeignObject("torch.amp.GradScaler", {"_enabled": True})) is None


def test_settings_with_a_minimum_above_the_maximum_do_not_block(tmp_path: Path) -> None:
    state = nn.ModuleDict({"lstm": nn.LSTM(1, 4), "fc": nn.Linear(4, 1)}).state_dict()
    imported(tmp_path, saved(tmp_path, {"model": state, "lengths": {"minimum": 9, "maximum": 5}}), "--usual")
