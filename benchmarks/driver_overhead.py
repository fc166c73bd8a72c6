"""What the search itself costs: trials that answer at once, through driver, ledger and Ray.

This project (driver, SQLite ledger, proposer, Ray runner) against plain Ray Tune with its defaults
and `OptunaSearch`, in turn. A trial answers when it is built, with its latency and after every
epoch, on both sides (this program gives some up early); nothing is built or trained. Then the
driver alone, without Ray, taken apart.
"""

import argparse
import functools
import hashlib
import json
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import CORES, PLAIN, describe, resident_mb, run_child

if TYPE_CHECKING:
    import optuna

    from search.driver import Driver
    from search.space import Space
    from trainers.messages import Answer, Task

SPACE = Path(__file__).resolve().parents[1] / "spaces/quickstart.yaml"
TARGET_MS = 100


class Diary:
    """When each trial ended, in seconds since the diary was begun, and the driver's memory then."""

    def __init__(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        self.seconds: list[float] = []
        self.memory_mb: list[float] = []

    def trial_ended(self, *_: object) -> None:
        """A trial ended."""
        self.seconds.append(time.perf_counter() - self._began)
        self.memory_mb.append(resident_mb())

    def told(self) -> dict[str, Any]:
        """All of it, with the time until now, in which everything was taken down again."""
        return {
            "seconds": self.seconds,
            "memory_mb": self.memory_mb,
            "cpu_s": time.process_time() - self._cpu_began,
            "all_s": time.perf_counter() - self._began,
        }


def chance(text: str) -> float:
    """A number from 0 to 1 that depends on the first digits of a hexadecimal number."""
    return int(text[:8], 16) / 16**8


def instant(task: "Task") -> Generator["Answer", None, None]:
    """Answers as a worker gives them, at once: a curve that depends on the architecture alone."""
    from benchmarks.made_latencies import made_latency
    from trainers.messages import Built, EpochResult, Measured, Worker

    identity = task.architecture.architecture_id
    latency_ms = 1 + chance(identity[4:])
    worker = Worker("host", 1, "processor", "cpu", 1, "3.3.1", None)
    yield Built(worker)
    latency = made_latency(latency_ms)
    if task.measure_first:
        yield Measured(latency)
    for epoch in range(1, task.training.epochs + 1):
        accuracy = chance(identity) * (1 - 0.5**epoch)
        yield EpochResult(epoch, accuracy, 1.0, 1.0, 2.0, 0.5, 100.0)
    if not task.measure_first:
        yield Measured(latency)


@functools.cache
def a_space(trials: int) -> "Space":
    """The quickstart's space, for so many trials."""
    from search.space import load_space

    given = [f"search.trials={trials}", "search.timeout_minutes=600", "finalists.count=0"]
    return load_space(SPACE, [*given, "search.sampler=tpe"])  # as Ray's OptunaSearch has it


def a_driver(space: "Space", folder: str, diary: Diary) -> "Driver":
    """A driver of an empty study in SQLite."""
    from search.dashboard.entries import Entries
    from search.driver import Driver
    from search.events import Several, Silent
    from search.ledger import Ledger

    class Watcher(Silent):
        def trial_ended(self, trial: object) -> None:
            diary.trial_ended(trial)

    ledger = Ledger.open(Path(folder), space.objective_names, space.file.fingerprint)
    return Driver(space, ledger, Path("images"), Several(Watcher(), Entries(ledger)))


def ours(trials: int) -> dict[str, Any]:
    """The real runner, with workers that answer at once."""
    from models.interruption import Interruption
    from search import runner

    class InstantTrainable(runner.CandidateTrainable):
        def setup(self, config: dict[str, Any]) -> None:
            self._answers = instant(config["task"])

    runner.CandidateTrainable = InstantTrainable  # type: ignore[misc]
    space = a_space(trials)
    with tempfile.TemporaryDirectory(prefix="study-") as folder:
        diary = Diary()
        driver = a_driver(space, folder, diary)
        runner.run(driver, space.file.search, Interruption(), Path(folder))
        return diary.told()


def suggest(trial: "optuna.Trial") -> None:
    """The quickstart's space for `OptunaSearch`, which pickles this function again and again."""
    from search.candidates import choose

    choose(a_space(1), trial)


def plain(trials: int) -> dict[str, Any]:
    """Ray Tune and its `OptunaSearch` as their documentation has them: no other settings."""
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    diary, answers = Diary(), a_space(trials).file.training.epochs + 2
    metrics = ["val_accuracy", "params", "latency_ms"]

    def train(config: dict[str, Any]) -> None:
        identity = hashlib.sha256(str(sorted(config.items())).encode()).hexdigest()
        costs = {"params": 1e5 * chance(identity[8:]), "latency_ms": 1 + chance(identity[4:])}
        for step in range(answers):
            tune.report({"val_accuracy": chance(identity) * (1 - 0.5**step), **costs})

    class Ended(tune.Callback):
        def on_trial_complete(self, *_: object, **__: object) -> None:
            diary.trial_ended()

    with tempfile.TemporaryDirectory(prefix="ray-plain-") as folder:
        sampler = OptunaSearch(suggest, metric=metrics, mode=["max", "min", "min"])
        tune.Tuner(
            train,
            tune_config=tune.TuneConfig(search_alg=sampler, num_samples=trials),
            run_config=tune.RunConfig(storage_path=folder, callbacks=[Ended()], verbose=0),
        ).fit()
        return diary.told()


def taken_apart(trials: int) -> dict[str, Any]:
    """The driver in a loop without Ray: seconds of every trial by part."""
    space = a_space(trials)
    parts: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="study-") as folder:
        driver = a_driver(space, folder, Diary())
        watch = Stopwatch()
        watch.time(driver._proposer, "proposer: propose", ["propose"])
        watch.time(driver._latencies, "latency model", ["predict", "measured"])
        watch.time(driver._ledger, "ledger: write", _WRITES)
        watch.time(driver._ledger, "ledger: read", ["trial", "trials", "frozen"])
        watch.time(driver._watcher, "notes and figures", ["trial_advanced", "trial_ended"])
        while _one_more(driver):
            for part, seconds in watch.lap().items():
                parts.setdefault(part, []).append(seconds)
    return parts


