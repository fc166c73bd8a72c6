"""What the benchmark of samplers counts, on a made-up table of cells."""

import itertools
import math

import numpy as np
import pytest

from benchmarks import nasbench201
from benchmarks.nasbench201 import EDGES, Table
from benchmarks.search_efficiency import SAMPLERS, ratio, spent_until
from search.sampling.observations import loss

CELLS = 3**EDGES


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """Cells of three operations, of which one costs more and helps, and one does on even edges."""
    cells = tuple(itertools.product(range(3), repeat=EDGES))
    many = np.array([cell.count(2) + 0.5 * cell[::2].count(1) for cell in cells])
    costs = np.column_stack([1.0 + many, 2.0 + many])
    rng = np.random.default_rng(0)
    accuracies = tuple((0.3 + 0.1 * n + rng.normal(0, 0.01),) for n in many)
    losses = [loss(of_cell[0]) for of_cell in accuracies]
    made = Table(cells, accuracies, costs, np.column_stack([losses, np.log(costs)]))
    monkeypatch.setattr(nasbench201, "load", lambda _: made)
    monkeypatch.setattr(nasbench201, "OPERATIONS", ("none", "pool", "conv"))
    monkeypatch.setattr(nasbench201, "REPEATS", 50)
    return made


def search(sampler: str, until: float = 0.0, trainings: int = CELLS) -> list[float]:
    task = {"data_set": "made", "sampler": sampler, "seed": 1}
    found = nasbench201.search({**task, "until": until, "trainings": trainings})
    assert any(found.gains) == (sampler.startswith("ehvi") and len(found.regrets) > 6)
    return found.regrets


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in {"gp", "random"}])
def test_regret_falls_to_where_a_search_is_to_end(sampler: str) -> None:
    found = search(sampler, until=0.3)
    assert found == sorted(found, reverse=True)
    assert found[-1] <= 0.3 < found[-2]
    assert search(sampler, until=0.3, trainings=3) == found[:3]
    assert search(sampler, until=0.3) == found


def test_a_regret_is_of_what_was_trained(table: Table) -> None:
    order = np.random.default_rng([1, 1]).permutation(CELLS)
    found = search("random", trainings=35)
    assert len(found) == 35
    assert found[19] == 1 - table.hypervolume(order[:20].tolist()) / table.hypervolume()
    assert found[9:19] == [found[9]] * 10, "computed at every tenth alone"
    assert search("random", until=found[19]) == found[:20]


def test_what_was_spent_counts_the_training_that_came_there() -> None:
    assert spent_until([0.5, 0.2, 0.1], 0.2) == 2
    assert spent_until([0.5], 0.5) == 1
    assert spent_until([0.5, 0.2], 0.1) == math.inf


def test_ratios_are_of_medians_and_say_where_searches_ended() -> None:
    ours = [[1.0, 0.1], [0.1], [1.0, 1.0, 0.1]]
    slow, never = [[1.0] * 5 + [0.1]] * 3, [[1.0] * 8] * 3
    assert ratio(slow, ours, 0.1) == "3.0 (2.0 to 6.0)"
    assert ratio(never, ours, 0.1) == "> 4.0"
    assert ratio(slow, ours, 0.01) == "-"
