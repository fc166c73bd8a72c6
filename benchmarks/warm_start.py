"""Does a warm start keep the order of candidates, and what does it save?

The baseline is trained once for each seed; every candidate is trained from scratch, and again with
the baseline's weights for a fraction of the epochs. The order of the accuracies from scratch with
one seed against those with another is what can be reached at all: no warm start agrees better with
a training from scratch than another training from scratch does.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.kept import Kept
from benchmarks.machine import CORES, describe
from benchmarks.training import WIDTH, train_all
from reports.order import kendall, spearman

CHECKS = 8  # trainings from scratch, the default of `training.warm.checks`
RECIPE = {"learning_rate": 0.1, "batch_size": 64, "warmup_fraction": 0.25}

CANDIDATES = {
    "control": {"stage4.block2.after_block": "residual"},
    "residual early": {"stage2.block2.after_block": "residual"},
    "se everywhere": {"all.all.before_add": {"se": {"reduction": 2}}},
    "se late": {"stage4.all.before_add": {"se": {"reduction": 4}}},
    "se early": {"stage1.all.before_add": {"se": {"reduction": 2}}},
    "gc everywhere": {"all.all.after_block": {"gc": {"ratio": 0.5}}},
    "gc mul late": {"stage4.all.after_block": {"gc": {"ratio": 0.5, "fusion": "mul"}}},
    "gc middle": {"stage3.last.after_block": {"gc": {"ratio": 0.5}}},
    "non-local early": {"stage2.all.after_block": {"nonlocal": {"bottleneck_ratio": 0.5}}},
    "non-local late": {"stage4.all.after_block": {"nonlocal": {"bottleneck_ratio": 1.0}}},
    "dot product": {"stage3.all.after_block": {"nonlocal": {"mode": "dot_product"}}},
    "snl": {"stage3.last.after_block": "snl"},
    "bat": {"stage2.all.after_block": {"bat": {"s": 4, "k": 1, "r": 2}}},
    "bridge everywhere": {"all.all.before_add": {"bridge": {"reduction": 2}}},
    "ortho everywhere": {"all.all.before_add": {"ortho": {"reduction": 2}}},
    "fca late": {"stage3.all.before_add": {"fca": {"reduction": 2, "dct_size": 7}}},
    "cbam everywhere": {"all.all.before_add": {"cbam": {"reduction": 2}}},
    "coord late": {"stage3.all.before_add": {"coord": {"reduction": 4}}},
    "eca everywhere": {"all.all.before_add": "eca"},
    "simam middle": {"stage3.all.before_add": "simam"},
}


def architectures(names: Sequence[str]) -> dict[str, str]:
    """The candidates as JSON."""
    from models.yaml_input import parse_yaml
    from search.space import check_space

    listed = {
        "backbone": {"width": WIDTH},
        "candidates": {name: CANDIDATES[name] for name in names},
    }
    space = check_space(parse_yaml(json.dumps(listed), "candidates"))
    found = {name: architecture.to_json() for name, architecture in space.candidates.items()}
    return {"plain": space.baseline.to_json(), **found}


def main() -> None:
    """Trains everything and prints both orders; the ratio last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="6 candidates, few images")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--judges", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--warm-epochs", type=int, default=2)
    parser.add_argument("--factors", type=float, nargs="+", default=[0.5], help="of the peak rate")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=CORES)
    parser.add_argument("--keep", type=Path, help="file that accuracies are read from and added to")
    given = parser.parse_args()
    names = list(CANDIDATES)
    if given.quick:
        names = names[2::3]
        given.images, given.judges, given.epochs, given.warm_epochs = 1500, 4000, 5, 1
    print(describe())
    print(
        f"ResNet-18 of width {WIDTH:g}, {given.images} training and {given.judges} validation "
        f"images of CIFAR-10, {len(names)} candidates, {given.seeds} seeds; from scratch "
        f"{given.epochs} epochs, warm {given.warm_epochs}"
    )
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        _compare(architectures(names), given, Path(given.keep.parent if given.keep else folder))


