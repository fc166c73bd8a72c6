"""How many trainings a search needs, with each sampler: NAS-Bench-201's table, three objectives.

Every sampler goes through this project's own `Proposer`, which answers what was tried already
without a training; only random search is a random order, which is the same and faster. A training
gives one of the two or three accuracies that the table holds of a cell, drawn at random; fronts
are judged by the mean of all. Hypervolumes are those of the logarithms of error, parameters and
latency up to the table's worst; regret is what a front lacks of the hypervolume of the whole
table. The sampler's settings were chosen on CIFAR-10; CIFAR-100 and ImageNet-16 were not looked at.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from benchmarks import nasbench201
from benchmarks.kept import Kept
from benchmarks.machine import CORES, describe
from search import samplers
from search.proposer import Chosen, Proposer
from search.samplers import Kind

STUDY = 400  # trials that a study is said to be for
RANDOM = 8000  # trainings of random search, at most
optuna.logging.set_verbosity(optuna.logging.WARNING)

LEVELS = (0.10, 0.05, 0.02)
OBJECTIVES = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
OTHERS: dict[str, Kind] = {  # as Optuna has them, which a search of hundreds of trials suits
    "nsga2": Kind(lambda _, __, seed: optuna.samplers.NSGAIISampler(seed=seed)),
    "tpe": Kind(lambda _, __, seed: optuna.samplers.TPESampler(seed=seed, multivariate=True)),
    "gp": Kind(lambda _, __, seed: optuna.samplers.GPSampler(seed=seed)),
}
SAMPLERS = ("random", "nsga2", "tpe", "gp", "ehvi")


def regrets(task: dict[str, Any]) -> list[float]:
    """The regret after each training, until the lowest of `LEVELS` or `task["trainings"]`."""
    table = nasbench201.load(task["data_set"])
    row_of = {cell: row for row, cell in enumerate(table.cells)}
    rng = np.random.default_rng([task["seed"], 1])
    whole, found = table.hypervolume(), list[float]()
    done: list[int] = []
    order = rng.permutation(len(table.cells)) if task["sampler"] == "random" else None
    searched = _Search(table, task["sampler"], task["seed"]) if order is None else None
    while len(done) < task["trainings"]:
        if order is not None:
            row = int(order[len(done)])
        elif searched is not None:
            chosen = searched.propose()
            row = row_of[chosen.candidate]
            searched.tell(chosen, row, float(rng.choice(table.accuracies[row])))
        done.append(row)
        if order is None or len(done) % 10 == 0:
            found.append(1 - table.hypervolume(done) / whole)
        else:
            found.append(found[-1] if found else 1.0)
        if found[-1] <= task["until"]:
            break
    return found


class _Search:
    """A study of the cells of `table`, and what it proposes next."""

    def __init__(self, table: nasbench201.Table, sampler: str, seed: int) -> None:
        kinds: dict[Any, Kind] = samplers.KINDS
        kinds.update(OTHERS)
        name: Any = sampler
        self._table, self._domain = table, nasbench201.Cells(table)
        self._proposer: Proposer[nasbench201.Cell] = Proposer(
            self._domain, name, OBJECTIVES, STUDY, seed
        )
        self._trials: list[FrozenTrial] = []
        self._held: list[nasbench201.Cell] = []

    def propose(self) -> Chosen[nasbench201.Cell]:
        """A cell that was not told."""
        return self._proposer.propose(self._trials, self._held)

    def random(self, row: int) -> Chosen[nasbench201.Cell]:
        """The cell of a row, as if it had been proposed."""
        cell = self._table.cells[row]
        return Chosen(cell, *self._domain.parameters(cell))

    def tell(self, chosen: Chosen[nasbench201.Cell], row: int, accuracy: float) -> None:
        """What a training gave."""
        trial = optuna.trial.create_trial(
            state=TrialState.COMPLETE,
            values=[accuracy, *self._table.costs[row].tolist()],
            params=dict(chosen.parameters),
            distributions=dict(chosen.distributions),
            system_attrs=dict(chosen.system_attributes),
        )
        trial.number = len(self._trials)
        self._trials.append(trial)
        self._held.append(chosen.candidate)


def seconds_a_proposal(sampler: str, trainings: int, times: int = 5) -> float:
    """The median time of a proposal where a study already holds so many random trainings."""
    table = nasbench201.load("cifar10")
    search, rng = _Search(table, sampler, 0), np.random.default_rng(0)
    for row in rng.permutation(len(table.cells))[:trainings]:
        search.tell(search.random(row), row, table.accuracies[row][0])
    took = []
    for _ in range(times):
        began = time.perf_counter()
        chosen = search.propose()
        took.append(time.perf_counter() - began)
        row = table.cells.index(chosen.candidate)
        search.tell(chosen, row, table.accuracies[row][0])
    return float(np.median(took))


def main() -> None:
    """Runs all samplers on all tables, and prints how many trainings each needed; ratios last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 seeds, one table")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=SAMPLERS)
    parser.add_argument("--tables", nargs="+", default=list(nasbench201.DATA_SETS))
    parser.add_argument("--trainings", type=int, default=400, help="at most, of each search")
    parser.add_argument("--until", type=float, default=0.05, help="regret at which one ends")
    parser.add_argument("--keep", type=Path, help="file that searches are read from and added to")
    parser.add_argument("--picture", type=Path, help="file for a picture of all curves")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.tables, given.trainings = 3, ["cifar10"], 120
    if "gp" in given.samplers and find_spec("torch") is None:
        print("GPSampler is left out: torch is not installed")
        given.samplers.remove("gp")
    print(describe())
    found = _searched(given)
    for data_set in given.tables:
        _show(data_set, {name: found[data_set, name] for name in given.samplers}, given.until)
    for sampler in given.samplers:
        if sampler != "random":
            took = seconds_a_proposal(sampler, 500)
            print(f"{sampler}: {took:.3f} s for a proposal after 500 trainings")
    if given.picture:
        _draw(found, given)
    for data_set in given.tables:
        _ratio(data_set, {name: found[data_set, name] for name in given.samplers})


