"""Real commands in real processes, on real images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainers.data.cache import cache_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def _real_images():
    if not (cache_folder("cifar10") / "train_images.npy").exists():
        pytest.skip("CIFAR-10 is not in the cache; `make data` puts it there")


class Program:
    """`run_search.py` on the smoke space, with studies in a folder of the test's own."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def command(
        self, *arguments: str, space: str = "spaces/smoke.yaml", estimate: bool = False
    ) -> list[str]:
        program = [sys.executable, "run_search.py", "--space", space, "--runs", str(self.runs)]
        return [*program, *([] if estimate else ["--no-estimate"]), *arguments]

    def start(self, *arguments: str, **options) -> subprocess.Popen[str]:
        """Starts the program in a process group of its own, as a shell does."""
        return subprocess.Popen(
            self.command(*arguments, **options),
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"},
        )

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def program(tmp_path) -> Program:
    return Program(tmp_path / "runs")
