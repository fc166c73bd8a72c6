"""Kills a search at random moments until it is complete, and compares it with one left in peace.

make soak MINUTES=30

Round after round, each with a seed of its own: one search runs undisturbed, and beside it the same
search is struck again and again, and started again with the same command. It gets `kill -9` of the
driver, of its worker, of all its processes at once, Ctrl-C, SIGTERM, and bits of its newest
checkpoint are flipped. With one worker a search depends on nothing but its space and its seed, so
both must hold the same trials to the last bit of every accuracy. What may differ are times: the
seconds of epochs, latencies (they are no objective here, so nothing is decided by them), and which
process trained.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import describe
from models.errors import ProgramError
from search.ledger import Ledger
from search.orphans import abandoned, descendants, living
from search.trial import State, Trial

WORKER = b"ray::"  # how Ray calls the processes that train
STRIKES = {"driver": 8, "worker": 5, "everything": 3, "SIGINT": 2, "SIGTERM": 2}
EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "driver": -9, "everything": -9}
LONGEST_S = 45.0  # between two strikes
END_S = 60.0  # in which a search must end after a signal
ORPHAN_S = 10.0
FLIPPED = 0.25  # share of the strikes after which a bit of a checkpoint is flipped
TIMES = {"train_seconds", "validation_seconds", "images_per_second"}


@dataclass
class Record:
    """What happened in all rounds."""

    strikes: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    rounds: int = 0
    trials: int = 0
    epochs: int = 0
    trained_again: int = 0
    faults: list[str] = field(default_factory=list)


def substance(trial: Trial) -> dict[str, Any]:
    """What of a trial depends on nothing but the space and the seed."""
    curve = [
        {key: value for key, value in asdict(epoch).items() if key not in TIMES}
        for epoch in trial.curve
    ]
    return {
        "state": trial.state.value,
        "role": trial.role.value,
        "architecture": trial.architecture.to_json(),
        "params": trial.params,
        "macs": trial.macs,
        "epochs": trial.epochs,
        "micro_batches": trial.micro_batches,
        "reason": trial.reason,
        "curve": curve,
    }


def differences(expected: Sequence[Trial], found: Sequence[Trial]) -> list[str]:
    """Where two studies differ in substance, a line each."""
    lines = []
    if len(expected) != len(found):
        lines.append(f"{len(found)} trials instead of {len(expected)}")
    for one, other in zip(expected, found, strict=False):
        before, after = substance(one), substance(other)
        lines += [
            f"trial {other.number}: {key} is {after[key]!r}, not {before[key]!r}"
            for key in before
            if before[key] != after[key]
        ]
    return lines


def losses(before: Sequence[Trial], after: Sequence[Trial], may_miss: int) -> list[str]:
    """What a study held and holds no more; `may_miss`: epochs of a running trial, at its end."""
    lines = []
    for old in before:
        new = after[old.number] if old.number < len(after) else None
        if new is None:
            lines.append(f"trial {old.number} is gone")
        elif old.state is not State.RUNNING:
            if new != old:
                lines.append(f"trial {old.number} had ended and was changed")
        elif new.curve[: (known := max(0, len(old.curve) - may_miss))] != old.curve[:known]:
            lines.append(f"trial {old.number}: epochs were trained again, more than {may_miss}")
    return lines


def flip_a_bit(study: Path, chance: random.Random) -> bool:
    """In the newest checkpoint's weights, if there is one."""
    files = sorted((study / "checkpoints").rglob("*.safetensors"), key=lambda p: p.stat().st_mtime)
    if not files:
        return False
    content = bytearray(files[-1].read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    files[-1].write_bytes(content)
    return True


def command_line(process: int) -> bytes:
    """Of a process; empty where it has just ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def kill(process: int) -> bool:
    """Whether it still lived."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


class Search:
    """One search: the same command again and again."""

    def __init__(self, space: Path, runs: Path, overrides: Sequence[str]) -> None:
        program = [sys.executable, "run_search.py", "--space", str(space), "--runs", str(runs)]
        given = [word for each in overrides for word in ("-o", each)]
        self.command = [*program, "--no-estimate", *given]
        self.folder = runs / space.stem
        self.log = runs.with_suffix(".log")

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it, in a process group of its own, as a shell does."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def trials(self) -> list[Trial]:
        """What the study holds; nothing where there is none yet."""
        try:
            return Ledger.read(self.folder).trials()
        except ProgramError:
            if (self.folder / "study.db").exists():
                raise
            return []


class Soak:
    """Strikes one search until it is complete, or until there is no time left for strikes."""

    def __init__(self, search: Search, chance: random.Random, record: Record) -> None:
        self._search, self._chance, self._record = search, chance, record
        self._struck: set[int] = set()

    def run(self, until: float) -> None:
        """Returns when the study is complete; no strikes come after `until`."""
        while True:
            before = self._search.trials()
            self._struck.clear()
            flipped = self._chance.random() < FLIPPED and flip_a_bit(
                self._search.folder, self._chance
            )
            code = self._run_once(until)
            # The newest record may be of an epoch whose checkpoint was not yet there.
            self._complain(losses(before, self._search.trials(), 2 if flipped else 1))
            if code == 0:
                return
            if code not in EXIT_CODES.values():
                self._complain([f"exit code {code}: see {self._search.log}"])
                return

    def _run_once(self, until: float) -> int:
        self._record.starts += 1
        process = self._search.start()
        try:
            while True:
                code = self._wait(process, until)
                if code is not None:
                    return code
        finally:
            process.kill()

    def _wait(self, process: subprocess.Popen[bytes], until: float) -> int | None:
        """Waits a while and strikes; the exit code if that was the driver's end."""
        left = until - time.monotonic()
        try:
            return process.wait(timeout=self._chance.uniform(1, LONGEST_S) if left > 0 else None)
        except subprocess.TimeoutExpired:
            kind = self._strike(process)
            return None if kind is None else self._ended(process, kind)

    def _strike(self, process: subprocess.Popen[bytes]) -> str | None:
        """Strikes; how the driver was ended, None if it goes on."""
        (kind,) = self._chance.choices([*STRIKES], [*STRIKES.values()])
        below = descendants(process.pid)
        if kind == "worker" and not self._kill_worker(list(below)):
            kind = "driver"
        self._record.strikes[kind] += 1
        if kind == "worker":
            return None
        self._below = below | descendants(process.pid)
        if kind.startswith("SIG"):
            os.killpg(process.pid, getattr(signal, kind))  # the group, as a terminal does
            return kind
        process.kill()
        for each in living(self._below) if kind == "everything" else []:
            kill(each)
        return kind

    def _kill_worker(self, below: list[int]) -> bool:
        """Kills the process that trains; a trial fails if it loses two in one run, so it does not.

        That would be right, and would make its study another one.
        """
        running = [t.number for t in self._search.trials() if t.state is State.RUNNING]
        named = {process: command_line(process) for process in below}
        training = [p for p, n in named.items() if n.startswith(WORKER) and b"Trainable" in n]
        if not training or not running or running[0] in self._struck:
            return False
        self._struck.add(running[0])
        return kill(training[0])

    def _ended(self, process: subprocess.Popen[bytes], kind: str) -> int:
        try:
            code = process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._complain([f"{kind}: the search did not end in {END_S:g} s"])
            process.kill()
            code = process.wait()
        deadline = time.monotonic() + ORPHAN_S
        while living(self._below) and time.monotonic() < deadline:
            time.sleep(0.1)
        if living(self._below):
            self._complain([f"{kind}: processes live on: {living(self._below)}"])
        if code not in {EXIT_CODES[kind], 0}:  # 0: it was complete at that moment
            self._complain([f"{kind}: exit code {code}, not {EXIT_CODES[kind]}"])
        return code

    def _complain(self, faults: Sequence[str]) -> None:
        for fault in faults:
            print(f"FAULT: {fault}", flush=True)
        self._record.faults += faults


def epochs_printed(log: Path) -> list[str]:
    """Which epochs a search said it had trained: `trial 3 epoch 2/4`."""
    lines = log.read_text("utf-8", "replace").splitlines()
    return [" ".join(words[:4]) for line in lines if "epoch" in (words := line.split())]


def run_round(folder: Path, given: argparse.Namespace, seed: int, record: Record) -> None:
    """One seed: both searches, and what the comparison says."""
    overrides = [*given.overrides, f"search.seed={seed}"]
    peace = Search(given.space, folder / f"{seed}-in-peace", overrides)
    struck = Search(given.space, folder / f"{seed}-struck", overrides)
    beside = peace.start()
    try:
        chance = random.Random(seed)  # noqa: S311 - for strikes, not for secrets
        Soak(struck, chance, record).run(given.until)
        code = beside.wait()
    finally:
        beside.kill()
        beside.wait()
    expected, found = peace.trials(), struck.trials()
    faults = differences(expected, found)
    if code:
        faults.append(f"the search left in peace ended with {code}: see {peace.log}")
    left = [*(struck.folder / "checkpoints").glob("*"), *abandoned()]
    faults += [f"{path} is left over" for path in left]
    for fault in faults:
        print(f"FAULT: seed {seed}: {fault}", flush=True)
    record.faults += [f"seed {seed}: {fault}" for fault in faults]
    record.rounds += 1
    record.trials += len(found)
    printed = Counter(epochs_printed(struck.log))
    record.epochs += len(printed)
    record.trained_again += printed.total() - len(printed)
    print(f"seed {seed}: {len(found)} trials, {len(faults)} differences", flush=True)


def main() -> None:
    """Runs rounds until the time is over; exit code 1 if anything was lost or differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--space", type=Path, default=Path("spaces/smoke.yaml"))
    parser.add_argument("-o", dest="overrides", action="append", default=None)
    parser.add_argument("--keep", type=Path, help="a folder for studies and logs; else temporary")
    given = parser.parse_args()
    given.overrides = given.overrides or [
        "search.workers=1",
        "search.trials=10",
        "training.epochs=12",
        "data.train_images=1024",
        "objectives.minimize=[params]",
    ]
    given.until = time.monotonic() + 60 * given.minutes
    print(describe(), flush=True)
    record = Record()
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        folder = (given.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        while time.monotonic() < given.until and not record.faults:
            run_round(folder, given, given.seed + record.rounds, record)
        if record.faults and given.keep is None:
            print("run it again with --keep FOLDER to keep studies and logs")
    print(json.dumps(vars(record), indent=1))
    sys.exit(bool(record.faults))


if __name__ == "__main__":
    main()
