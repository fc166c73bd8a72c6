"""How many images a second all cores train together: this project against the plain script.

The same networks, images, epochs and batches; rounds of either side in turn. Rates count training
alone; on this project's side that includes the seconds it waits while another worker measures a
latency, which are shown beside it. Wall times count everything: import, build, latency, validation.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import gemm
from benchmarks.machine import CORES, PLAIN, describe, side_by_side
from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from models.build import cost

PLACED: Mapping[str, tuple[str, str, Mapping[str, Any]] | None] = {
    "none": None,
    "se": ("stage4.block2.before_add", "se", {"reduction": 4}),
    "gc": ("stage3.block2.after_block", "gc", {"ratio": 0.25, "fusion": "add"}),
    "nonlocal": ("stage3.block1.after_block", "nonlocal", {"bottleneck_ratio": 0.5}),
}
"""Placements that `spaces/quickstart.yaml` allows."""

SIDES = {
    "plain": "plain script, one process, Paddle's threads",
    "plain, process per core": "plain script, one process per core",
    "ours": "this project, one worker per core",
}
PASSES = 3  # forward, and backward to the inputs and to the weights: as many MACs each


@dataclass(frozen=True)
class Size:
    """A network's width and how much it is trained on."""

    width: float
    train_images: int
    validation_images: int
    epochs: int


FULL = (Size(0.0625, 3000, 2000, 4), Size(0.5, 1024, 500, 2))
QUICK = (Size(0.0625, 640, 250, 2), Size(0.5, 128, 100, 1))


@dataclass(frozen=True)
class Round:
    """One side, once.

    `images_per_second`: over all cores. `waiting_s`: of a candidate's training, for measurements.
    `wall_s`: of all candidates, with everything.
    """

    images_per_second: float
    waiting_s: float
    accuracies: tuple[float, ...]
    wall_s: float


def architecture(name: str, width: float) -> Architecture:
    """One of `PLACED` in a ResNet-18 of a width."""
    placed = PLACED[name]
    backbone = Backbone(width=width)
    if placed is None:
        return Architecture(backbone)
    slot, block, options = placed
    return Architecture(backbone, (Placement(Slot.parse(slot), make_block(block, options)),))


def child(task: dict[str, Any]) -> list[dict[str, float]]:
    """Trains the candidates of a task one after another: accuracy and seconds of training."""
    from benchmarks.plain_script import Settings, load_pictures, train_one

    settings = Settings(**task["settings"])
    networks = [architecture(name, task["width"]) for name in task["names"]]
    if task["ours"]:
        return [_ours(network, settings) for network in networks]
    pictures = load_pictures(settings)
    answers = [train_one(network, settings, pictures) for network in networks]
    return [{"accuracy": a.accuracy, "seconds": a.train_seconds, "waiting": 0.0} for a in answers]


def _ours(network: Architecture, settings: Any) -> dict[str, float]:
    from trainers import candidate
    from trainers.config import LatencyConfig
    from trainers.data.cache import cache_folder
    from trainers.messages import EpochResult, Failed, Measured, Task
    from trainers.quiet import Quiet

    waiting = 0.0

    class TimedQuiet(Quiet):
        @contextlib.contextmanager
        def training(self) -> Iterator[None]:
            nonlocal waiting
            began = time.perf_counter()
            with super().training():
                waiting += time.perf_counter() - began
                yield

    vars(candidate)["Quiet"] = TimedQuiet
    folder = str(cache_folder(settings.data.name))
    task = Task(network, settings.data, folder, settings.training, LatencyConfig(), settings.seed)
    accuracy = seconds = 0.0
    for answer in candidate.run_candidate(task):
        if isinstance(answer, Failed):
            raise RuntimeError(f"{answer.reason}\n{answer.details}")  # noqa: TRY004
        if isinstance(answer, Measured):
            waiting = 0.0  # for the turn to build and to measure: no part of the training
        if isinstance(answer, EpochResult):
            accuracy, seconds = answer.val_accuracy, seconds + answer.train_seconds
    return {"accuracy": accuracy, "seconds": seconds, "waiting": waiting}


def one_round(side: str, size: Size, names: Sequence[str], num_workers: int) -> Round:
    """Trains all candidates on one side."""
    settings = asdict(size) | {"seed": 0, "num_workers": num_workers}
    width = settings.pop("width")
    processes = 1 if side == "plain" else min(CORES, len(names))
    common = {"settings": settings, "width": width, "ours": side == "ours"}
    tasks = [{**common, "names": names[start::processes]} for start in range(processes)]
    began = time.perf_counter()
    environment = None if side == "ours" else PLAIN
    answers = side_by_side(Path(__file__), tasks, environment=environment)
    wall_s = time.perf_counter() - began
    images = size.train_images * size.epochs
    rates = [images * len(of) / sum(answer["seconds"] for answer in of) for of in answers]
    accuracy = {
        name: answer["accuracy"]
        for task, of in zip(tasks, answers, strict=True)
        for name, answer in zip(task["names"], of, strict=True)
    }
    waiting_s = statistics.mean(answer["waiting"] for of in answers for answer in of)
    return Round(sum(rates), waiting_s, tuple(accuracy[name] for name in names), wall_s)


