"""What every benchmark says of the machine it ran on, and how it starts its processes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trainers.environment import MKL_PATH, describe_machine, worker_environment

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0))

Environment = Mapping[str, str | None]

PLAIN: Environment = {
    "OMP_NUM_THREADS": None,
    "MKL_NUM_THREADS": None,
    "OPENBLAS_NUM_THREADS": None,
    MKL_PATH: None,
}
"""The environment of a script that sets nothing: what the caller's shell sets is taken away."""


def describe() -> str:
    """The machine and the versions in one line."""
    return ", ".join(f"{key} {value}" for key, value in describe_machine().items())


def resident_mb() -> float:
    """Memory of this process that is in RAM, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


def run_child(script: Path, task: object, environment: Environment | None = None) -> Any:
    """Runs `script --child TASK` in a process of its own; the JSON it prints as its last line.

    `environment` is added to this process's, a None takes the variable away; without one it is a
    worker's. The child imports this checkout, whichever else is installed. Raises
    CalledProcessError where the child fails, its last lines on the terminal.
    """
    wanted = worker_environment() if environment is None else environment
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    merged = {**os.environ, **wanted, "PYTHONPATH": path}
    command = [sys.executable, "-W", "ignore", str(script), "--child", json.dumps(task)]
    done = subprocess.run(
        command,
        env={key: value for key, value in merged.items() if value is not None},
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def side_by_side(
    script: Path, tasks: Sequence[object], environment: Environment | None = None
) -> list[Any]:
    """The answers of children to `tasks`, in their order, a process for each core at a time."""
    with ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(lambda task: run_child(script, task, environment), tasks))
