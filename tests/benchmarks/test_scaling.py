"""The tables of `benchmarks.quick` and `benchmarks.scaling`, and a plot."""

import json
from pathlib import Path

from benchmarks.quick import changes_table, figures_of, landed_figures
from benchmarks.report import Ratios
from benchmarks.scaling import Point, draw, points_table


def test_figures_stand_beside_those_that_landed(tmp_path: Path) -> None:
    ratios = Ratios(
        job="caption", clients=64, of_ideal=0.9, by_hand=None, batching=None, overhead=1.5, wasted=0.0, rows=None
    )
    now = figures_of([ratios])
    assert now == {"caption": {"of_ideal": 0.9, "overhead": 1.5, "wasted": 0.0}}
    file = tmp_path / "quick.json"
    assert landed_figures(file) == {}
    assert "| caption | HTTP ÷ ideal | – | 0.900 | – |" in changes_table(now, landed_figures(file))
    file.write_text(json.dumps({"figures": {"caption": {"of_ideal": 0.6, "overhead": 3.0, "wasted": 0.0}}}))
    table = changes_table(now, landed_figures(file))
    assert "| caption | HTTP ÷ ideal | 0.600 | 0.900 | 1.50 |" in table
    assert "| caption | overhead at 1, ms | 3.000 | 1.500 | 0.50 |" in table
    assert "| caption | wasted ÷ useful | 0.000 | 0.000 | – |" in table


def test_costs_are_compared_with_the_first_of_their_axis(tmp_path: Path) -> None:
    points = [
        Point("cores", 1, 100.0, 2.0),
        Point("cores", 2, 150.0, 3.0),
        Point("length", 8, 10.0, 0.5),
        Point("length", 16, 0.0, None),
    ]
    table = points_table(points)
    assert "| cores | 1 | texts | 100.0 | 2.000 | 1.00 |" in table
    assert "| cores | 2 | texts | 150.0 | 3.000 | 1.50 |" in table
    assert "| length | 8 | tokens | 10.0 | 0.500 | 1.00 |" in table
    assert "| length | 16 | tokens | 0.0 | – | – |" in table
    draw(points[:2], "cores", tmp_path)
    assert (tmp_path / "scaling-cores.png").read_bytes().startswith(b"\x89PNG")
