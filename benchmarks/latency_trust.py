"""How far a measured latency can be trusted: on a quiet machine, and beside other trainings.

The truth is the mean of many passes of each network on the quiet machine, spread over some minutes.
Against it stand the mean of 100 passes, as a plain script has it, and the protocol of
`trainers/latency.py`, which takes half a second: on the quiet machine, beside a training of this
program on every other core, and beside a foreign training that knows no lock. Phases in turn.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.machine import CORES, ROOT, describe, run_child
from trainers.environment import worker_environment

PHASES = ("quiet", "beside this program", "beside a stranger")
PASSES = 100  # of the naive mean
SIZE = 32


def networks(many: int, width: float) -> list[Any]:
    """The plain backbone and random candidates of the quickstart, as architectures."""
    import optuna

    from search.candidates import choose
    from search.space import load_space

    space = load_space(ROOT / "spaces/quickstart.yaml", [f"backbone.width={width}"])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    found = dict.fromkeys([space.baseline])
    while len(found) < many:
        found[choose(space, study.ask())] = None
    return list(found)


def measure(task: dict[str, Any]) -> list[dict[str, float]]:
    """Every network by either way, and, on the quiet machine, for the truth."""
    import paddle

    from models.build import build
    from trainers.config import LatencyConfig
    from trainers.latency import measure_latency
    from trainers.quiet import Quiet

    quiet, image = Quiet(), paddle.rand([1, 3, SIZE, SIZE])
    built = [(each, build(each, SIZE, 0)) for each in networks(task["many"], task["width"])]
    answers: list[dict[str, float]] = [{} for _ in built]
    for (architecture, network), answer in zip(built, answers, strict=True):
        network.eval()
        answer["naive"] = _mean_ms(network, image, PASSES)
        began = time.perf_counter()
        found = measure_latency(network, architecture.backbone, SIZE, LatencyConfig(), quiet)
        answer["seconds"] = time.perf_counter() - began
        answer |= {"ratio": found.ratio, "reference": found.reference_ms}
        answer |= {"control": found.control, "half_width": found.half_width}
    if task["phase"] == PHASES[0]:
        sweeps = [[_mean_ms(n, image, 60) for _, n in built] for _ in range(task["sweeps"])]
        for answer, truth in zip(answers, np.median(sweeps, axis=0), strict=True):
            answer["truth"] = float(truth)
    return answers


def _mean_ms(network: Any, image: Any, passes: int) -> float:
    """Milliseconds on the wall's clock, after ten passes to warm up."""
    import paddle

    with paddle.no_grad():
        for _ in range(10):
            network(image)
        began = time.perf_counter()
        for _ in range(passes):
            network(image)
    return 1000 * (time.perf_counter() - began) / passes


def load(task: dict[str, Any]) -> None:
    """Trains until it is killed; a stranger's locks lie elsewhere."""
    from models.architecture import Architecture, Backbone
    from models.build import build
    from trainers.config import DataConfig, TrainingConfig
    from trainers.data.search_split import search_batches
    from trainers.data.store import prepare
    from trainers.quiet import Quiet
    from trainers.train import train

    data, config = DataConfig(train_images=3000), TrainingConfig(epochs=10**6, learning_rate=1e-4)
    batches, validation = search_batches(data, config, prepare(data), seed=0)
    network = build(Architecture(Backbone(width=task["width"])), SIZE, 0)
    quiet = Quiet(Path(task["locks"])) if task["locks"] else Quiet()
    for _ in train(network, batches, validation, config, image_size=SIZE, quiet=quiet):
        pass


@contextlib.contextmanager
def neighbours(phase: str, width: float, folder: Path) -> Iterator[None]:
    """Trainings on all cores but one, as beside a worker that measures."""
    many = 0 if phase == PHASES[0] else max(1, CORES - 1)
    task = {"load": True, "width": width, "locks": str(folder) if phase == PHASES[2] else None}
    command = [sys.executable, "-W", "ignore", __file__, "--child", json.dumps(task)]
    environment = {**os.environ, **worker_environment(), "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(command, env=environment) for _ in range(many)]
    try:
        if many:
            time.sleep(12)  # imports, and the first steps
        yield
    finally:
        for child in running:
            child.kill()
            child.wait()


def main() -> None:
    """Runs the phases in turn and prints the errors; the ratio last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="12 networks, one round")
    parser.add_argument("--many", type=int, default=24, help="networks")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sweeps", type=int, default=6)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        task = json.loads(given.child)
        if task.get("load"):
            load(task)
        else:
            print(f"\n{json.dumps(measure(task))}")
        return
    if given.quick:
        given.many, given.rounds, given.sweeps = 12, 1, 4
    print(describe())
    print(f"ResNet-18 of width {given.width:g} and {given.many - 1} candidates of the quickstart")
    found: dict[str, list[list[dict[str, float]]]] = {phase: [] for phase in PHASES}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(given.rounds):
            for phase in PHASES:
                task = {"many": given.many, "width": given.width, "phase": phase}
                with neighbours(phase, given.width, Path(folder)):
                    answer = run_child(Path(__file__), {**task, "sweeps": given.sweeps})
                found[phase].append(answer)
    _show(found)


def _show(found: dict[str, list[list[dict[str, float]]]]) -> None:
    from scipy import stats

    truth = np.median([[each["truth"] for each in row] for row in found[PHASES[0]]], axis=0)
    reference = float(truth[0])  # of the plain backbone: what ratios are multiplied with
    print(f"\ntruth: {truth.min():.2f} to {truth.max():.2f} ms")
    print(
        f"{'':22} {'naive mean of 100':>28} {'protocol':>28}\n"
        f"{'error (% of the truth)':22} {'median':>9} {'95 %':>9} {'ρ':>8} "
        f"{'median':>9} {'95 %':>9} {'ρ':>8} {'s each':>8} {'A/A (%)':>8}"
    )
    errors: dict[str, tuple[float, float]] = {}
    for phase, rounds in found.items():
        naive = np.array([[each["naive"] for each in row] for row in rounds])
        protocol = np.array([[each["ratio"] * reference for each in row] for row in rounds])
        seconds = np.mean([[each["seconds"] for each in row] for row in rounds])
        control = np.median([[abs(each["control"] - 1) for each in row] for row in rounds])
        cells = []
        for values in (naive, protocol):
            off = 100 * np.abs(values / truth - 1)
            order = np.mean([stats.spearmanr(row, truth).statistic for row in values])
            cells += [f"{np.median(off):9.2f}", f"{np.percentile(off, 95):9.2f}", f"{order:8.3f}"]
        means = tuple(100 * float(np.mean(np.abs(v / truth - 1))) for v in (naive, protocol))
        errors[phase] = (means[0], means[1])
        print(f"{phase:22} {' '.join(cells)} {seconds:8.2f} {100 * control:8.2f}", flush=True)
    for phase in PHASES[1:]:
        naive_error, ours = errors[phase]
        print(f"mean error {phase}: naive {naive_error:.2f} %, protocol {ours:.2f} %")
    naive_error, ours = errors[PHASES[1]]
    print(f"ratio: {naive_error / ours:.1f} (error of the naive mean ÷ the protocol's)")


if __name__ == "__main__":
    main()
