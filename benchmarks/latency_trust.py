"""How far a measured latency can be trusted: on a quiet machine, and beside other trainings.

The truth is the 10 % quantile of many passes of each network on the quiet machine, in sweeps over
all networks: a virtual machine's neighbours are never all quiet, and only ever add.
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
LOW = 0.1  # quantile of single passes that is the truth: what else runs only ever adds
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
        sweeps = [[_passes_ms(n, image, 60) for _, n in built] for _ in range(task["sweeps"])]
        parts = {"truth": sweeps, "truth, even": sweeps[::2], "truth, odd": sweeps[1::2]}
        for name, some in parts.items():
            for answer, value in zip(answers, np.quantile(some, LOW, axis=(0, 2)), strict=True):
                answer[name] = float(value)
    return answers


def _mean_ms(network: Any, image: Any, passes: int) -> float:
    """The mean in milliseconds on the wall's clock."""
    return float(np.mean(_passes_ms(network, image, passes)))


def _passes_ms(network: Any, image: Any, passes: int) -> list[float]:
    """Milliseconds of single passes on the wall's clock, after ten to warm up."""
    import paddle

    found = []
    with paddle.no_grad():
        for number in range(10 + passes):
            began = time.perf_counter()
            network(image)
            if number >= 10:
                found.append(1000 * (time.perf_counter() - began))
    return found


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
        if any(child.poll() is not None for child in running):
            raise SystemExit("error: a training that was to disturb has ended; see its message")
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
        given.many, given.rounds, given.sweeps = 12, 1, 5
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
    _show(found, given)


WAYS = ("naive mean, ms", "naive mean, ratio", "protocol, ms", "protocol, ratio")


def _values(row: list[dict[str, float]], reference_ms: float) -> dict[str, Any]:
    """Milliseconds of all networks by each way.

    A ratio is to the plain backbone, the first of the row, times its true latency; the protocol's
    milliseconds are its ratio times what it measured of the backbone itself, as in a study.
    """
    naive = np.array([each["naive"] for each in row])
    ratio = np.array([each["ratio"] for each in row])
    values = (
        naive,
        naive / naive[0] * reference_ms,
        ratio * row[0]["reference"],
        ratio * reference_ms,
    )
    return dict(zip(WAYS, values, strict=True))


def _show(found: dict[str, list[list[dict[str, float]]]], given: argparse.Namespace) -> None:
    from scipy import stats

    truth = np.median([[each["truth"] for each in row] for row in found[PHASES[0]]], axis=0)
    print(f"\ntruth: {truth.min():.2f} to {truth.max():.2f} ms{_doubt(found[PHASES[0]])}")
    print(f"{'':22} {'error (% of the truth)':20} {'median':>8} {'mean':>8} {'95 %':>8} {'ρ':>7}")
    means: dict[tuple[str, str], float] = {}
    for phase, rounds in found.items():
        rows = [_values(row, float(truth[0])) for row in rounds]
        for way in WAYS:
            values = np.array([row[way] for row in rows])
            off = 100 * np.abs(values / truth - 1)
            order = np.mean([stats.spearmanr(row, truth).statistic for row in values])
            means[phase, way] = float(np.mean(off))
            print(
                f"{phase:22} {way:20} {np.median(off):8.2f} {np.mean(off):8.2f} "
                f"{np.percentile(off, 95):8.2f} {order:7.3f}",
                flush=True,
            )
        seconds = np.mean([[each["seconds"] for each in row] for row in rounds])
        control = 100 * np.median([[abs(each["control"] - 1) for each in row] for row in rounds])
        print(f"{'':22} {seconds:.2f} s a network, A/A {control:.2f} % in the median")
    for way in WAYS[::2]:
        first = _values(found[PHASES[0]][0], 1.0)[way]
        orders = [
            float(stats.spearmanr(first, _values(row, 1.0)[way]).statistic)
            for phase in PHASES[1:]
            for row in found[phase]
        ]
        print(f"{way}: order quiet against order beside others, ρ {min(orders):.3f} at least")
    _show_predictor(found[PHASES[0]], truth / truth[0], given)
    found_ratios = {
        unit: means[PHASES[1], f"naive mean, {unit}"] / means[PHASES[1], f"protocol, {unit}"]
        for unit in ("ratio", "ms")
    }
    print(
        f"ratio: {found_ratios['ratio']:.1f} of ratios to the plain backbone, "
        f"{found_ratios['ms']:.1f} of milliseconds (mean error of the naive mean ÷ the "
        f"protocol's, {PHASES[1]})"
    )


def _doubt(rounds: list[list[dict[str, float]]]) -> str:
    """How far the truth's own halves are apart: no way of measuring agrees better with it."""
    from scipy import stats

    even, odd = (
        np.array([[each[f"truth, {half}"] for each in row] for row in rounds])
        for half in ("even", "odd")
    )
    ratios = (even / even[:, :1]) / (odd / odd[:, :1])
    order = np.mean([stats.spearmanr(*pair).statistic for pair in zip(even, odd, strict=True)])
    return (
        f"; its even sweeps against its odd ones: {100 * np.mean(np.abs(even / odd - 1)):.2f} % "
        f"apart in ms, {100 * np.mean(np.abs(ratios - 1)):.2f} % as ratios, ρ {order:.3f}"
    )


def _show_predictor(rounds: Any, truth: Any, given: argparse.Namespace) -> None:
    """Every network predicted from what the protocol measured of the others."""
    from scipy import stats

    from search.latency_model import LatencyModel

    ratios = np.mean([[each["ratio"] for each in row] for row in rounds], axis=0)
    known = list(zip(networks(given.many, given.width), map(float, ratios), strict=True))
    pairs = []
    for index, (architecture, _) in enumerate(known):
        predicted = LatencyModel(SIZE, known[:index] + known[index + 1 :]).predict(architecture)
        if predicted is not None:
            pairs.append((predicted.ratio, truth[index]))
    if len(pairs) < 3:
        print("predictor: too few networks")
        return
    found, true = np.array(pairs).T
    off, order = 100 * np.abs(found / true - 1), stats.spearmanr(found, true).statistic
    print(
        f"predictor, {len(pairs)} networks left out one by one: {np.median(off):.2f} % off in the "
        f"median, {np.percentile(off, 95):.2f} % at 95 %, ρ {order:.3f}"
    )


if __name__ == "__main__":
    main()
