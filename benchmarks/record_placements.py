"""Records the table that searches of placements are compared on: real trainings, epoch by epoch.

    python benchmarks/record_placements.py --architectures 204 --seeds 2

trains architectures drawn at random from `benchmarks/data/placements.yaml`, the plain backbone
and the residual control before them, and writes a line of `benchmarks/data/placements.jsonl` as
each ends. What the file holds already is passed over, so the hours can be spent in pieces. With
`--latencies` nothing is trained, and the latencies of all architectures of the file are measured
instead, into `placements-latency.json` beside it: do that when the machine has nothing else to do.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import optuna

from benchmarks.machine import ROOT, describe, run_child
from benchmarks.training import train_all
from models.architecture import Architecture
from search.candidates import choose
from search.space import Space, load_space

SPACE = ROOT / "benchmarks/data/placements.yaml"
TABLE = ROOT / "benchmarks/data/placements.jsonl"
LATENCIES = "placements-latency.json"  # beside a table
SEED = 0  # of the draw of architectures


def architectures(space: Space, many: int) -> list[Architecture]:
    """The first `many` different ones: plain backbone, control, then drawn; always the same."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(SEED))
    drawn = dict.fromkeys((space.baseline, space.control))
    while len(drawn) < many:
        drawn[choose(space, study.ask())] = None
    return list(drawn)[:many]


def recipe(space: Space) -> str:
    """A digest of what the file says of backbone, images and training: all of a table share it."""
    file = space.file
    shared = [file.backbone, file.data, file.training]
    said = [each.model_dump(mode="json", exclude_unset=True) for each in shared]
    text = json.dumps(said, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """What was recorded; a last line that was not written whole is passed over."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def recorded(space: Space, path: Path) -> dict[Architecture, dict[int, list[float]]]:
    """The validation accuracies of every epoch that `path` holds, by architecture and seed.

    Raises ValueError for trainings by another recipe than that of `space`.
    """
    backbone, wanted = json.loads(space.baseline.to_json())["backbone"], recipe(space)
    found: dict[Architecture, dict[int, list[float]]] = {}
    for line in lines(path):
        if line["recipe"] != wanted:
            raise ValueError(f"{path} was not recorded with the recipe of {SPACE}")
        text = json.dumps({"backbone": backbone, "placements": line["placements"]})
        of_seeds = found.setdefault(Architecture.from_json(text), {})
        of_seeds[line["seed"]] = line["val_accuracy"]
    return found


def record(space: Space, wanted: Iterable[Architecture], seeds: int, path: Path) -> None:
    """Trains what `path` does not hold, all with one seed before any with the next."""
    known = {
        (architecture.architecture_id, seed)
        for architecture, of_seeds in recorded(space, path).items()
        for seed in of_seeds
    }
    file = space.file
    tasks: dict[str, dict[str, Any]] = {
        json.dumps([architecture.architecture_id, seed]): {
            "architecture": architecture.to_json(),
            "data": file.data.model_dump(mode="json"),
            "training": file.training.model_dump(mode="json"),
            "seed": seed,
            "every_epoch": True,
        }
        for seed in range(seeds)
        for architecture in wanted
        if (architecture.architecture_id, seed) not in known
    }
    print(f"{len(known)} trainings recorded, {len(tasks)} to come", flush=True)
    _end_whole(path)
    for done, (name, answer) in enumerate(train_all(tasks), start=1):
        architecture_id, seed = json.loads(name)
        line = {
            "architecture_id": architecture_id,
            "seed": seed,
            "recipe": recipe(space),
            "placements": json.loads(tasks[name]["architecture"])["placements"],
            **{
                key: [round(epoch[key], 5) for epoch in answer["curve"]]
                for key in ("val_accuracy", "val_loss", "train_loss")
            },
            "seconds": round(answer["seconds"], 1),
        }
        with path.open("a", encoding="utf-8") as table:
            table.write(json.dumps(line) + "\n")
        print(f"{done}/{len(tasks)} {name} {answer['accuracy']:.4f}", flush=True)


def _end_whole(path: Path) -> None:
    """Takes away a last line that an interruption left in the middle."""
    whole = "".join(json.dumps(line) + "\n" for line in lines(path))
    if path.exists() and path.read_text(encoding="utf-8") != whole:
        path.write_text(whole, encoding="utf-8")


def latencies(file: str, seconds: float) -> dict[str, float]:
    """The ratio of each architecture's latency to the plain backbone's, by architecture id."""
    from models.build import build
    from trainers.config import LatencyConfig
    from trainers.latency import measure_latency
    from trainers.quiet import Quiet

    settings, quiet, found = LatencyConfig(seconds=seconds), Quiet(), {}
    space = load_space(SPACE)
    size = space.file.data.image_size
    for architecture in recorded(space, Path(file)):
        network = build(architecture, size, 0)
        measured = measure_latency(network, architecture.backbone, size, settings, quiet)
        found[architecture.architecture_id] = round(measured.ratio, 4)
    return found


def main() -> None:
    """Trains, or measures, what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", type=int, default=204)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--latencies", action="store_true", help="measure these, train nothing")
    parser.add_argument("--file", type=Path, default=TABLE, help="the table's, else the checkout's")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(f"\n{json.dumps(latencies(**json.loads(given.child)))}")
        return
    print(describe())
    space = load_space(SPACE)
    if not given.latencies:
        record(space, architectures(space, given.architectures), given.seeds, given.file)
        return
    task = {"file": str(given.file.resolve()), "seconds": 2.0}
    found = {"machine": describe(), "ratios": run_child(Path(__file__), task)}
    text = json.dumps(found, indent=0) + "\n"
    given.file.with_name(LATENCIES).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
