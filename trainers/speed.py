"""How fast each exported form is: on one thread, in turns, in a process that does nothing else.

`python -m trainers.speed` is that process: it is told on stdin what to measure, and answers on
stdout, both as JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.printable import one_line
from trainers.processor import worker_environment

BATCHES = (1, 8, 32)
SECONDS = 2.0
"""For each batch size, all forms together, if a round takes no longer."""
ROUNDS = 6  # at least
LONGEST_S = 900


class SpeedError(Exception):
    """The speed could not be measured; why, in words."""


@dataclass(frozen=True)
class Speed:
    """Passes of one form over `batch` images: median and 90th percentile in ms."""

    form: str
    batch: int
    median_ms: float
    p90_ms: float

    @property
    def images_per_second(self) -> float:
        """Images a second at the median."""
        return 1000 * self.batch / self.median_ms


@dataclass(frozen=True)
class Speeds:
    """All measurements; `rounds` by batch size, `quiet`: trainings here were held off meanwhile."""

    speeds: tuple[Speed, ...]
    rounds: tuple[tuple[int, int], ...]
    quiet: bool
    clock: str


def measure_speed(
    folder: Path, architecture: str, image_size: int, kept_size: int, seconds: float = SECONDS
) -> Speeds:
    """Measures the forms in `folder`, of which the layer-by-layer one is built anew.

    `architecture` as JSON, `image_size` it is built for, `kept_size` of the images it is given.
    Raises SpeedError.
    """
    asked = {
        "folder": str(folder.resolve()),
        "architecture": architecture,
        "image_size": image_size,
        "kept_size": kept_size,
        "seconds": seconds,
    }
    path = os.pathsep.join(filter(None, sys.path))
    done = _run([sys.executable, "-W", "ignore", "-m", "trainers.speed"], asked, path)
    try:
        told = json.loads(done.splitlines()[-1])
        told["speeds"] = tuple(Speed(**each) for each in told["speeds"])
        told["rounds"] = tuple((batch, rounds) for batch, rounds in told["rounds"])
        return Speeds(**told)
    except (IndexError, ValueError, TypeError, KeyError) as error:
        raise SpeedError(f"no measurement came back: {error}") from error


def _run(words: list[str], asked: Mapping[str, Any], path: str) -> str:
    try:
        done = subprocess.run(
            words,
            input=json.dumps(asked),
            env=os.environ | worker_environment() | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SpeedError(f"it took more than {LONGEST_S} seconds") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        raise SpeedError(f"the process ended with {done.returncode}: {one_line(last, 200)}")
    return done.stdout


def main() -> int:
    """The process that measures; the exit code."""
    asked = json.load(sys.stdin)
    print(json.dumps(asdict(_measured(asked))), flush=True)  # noqa: T201
    return 0


def _measured(asked: Mapping[str, Any]) -> Speeds:
    from trainers.latency import WARM_UP_SHARE, timed_rounds, undisturbed  # noqa: PLC0415
    from trainers.quiet import Quiet  # noqa: PLC0415

    forms = _forms(asked)
    speeds: list[Speed] = []
    rounds = []
    quiet = Quiet()
    with quiet.measuring() as alone, undisturbed():
        for batch in BATCHES:
            passes = [_pass(answers, batch, asked["kept_size"]) for answers in forms.values()]
            timed_rounds(passes, time.process_time, WARM_UP_SHARE * asked["seconds"], 2)
            times = timed_rounds(passes, time.process_time, asked["seconds"], ROUNDS)
            speeds += [_speed(form, batch, times[:, n]) for n, form in enumerate(forms)]
            rounds.append((batch, len(times)))
    quiet.close()
    return Speeds(tuple(speeds), tuple(rounds), alone, "process")


def _forms(asked: Mapping[str, Any]) -> dict[str, Callable[[Any], Any]]:
    import paddle  # noqa: PLC0415

    from models.architecture import Architecture  # noqa: PLC0415
    from models.build import build  # noqa: PLC0415
    from models.weights import load_weights  # noqa: PLC0415
    from trainers import exported  # noqa: PLC0415
    from trainers.engine import open_exported  # noqa: PLC0415
    from trainers.onnx_model import open_onnx  # noqa: PLC0415

    paddle.set_device("cpu")
    folder = Path(asked["folder"])
    architecture = Architecture.from_json(asked["architecture"])
    network = build(architecture, asked["image_size"], seed=0)
    load_weights(network, folder / exported.WEIGHTS)
    whole = exported.whole_network(network, asked["kept_size"])
    forms = {exported.EAGER: exported.answers_of(whole)}
    forms[exported.INFERENCE] = open_exported(folder / exported.MODEL)
    if (folder / exported.ONNX_FILE).is_file():
        forms[exported.ONNX] = open_onnx(folder / exported.ONNX_FILE)
    return forms


def _pass(answers: Callable[[Any], Any], batch: int, side: int) -> Callable[[], None]:
    import numpy as np  # noqa: PLC0415

    images = np.random.default_rng(0).normal(size=(batch, 3, side, side)).astype(np.float32)

    def run() -> None:
        answers(images)

    return run


def _speed(form: str, batch: int, seconds: Any) -> Speed:
    import numpy as np  # noqa: PLC0415

    p90 = float(np.percentile(seconds, 90))
    return Speed(form, batch, 1000 * float(np.median(seconds)), 1000 * p90)


if __name__ == "__main__":
    sys.exit(main())
