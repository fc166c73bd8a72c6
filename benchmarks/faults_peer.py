"""Faults tried on this program and on plain Ray Tune with `OptunaSearch`, side by side.

Real processes, real signals, real file systems; both sides do 5 trials of 8 epochs of about 0.3 s,
two at a time, and are asked the same questions afterwards (`fault_checks.py`). Prints a Markdown
table of what was seen. Faults of file systems need root, to mount one.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import fault_checks as checks
from benchmarks import faulty_epochs
from benchmarks.fault_checks import Epoch, Row
from benchmarks.fault_processes import Program
from benchmarks.fault_scenarios import DISK_MB, FAULTS, Fault, Scene, midway
from benchmarks.fault_sides import TRIALS, Ours, Peer, Side
from benchmarks.machine import ROOT, describe

STRUCK_BY_S = 240.0  # so long a search may take until it is where faults strike
CONTROL = "nothing"
NEVER = "the fault never struck"  # the row says nothing then


@dataclass
class Seen:
    """What was seen of one fault on one side. `before`: the study when the first run had ended."""

    codes: list[int | None] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    before: list[Row] | None = None
    after: list[Row] | None = None
    epochs: list[Epoch] = field(default_factory=list)
    epochs_after: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def cell(self) -> str:
        """For the table."""
        codes = ", then ".join("none" if code is None else str(code) for code in self.codes)
        return f"exit {codes}: {'; '.join(self.findings)}" if self.findings else f"holds ({codes})"


class Attempt:
    """One fault on one side, in a folder of its own."""

    def __init__(self, fault: Fault, side: Side, folder: Path, extra: contextlib.ExitStack) -> None:
        self._fault, self._side, self._folder = fault, side, folder
        diary = folder / "diary"
        for made in (diary, folder / "site", folder / "t", folder / "r", folder / "place"):
            made.mkdir()
        (folder / "site/sitecustomize.py").write_text(faulty_epochs.SITE, encoding="utf-8")
        place = folder / "place"
        self._scene = Scene(side, place, diary, self._start, fault.epochs, extra)
        self._kind = fault.kind
        self._seen = Seen()
        self._outputs = self._scene.outputs

    def run(self) -> Seen:
        """Starts, strikes, starts again, asks."""
        began = time.perf_counter()
        seen, fault, scene = self._seen, self._fault, self._scene
        self._once(fault.exits, fault.strike)
        if self._is_run_again():
            struck = scene.epochs()
            if fault.repair is not None:
                fault.repair(scene)
            seen.before = (self._rows() if fault.studied else None) or []
            self._kind = ""
            checksum = self._checksum()
            self._once(fault.exits_again, None)
            seen.epochs_after = scene.epochs()[len(struck) :]
            if not fault.studied and checksum != self._checksum():
                seen.findings.append("the damaged database was written to")
        seen.epochs = scene.epochs()
        if fault.kind and not any(scene.diary.glob(faulty_epochs.STRUCK)):
            seen.findings.append(NEVER)
        seen.findings += scene.findings
        scene.extra.close()
        if fault.studied:
            seen.after = self._rows()
            self._judge()
        seen.findings += checks.raw_traces("\n".join(self._outputs))
        if any("defect of the program" in output for output in self._outputs):
            seen.findings.append("calls itself defective")
        seen.seconds = time.perf_counter() - began
        return seen

    def _is_run_again(self) -> bool:
        rerun = self._fault.rerun
        return rerun == "always" or (rerun == "if it failed" and self._seen.codes[-1] != 0)

    def _once(self, wanted: int | None, strike: Callable[[Scene], None] | None) -> None:
        """One start of the program until its end, and whatever is left of it then."""
        seen, which = self._seen, "" if not self._seen.codes else ", when run again"
        with self._start(f"run{len(seen.codes)}") as program:
            self._scene.pid = program.pid
            if strike is not None:
                self._strike(program, strike)
            code = self._until_end(program)
            seen.codes.append(code)
            self._outputs.append(program.output)
            if code is None:
                seen.findings.append(f"hung for {self._fault.limit_s:g} s, killed{which}")
                return
            left = [*self._scene.left, *program.left()]
            self._scene.left.clear()
        if wanted is not None and not self._side.right_exit(wanted, code):
            should = wanted if isinstance(self._side, Ours) or wanted == 0 else "another than 0"
            seen.findings.append(f"exit code {code} should be {should}{which}")
        if left:
            names = ", ".join(sorted(set(left)))
            seen.findings.append(f"{len(left)} processes ({names}) left after 10 s{which}")

    def _until_end(self, program: Program) -> int | None:
        """The exit code; None where no epoch comes any more for as long as that may take."""
        size, since, log = -1, time.monotonic(), self._scene.diary / faulty_epochs.LOG
        while program.running:
            before, size = size, log.stat().st_size if log.exists() else 0
            since = since if size == before else time.monotonic()
            if time.monotonic() - since > self._fault.limit_s:
                return None
            time.sleep(0.1)
        return program.wait(0)

    def _strike(self, program: Program, strike: Callable[[Scene], None]) -> None:
        deadline = time.monotonic() + STRUCK_BY_S
        while program.running and time.monotonic() < deadline:
            if midway(self._scene.epochs(), self._fault.finished, self._fault.epochs):
                strike(self._scene)
                return
            time.sleep(0.05)
        self._seen.findings.append(NEVER)

    def _start(self, name: str) -> Program:
        folder = self._folder
        path = os.pathsep.join(map(str, (folder / "site", ROOT)))
        environment = os.environ | {
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(folder / "t"),
            "RAY_TMPDIR": str(folder / "r"),
            faulty_epochs.FOLDER: str(self._scene.diary),
            faulty_epochs.FAULT: self._kind,
            faulty_epochs.EPOCHS: str(self._fault.epochs),
        }
        command = self._side.command(self._scene.place, self._fault.epochs)
        return Program(command, environment, folder / f"{name}.log")

    def _rows(self) -> list[Row] | None:
        try:
            return self._side.rows(self._scene.place)
        except Exception as error:  # whatever is wrong with a study is what is looked for
            self._seen.findings.append(f"the study cannot be read ({type(error).__name__})")
            return None

    def _checksum(self) -> str:
        path = self._side.database(self._scene.place)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

    def _judge(self) -> None:
        seen, fault = self._seen, self._fault
        if seen.after is None:
            return
        if seen.before is not None:
            seen.findings += [
                *checks.lost(seen.before, seen.after),
                *checks.run_again(seen.before, seen.epochs_after),
            ]
        true = self._side.true_values(row.key for row in seen.after) if fault.exact else {}
        seen.findings += [
            *checks.repeated(seen.before or (), seen.epochs, fault.repeatable),
            *checks.zombies(seen.after),
            *checks.duplicates(seen.after),
            *checks.wrong_number(seen.after, TRIALS),
            *checks.too_few_complete(seen.after, fault.complete),
            *checks.not_numbers(seen.after),
            *checks.without_reason(seen.after),
            *checks.other_values(seen.after, true),
        ]


def attempt(fault: Fault, side: Side, keep: Path | None) -> Seen:
    """What comes of one fault on one side; nothing of it is left but `keep`, a copy of the logs."""
    with contextlib.ExitStack() as extra:  # closed in turn: programs, file system, folder
        temporary = tempfile.TemporaryDirectory(prefix="fp-", ignore_cleanup_errors=True)
        folder = Path(extra.enter_context(temporary))
        inner = contextlib.ExitStack()
        tried = Attempt(fault, side, folder, inner)
        if fault.disk:
            extra.enter_context(_disk(folder / "place", fault.disk))
        extra.enter_context(inner)
        seen = tried.run()
        if keep is not None:
            _keep_logs(folder, keep / f"{fault.name}-{type(side).__name__.lower()}")
    return seen


def _keep_logs(folder: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for log in [*folder.glob("*.log"), *folder.glob("diary/*.log")]:
        shutil.copy(log, to)


@contextlib.contextmanager
def _disk(place: Path, kind: str) -> Iterator[None]:
    """A small file system in memory. As root, permissions alone forbid nothing."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)], check=True
    )
    try:
        if kind == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def compare(faults: Sequence[Fault], sides: Sequence[Side], keep: Path | None) -> list[str]:
    """The table's lines; what is seen is said at once as well."""
    lines = [f"| fault | {' | '.join(side.name for side in sides)} |", "|---" * 3 + "|"]
    for fault in faults:
        if fault.disk and os.geteuid() != 0:
            print(f"{fault.name}: left out, only root can mount a file system", flush=True)
            continue
        cells = []
        for side in sides:
            seen = attempt(fault, side, keep)
            if fault.name == CONTROL and isinstance(side, Ours):
                side.reference = {r.key: r.value for r in seen.after or () if r.value is not None}
            print(f"{fault.name}, {side.name} ({seen.seconds:.0f} s): {seen.cell}", flush=True)
            cells.append(seen.cell)
        lines.append(f"| {fault.title} | {' | '.join(cells)} |")
    return lines


def _chosen(given: argparse.Namespace) -> list[Fault]:
    """What is asked for; where values are compared, the search without a fault goes before."""
    if given.only:
        names = set(given.only)
        exact = any(fault.exact for fault in FAULTS if fault.name in names)
        return [f for f in FAULTS if f.name in names or (exact and f.name == CONTROL)]
    return [fault for fault in FAULTS if fault.quick or not given.quick]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--quick", action="store_true", help="three faults, under 3 minutes")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, help="write the table there as well")
    parser.add_argument("--keep", type=Path, help="keep what the programs wrote in this folder")
    return parser.parse_args(arguments)


def main() -> None:
    """Tries all faults on both sides, one after another."""
    given = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing is left behind then either
    print(describe(), flush=True)
    lines = compare(_chosen(given), (Peer(), Ours()), given.keep)
    table = "\n".join(lines)
    print(f"\n{table}")
    if given.out is not None:
        given.out.write_text(f"{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
