"""How long until a front is as good as the plain script's: both search the same space.

The plain script (`benchmarks/plain_script.py`) trains so many candidates and is done; this program
may train three times as many, and its time is that when its front has the same hypervolume.
Accuracies are those that either side reports, on the same validation images; latencies are measured
again for all networks of both, by the protocol and on the quiet machine, so that neither gains by
its noise. Times count from the start of the process: imports, Ray and the estimate are in them.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.kept import Kept
from benchmarks.machine import PLAIN, ROOT, describe, run_child

SPACE = ROOT / "spaces/quickstart.yaml"
Tried = list[dict[str, Any]]  # architecture, accuracy, params, seconds since the start


def plain(task: dict[str, Any]) -> Tried:
    """The plain script's trials, the plain backbone before them: nobody compares without it."""
    import optuna

    from benchmarks import plain_script
    from search.space import load_space

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space(SPACE, task["overrides"])
    settings = plain_script.of_space(space)
    first = plain_script.train_one(space.baseline, settings)
    baseline = {
        "architecture": space.baseline.to_json(),
        "accuracy": first.accuracy,
        "params": first.params,
        "ended": time.time(),
    }
    architectures: list[str] = []
    choose = vars(plain_script)["choose"]

    def remembered(of: Any, trial: Any) -> Any:
        architecture = choose(of, trial)
        architectures.append(architecture.to_json())
        return architecture

    vars(plain_script)["choose"] = remembered
    study = plain_script.search(space, settings, task["trials"] - 1)
    return [baseline] + [
        {
            "architecture": architecture,
            "accuracy": trial.values[0],
            "params": trial.values[1],
            "ended": trial.datetime_complete.timestamp(),
        }
        for architecture, trial in zip(architectures, study.trials, strict=True)
        if trial.datetime_complete is not None
    ]


def ours(task: dict[str, Any]) -> Tried:
    """This program's trials, those that were fully trained."""
    import run_search
    from search.ledger import Ledger

    with tempfile.TemporaryDirectory(prefix="front-") as runs:
        given = [f"-o{each}" for each in (*task["overrides"], *task["ours"])]
        sys.argv = ["run_search.py", "--space", str(SPACE), "--runs", runs, *given]
        code = run_search.main()
        if code:
            raise SystemExit(code)
        ledger = Ledger.read(Path(runs) / SPACE.stem)
        return [
            {
                "architecture": trial.architecture.to_json(),
                "accuracy": trial.val_accuracy,
                "params": trial.params,
                "ended": ledger.frozen(trial.number).datetime_complete.timestamp(),  # type: ignore[union-attr]
            }
            for trial in ledger.trials()
            if trial.eligible
        ]


def ratios(task: dict[str, Any]) -> dict[str, float]:
    """The latency of every architecture in plain backbones, by the protocol, all else quiet."""
    from models.architecture import Architecture
    from models.build import build
    from trainers.config import LatencyConfig
    from trainers.latency import measure_latency
    from trainers.quiet import Quiet

    found, quiet, size = {}, Quiet(), 32
    for text in task["architectures"]:
        architecture = Architecture.from_json(text)
        network = build(architecture, size, 0)
        found[text] = measure_latency(
            network, architecture.backbone, size, LatencyConfig(), quiet
        ).ratio
    return found


SIDES = {"plain": plain, "ours": ours, "ratios": ratios}


def hypervolumes(tried: Tried, latency: dict[str, float], worst: Sequence[float]) -> list[float]:
    """The hypervolume after each trial, of error, parameters and latency, all on a log scale."""
    from optuna._hypervolume import compute_hypervolume

    points = np.log([_losses(each, latency) for each in tried])
    limit = np.log(np.asarray(worst))
    return [
        float(compute_hypervolume(np.minimum(points[: end + 1], limit), limit))
        for end in range(len(points))
    ]


def _losses(each: dict[str, Any], latency: dict[str, float]) -> list[float]:
    return [1 - each["accuracy"], each["params"], max(latency[each["architecture"]], 1.0)]


def main() -> None:
    """Runs both sides and says when ours was as good; the ratio last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few trials of few images")
    parser.add_argument("--trials", type=int, default=30, help="of the plain script")
    parser.add_argument("--our-trials", type=int, default=90)
    parser.add_argument("--keep", type=Path, help="file that either side is read from, or added to")
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--ours", action="append", default=[], metavar="KEY=VALUE", help="for this program alone"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        side, asked = json.loads(given.child)
        print(f"\n{json.dumps(SIDES[side](asked))}")
        return
    if given.quick:
        given.trials, given.our_trials = 5, 15
        given.overrides += ["data.train_images=1000", "data.validation_images=1000"]
        given.overrides += ["training.epochs=3"]
    print(describe())
    print(f"{SPACE.name} {' '.join(given.overrides)}; this program: {' '.join(given.ours)}")
    overrides = [*given.overrides, "search.timeout_minutes=600", "finalists.count=0"]
    tasks: dict[str, dict[str, Any]] = {
        "plain": {"overrides": overrides, "trials": given.trials},
        "ours": {"overrides": overrides, "ours": _ours_alone(given)},
    }
    kept = Kept(given.keep)
    found: dict[str, Tried] = {}
    for side, task in tasks.items():
        key = json.dumps([side, task])
        if key not in kept:
            kept.add(key, _timed(side, task))
        found[side] = kept[key]
        last = found[side][-1]["seconds"]
        print(f"{side}: {len(found[side])} fully trained in {last:.0f} s", flush=True)
    _compare(found)


def _ours_alone(given: argparse.Namespace) -> list[str]:
    return [f"search.trials={given.our_trials}", *given.ours]


def _timed(side: str, task: dict[str, Any]) -> Tried:
    began = time.time()
    tried: Tried = run_child(Path(__file__), [side, task], PLAIN)
    for each in tried:
        each["seconds"] = each["ended"] - began
    return sorted(tried, key=lambda each: float(each["seconds"]))


def _compare(found: dict[str, Tried]) -> None:
    every = [each for tried in found.values() for each in tried]
    texts = list(dict.fromkeys(each["architecture"] for each in every))
    latency = run_child(Path(__file__), ["ratios", {"architectures": texts}])
    worst = np.max([_losses(each, latency) for each in every], axis=0) * 1.001
    curves = {side: hypervolumes(tried, latency, worst) for side, tried in found.items()}
    wanted = curves["plain"][-1]
    for side, tried in found.items():
        best = max(each["accuracy"] for each in tried)
        print(f"{side}: hypervolume {curves[side][-1]:.4f}, best accuracy {100 * best:.2f} %")
    reached = (0.0, float("nan"))
    for share in (0.5, 0.8, 0.9, 1.0):
        at = {side: _reached(found[side], curves[side], share * wanted) for side in found}
        shown = {side: "never" if value is None else f"{value:.0f} s" for side, value in at.items()}
        print(f"{100 * share:.0f} % of the plain script's: {shown['plain']}, ours {shown['ours']}")
        if at["plain"] is not None and at["ours"] is not None:
            reached = (share, at["plain"] / at["ours"])
    share, ratio = reached
    missed = "" if share == 1 else "; this program did not reach all of it"
    print(
        f"ratio: {ratio:.2f} (plain script's time ÷ ours to {100 * share:.0f} % of its "
        f"hypervolume{missed})"
    )


def _reached(tried: Tried, curve: Sequence[float], wanted: float) -> float | None:
    for each, value in zip(tried, curve, strict=True):
        if value >= wanted - 1e-12:
            return float(each["seconds"])
    return None


if __name__ == "__main__":
    main()