def _searched(given: argparse.Namespace) -> dict[tuple[str, str], list[list[float]]]:
    """The curves of every table and sampler, one for each seed."""
    kept = Kept(given.keep)
    tasks: dict[str, dict[str, Any]] = {}
    for data_set in given.tables:
        for sampler in given.samplers:
            most = RANDOM if sampler == "random" else given.trainings
            for seed in range(given.seeds):
                task = {"data_set": data_set, "sampler": sampler, "seed": seed}
                task |= {"trainings": most, "until": given.until}
                tasks[json.dumps(task)] = task
    with ProcessPoolExecutor(CORES) as pool:
        running = {pool.submit(regrets, tasks[key]): key for key in tasks if key not in kept}
        for done in as_completed(running):
            kept.add(running[done], done.result())
    found: dict[tuple[str, str], list[list[float]]] = {}
    for key, task in tasks.items():
        found.setdefault((task["data_set"], task["sampler"]), []).append(kept[key])
    return found


def trainings_to(curve: Sequence[float], level: float) -> float:
    """How many trainings until the regret is at most `level`; infinite if it never is."""
    below = np.flatnonzero(np.asarray(curve) <= level)
    return float(below[0] + 1) if len(below) else math.inf


def _show(data_set: str, curves: dict[str, list[list[float]]], until: float) -> None:
    levels = [level for level in LEVELS if level >= until]  # searches end there
    print(f"\n{data_set}: trainings to a regret of, median (interquartile range)")
    print(f"{'':8}" + "".join(f"{100 * level:>18g} %" for level in levels))
    for sampler, of_seeds in curves.items():
        cells = []
        for level in levels:
            needed = [trainings_to(curve, level) for curve in of_seeds]
            low, high = np.quantile(needed, (0.25, 0.75), method="nearest")
            middle = np.median(needed)
            cells.append(f"{middle:g} ({low:g} to {high:g})")
        print(f"{sampler:8}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def _ratio(data_set: str, curves: dict[str, list[list[float]]]) -> None:
    medians = {
        sampler: float(np.median([trainings_to(curve, 0.05) for curve in of_seeds]))
        for sampler, of_seeds in curves.items()
    }
    rivals = [medians[name] for name in medians if name not in {"random", "ehvi"}]
    if "ehvi" not in medians:
        return
    ours = medians["ehvi"]
    against = [
        ("random", medians.get("random", math.nan)),
        ("Optuna's best", min(rivals, default=math.nan)),
    ]
    shown = ", ".join(f"{value / ours:.1f} ({name})" for name, value in against)
    print(f"ratio: {shown} (trainings to 5 % regret on {data_set} ÷ ehvi's {ours:g})")


def _draw(found: dict[tuple[str, str], list[list[float]]], given: argparse.Namespace) -> None:
    """Median regret over trainings, with the interquartile range, a panel for each table."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(
        1, len(given.tables), figsize=(4.2 * len(given.tables), 3.4), sharey=True, squeeze=False
    )
    for panel, data_set in zip(panels[0], given.tables, strict=True):
        for sampler in given.samplers:
            curves = found[data_set, sampler]
            length = max(map(len, curves))
            filled = np.array([[*c, *[c[-1]] * (length - len(c))] for c in curves])
            low, middle, high = np.quantile(filled, (0.25, 0.5, 0.75), axis=0)
            steps = np.arange(1, length + 1)
            panel.plot(steps, 100 * middle, label=sampler)
            panel.fill_between(steps, 100 * low, 100 * high, alpha=0.2)
        panel.set(xscale="log", yscale="log", title=data_set, xlabel="trainings")
        panel.axhline(5, color="grey", linewidth=0.8, linestyle=":")
    panels[0][0].set_ylabel("hypervolume regret, %")
    panels[0][0].legend()
    figure.tight_layout()
    figure.savefig(given.picture, dpi=110)


if __name__ == "__main__":
    main()