_WRITES = [
    "begin",
    "restart",
    "built",
    "measured",
    "epoch",
    "complete",
    "stop",
    "infeasible",
    "fail",
]


def _one_more(driver: "Driver") -> bool:
    """Passes one trial through; with two at a time, the sampler sees one that is running."""
    from search.tasks import Assignment

    given = driver.next_task()
    if not isinstance(given, Assignment):
        return False
    answers = deque(instant(given.task))
    while answers and driver.answered(given.number, answers.popleft()):
        pass
    return True


class Stopwatch:
    """Seconds spent in methods of some objects; what one calls of another is the inner one's."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = time.perf_counter()
        self._names: list[str] = []

    def time(self, owner: object, name: str, methods: Sequence[str]) -> None:
        """Counts the time in `methods` of `owner` as `name`'s."""
        self._names.append(name)
        for method in methods:
            setattr(owner, method, self._timed(name, getattr(owner, method)))

    def lap(self) -> dict[str, float]:
        """Seconds by name since the last lap; `driver` is all else."""
        self._switch()
        spent, self._spent = self._spent, defaultdict(float)
        return {name: spent[name] for name in (*self._names, "driver")}

    def _switch(self) -> None:
        now = time.perf_counter()
        self._spent[self._running[-1] if self._running else "driver"] += now - self._since
        self._since = now

    def _timed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*args: Any, **more: Any) -> Any:
            self._switch()
            self._running.append(name)
            try:
                return method(*args, **more)
            finally:
                self._switch()
                self._running.pop()

        return timed


SIDES: dict[str, Callable[[int], dict[str, Any]]] = {
    "ours": ours,
    "plain": plain,
    "taken apart": taken_apart,
}


def steady_ms(told: dict[str, Any]) -> float:
    """Milliseconds a trial from the first trial's end to the last's: starting Ray left out."""
    seconds = told["seconds"]
    return 1000 * float(seconds[-1] - seconds[0]) / (len(seconds) - 1)


def all_ms(told: dict[str, Any]) -> float:
    """Milliseconds a trial with everything: Ray started and stopped."""
    return 1000 * float(told["all_s"]) / len(told["seconds"])


def _show(name: str, told: dict[str, Any]) -> None:
    memory, seconds = told["memory_mb"], told["seconds"]
    count = len(seconds)
    tenth = max(2, count // 10)
    first, last = seconds[tenth - 1] - seconds[0], seconds[-1] - seconds[-tenth]
    ends = " → ".join(f"{1000 * part / (tenth - 1):.0f}" for part in (first, last))
    cpu_ms = 1000 * told["cpu_s"] / count
    print(
        f"{name:16} {count:6} {steady_ms(told):9.1f} {all_ms(told):10.1f} {ends:>13}   "
        f"{cpu_ms:10.1f}   {memory[0]:.0f}, {memory[count // 2]:.0f}, {memory[-1]:.0f}",
        flush=True,
    )


def _show_parts(parts: dict[str, list[float]]) -> None:
    count = len(parts["driver"])
    tenth = max(1, count // 10)
    print(
        f"\nthe driver alone, {count} trials without Ray: ms a trial, and of the first, last tenth"
    )
    sums = [sum(values) for values in zip(*parts.values(), strict=True)]
    for name, values in [*parts.items(), ("all", sums)]:
        mean, first, last = (
            1000 * sum(some) / len(some) for some in (values, values[:tenth], values[-tenth:])
        )
        print(f"{name:26} {mean:7.1f} {first:7.1f} {last:7.1f}")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="200 trials, 15 of plain Ray Tune")
    parser.add_argument("--trials", type=int, default=1000, help="of this project")
    parser.add_argument("--plain-trials", type=int, default=50, help="of plain Ray Tune")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    """Runs both sides in turn and the driver alone; the ratio last."""
    given = parse_arguments()
    if given.child:
        side, trials = json.loads(given.child)
        print(f"\n{json.dumps(SIDES[side](trials))}")
        return
    if given.quick:
        given.trials, given.plain_trials = 200, 15
    print(describe())
    print(
        f"instant trials of {SPACE.name}: 6 answers each at most, {CORES} at a time, "
        f"{given.rounds} rounds"
    )
    print("side             trials  ms/trial  and start  first → last   driver CPU   MB of memory")
    script, found = Path(__file__), defaultdict(list)
    for _ in range(given.rounds):
        for side, trials, environment in (
            ("plain", given.plain_trials, PLAIN),
            ("ours", given.trials, {}),
        ):
            told = run_child(script, [side, trials], environment)
            _show(side, told)
            found[side].append(told)
    _show_parts(run_child(script, ["taken apart", given.trials], {}))
    ms = {side: sum(map(steady_ms, tolds)) / len(tolds) for side, tolds in found.items()}
    verdict = "met" if ms["ours"] <= TARGET_MS else "missed"
    print(
        f"ratio: {ms['plain'] / ms['ours']:.2f} (plain Ray Tune {ms['plain']:.0f} ms/trial ÷ this "
        f"project {ms['ours']:.1f} ms/trial; target {TARGET_MS} ms {verdict})"
    )


if __name__ == "__main__":
    main()
