"""The simulation agrees with formulas where there are some."""

import pytest

from benchmarks.queueing import MOST_ROWS, Cluster, Costs, Rounds, closed_loop, open_loop

NOTHING = Rounds(0.0, 0.0)


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_a_proxy_alone_is_a_queue_with_a_formula(load: float) -> None:
    """M/D/1: the mean time is that of the service, and load ÷ (2 - 2 load) of it in the queue."""
    cost = 0.002
    simulated = open_loop(Costs(cost, NOTHING, NOTHING, 1), Cluster(1, 1, 1), load / cost, 30)
    mean = sum(simulated.latencies) / len(simulated.latencies)
    assert mean == pytest.approx(cost * (1 + load / (2 - 2 * load)), rel=0.1)
    assert simulated.busy["proxy"] == pytest.approx(load, rel=0.05)


def test_one_client_waits_for_the_cost_of_its_request_alone() -> None:
    costs = Costs(0.001, Rounds(0.002, 0.001), Rounds(0.004, 0.003), 1)
    simulated = closed_loop(costs, Cluster(3, 2, 2), 1, 4)
    alone = 0.001 + 2 * 0.003 + 0.007
    assert simulated.quantile(0.5) == pytest.approx(alone)
    assert simulated.rate == pytest.approx(1 / alone, rel=0.02)
    assert simulated.worked == pytest.approx(alone, rel=0.02)


def test_a_full_engine_shares_a_round_among_its_rows() -> None:
    costs = Costs(0.0, NOTHING, Rounds(0.01, 0.001), 1)
    simulated = closed_loop(costs, Cluster(1, 1, 2), 4 * MOST_ROWS, 10)
    assert simulated.rate == pytest.approx(MOST_ROWS / (0.01 + 0.001 * MOST_ROWS), rel=0.02)
    assert simulated.busy["engine"] == pytest.approx(1, rel=0.02)


def test_cores_bound_what_parts_can_do_together() -> None:
    costs = Costs(0.0, NOTHING, Rounds(0.0, 0.004), 2)
    wide = closed_loop(costs, Cluster(1, 2, 2), 200, 10)
    narrow = closed_loop(costs, Cluster(1, 2, 1.5, shared=True), 200, 10)
    assert narrow.rate == pytest.approx(0.75 * wide.rate, rel=0.03)


def test_engines_give_way_to_front_ends() -> None:
    """On one core, whose engine is never idle: a request waits for the rest of a round and for its own, but its front
    end for none."""
    costs = Costs(0.0, Rounds(0.0, 0.001), Rounds(0.1, 0.0), 1)
    simulated = open_loop(costs, Cluster(1, 1, 1, shared=True), 20, 60)
    assert simulated.busy["engine"] > 0.8
    assert simulated.latencies[0] > 0.1
    assert simulated.latencies[-1] < 0.23


def test_requests_go_to_the_replica_with_the_fewest() -> None:
    """Three times the replicas answer three times the requests."""
    costs = Costs(0.0, NOTHING, Rounds(0.004, 0.001), 3)
    one = closed_loop(costs, Cluster(1, 1, 1), 30, 8)
    three = closed_loop(costs, Cluster(3, 1, 1), 90, 8)
    assert three.rate == pytest.approx(3 * one.rate, rel=0.05)