def _compare(found: dict[str, str], given: argparse.Namespace, folder: Path) -> None:
    common: dict[str, Any] = {
        "data": {"train_images": given.images, "validation_images": given.judges}
    }
    seeds = range(given.seeds)
    kept = Kept(given.keep)

    def trained(tasks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        new = {key: task for key, task in tasks.items() if key not in kept}
        for key, answer in train_all(new, given.workers):
            kept.add(key, answer)
        return {key: kept[key] for key in tasks}

    full = {**RECIPE, "epochs": given.epochs}
    scale = f", {given.images} images, {given.judges} judges, {given.epochs} epochs"
    origins = trained(
        {
            f"plain, seed {seed}{scale}": {
                **common,
                "architecture": found["plain"],
                "training": full,
                "seed": seed,
                "save_to": str(folder / f"baseline-{seed}.safetensors"),
            }
            for seed in seeds
        }
    )
    cold = trained(
        {
            f"{name}, seed {seed}{scale}": {
                **common,
                "architecture": architecture,
                "training": full,
                "seed": seed,
            }
            for name, architecture in found.items()
            if name != "plain"
            for seed in seeds
        }
    )
    cold |= origins
    cold_table = _table(found, cold, seeds, scale)
    print(f"\n{'candidate':20} {'from scratch':>18}", end="")
    warm_tables = {}
    for factor in given.factors:
        warm = {
            **RECIPE,
            "epochs": given.warm_epochs,
            "learning_rate": factor * RECIPE["learning_rate"],
        }
        suffix = f"{scale}, warm {given.warm_epochs} at {factor:g}"
        answers = trained(
            {
                f"{name}, seed {seed}{suffix}": {
                    **common,
                    "architecture": architecture,
                    "training": warm,
                    "seed": seed,
                    "start": origins[f"plain, seed {seed}{scale}"]["saved"],
                }
                for name, architecture in found.items()
                for seed in seeds
            }
        )
        warm_tables[factor] = _table(found, answers, seeds, suffix)
        print(f" {f'warm, rate × {factor:g}':>20}", end="")
    print()
    for row, name in enumerate(found):
        tables = [cold_table, *warm_tables.values()]
        print(f"{name:20}", *(f"{_percents(table[row]):>18}" for table in tables))
    _show_orders(cold_table, warm_tables, given)


def _table(
    found: dict[str, str], answers: dict[str, Any], seeds: range, suffix: str
) -> "np.ndarray[Any, Any]":
    rows = [[answers[f"{name}, seed {s}{suffix}"]["accuracy"] for s in seeds] for name in found]
    return np.array(rows)


def _percents(row: "np.ndarray[Any, Any]") -> str:
    return " ".join(f"{100 * value:.2f}" for value in row)


def _show_orders(cold: Any, warm: dict[float, Any], given: argparse.Namespace) -> None:
    print()
    if given.seeds > 1:
        _show("from scratch, seed 0 against seed 1", cold[:, 0], cold[:, 1])
    best = float("nan")
    for factor, table in warm.items():
        if given.seeds > 1:
            _show(f"warm × {factor:g}, seed 0 against seed 1", table[:, 0], table[:, 1])
            one = np.mean(
                [spearman(table[:, s], cold[:, 1 - s]).value for s in (0, 1)]  # type: ignore[union-attr]
            )
            print(f"{f'warm × {factor:g} against scratch of the other seed':58} ρ {one:.2f}")
        found = _show(f"warm × {factor:g} against scratch, means", table.mean(1), cold.mean(1))
        best = found if np.isnan(best) else max(best, found)
    saved = given.epochs / given.warm_epochs
    few, many = (count / (1 + count / saved + CHECKS) for count in (len(cold), 200))
    print(
        f"\nof {len(cold)} candidates, with the baseline's own training and {CHECKS} checks from "
        f"scratch, a study costs {few:.1f} times less than from scratch, "
        f"one of 200 {many:.1f} times"
    )
    print(f"ratio: {saved:.1f} (epochs from scratch ÷ warm), Spearman's ρ {best:.2f}")


def _show(name: str, first: Sequence[float], second: Sequence[float]) -> float:
    order, pairs = spearman(first, second), kendall(first, second)
    if order is None or pairs is None:
        return float("nan")
    print(
        f"{name:58} ρ {order.value:.2f} ({order.low:.2f} to {order.high:.2f}), "
        f"τ {pairs.value:.2f} ({pairs.low:.2f} to {pairs.high:.2f})"
    )
    return order.value


if __name__ == "__main__":
    main()