def best_num_workers(size: Size) -> int:
    """0 or 2 reading processes for the plain script, whichever trains faster here."""
    probe = replace(size, train_images=min(size.train_images, 512), epochs=1, validation_images=50)
    rates = {n: one_round("plain", probe, ["none"], n).images_per_second for n in (0, 2)}
    shown = ", ".join(f"{rate:.0f} images/s with {n}" for n, rate in rates.items())
    print(f"plain script's DataLoader, num_workers: {shown}", flush=True)
    return max(rates, key=lambda n: rates[n])


def compare(
    size: Size, names: Sequence[str], rounds: int, num_workers: int | None
) -> dict[str, list[Round]]:
    """All sides in turn, `rounds` times."""
    print(
        f"\nResNet-18 of width {size.width:g}: {', '.join(names)}; {size.train_images} training "
        f"and {size.validation_images} validation images of CIFAR-10, {size.epochs} epochs, "
        f"batch 64, seed 0, {rounds} rounds"
    )
    workers = best_num_workers(size) if num_workers is None else num_workers
    found: dict[str, list[Round]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side, title in SIDES.items():
            found[side].append(one_round(side, size, names, workers))
            rate = found[side][-1].images_per_second
            print(f"round {number + 1}: {title:45} {rate:8.1f} images/s", flush=True)
    return found


def show(
    size: Size, names: Sequence[str], found: Mapping[str, Sequence[Round]], limit_gflops: float
) -> float:
    """Prints the table of one size; this project's rate ÷ the plain script's."""
    macs = statistics.mean(cost(architecture(name, size.width), 32).macs for name in names)
    gflop = 2e-9 * PASSES * macs
    print(f"{gflop:.4f} GFLOP an image, forward and backward, on average over the networks")
    head = "images/s  of GEMM  s/candidate  waiting s  accuracy:"
    print("side".ljust(45), head, ", ".join(names))
    rates = {}
    for side, rounds in found.items():
        rates[side] = statistics.median(one.images_per_second for one in rounds)
        share = 100 * rates[side] * gflop / limit_gflops
        wall_s = statistics.median(one.wall_s for one in rounds) / len(names)
        waiting_s = statistics.median(one.waiting_s for one in rounds)
        by_name = zip(*(one.accuracies for one in rounds), strict=True)
        accuracies = ", ".join(f"{100 * statistics.mean(values):.1f} %" for values in by_name)
        print(
            f"{SIDES[side]:45} {rates[side]:8.1f}  {share:5.1f} %  {wall_s:11.2f}  "
            f"{waiting_s:9.2f}  {accuracies}"
        )
    per_core = rates["ours"] / rates["plain, process per core"]
    print(f"this project ÷ the plain script in one process per core: {per_core:.2f}")
    return rates["ours"] / rates["plain"]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two networks, few images, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", nargs="+", default=list(PLACED), choices=list(PLACED))
    parser.add_argument("--widths", type=float, nargs="+", help="of those that are measured")
    parser.add_argument("--images", type=int, help="training images, for every width")
    parser.add_argument(
        "--num-workers", type=int, help="of the plain script's DataLoader; else the better of 0, 2"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    """Compares both sides at every size; the ratios last."""
    given = parse_arguments()
    if given.child:
        print(json.dumps(child(json.loads(given.child))))
        return
    names, sizes = given.names, QUICK if given.quick else FULL
    if given.quick:
        given.rounds, given.num_workers = 1, given.num_workers or 0
        names = names[:2]
    print(describe())
    ratios, limit = {}, 0.0
    for size in sizes:
        if given.widths and size.width not in given.widths:
            continue
        alone, together = gemm.measured(1.5 if given.quick else gemm.SECONDS)
        print(f"GEMM, float32: {alone:.1f} GFLOP/s one thread, {together:.1f} on all cores")
        limit = max(limit, together)  # the quieter moment: other programs only ever take away
        chosen = replace(size, train_images=given.images or size.train_images)
        found = compare(chosen, names, given.rounds, given.num_workers)
        ratios[size.width] = show(chosen, names, found, limit)
    shown = ", ".join(f"{ratio:.2f} (width {width:g})" for width, ratio in ratios.items())
    print(f"ratio: {shown}: training images a second of this project ÷ the plain script, all cores")


if __name__ == "__main__":
    main()
