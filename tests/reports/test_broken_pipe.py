"""Nobody who reads: `… | head`, a full disk, a closed stream; none of them ends a command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from models.command import leave, speak_to_nobody
speak_to_nobody()
from rich.console import Console
from reports.plain_view import write_line
print("read", flush=True)
sys.stdin.readline()
for stream in (sys.stdout, sys.stderr):
    print("nobody reads this", file=stream)
    write_line(stream, "nor this: é")
    Console(file=stream).print("nor [bold]this[/bold]")
    stream.flush()
leave(7)
"""


def test_a_reader_that_goes_away_is_no_error() -> None:
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    assert process.stdin and process.stdout and process.stderr
    assert process.stdout.readline() == "read\n"
    process.stdout.close()
    process.stderr.close()
    process.stdin.write("go on\n")
    process.stdin.close()
    assert process.wait(timeout=30) == 7


@pytest.mark.parametrize("redirected", [">/dev/full 2>&1", ">&- 2>&-", ">/dev/null 2>/dev/full"])
def test_output_that_goes_nowhere_is_no_error(redirected: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {redirected}', sys.executable, PROGRAM]
    done = subprocess.run(command, cwd=ROOT, input=b"go on\n", check=False, timeout=30)
    assert done.returncode == 7


def test_what_is_read_comes_whole_and_in_order() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT, input="go on\n", capture_output=True, text=True, check=False, timeout=30,
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict"},
    )  # fmt: skip
    assert done.returncode == 7
    assert done.stdout == "read\nnobody reads this\nnor this: ?\nnor this\n"
    assert done.stderr == done.stdout.removeprefix("read\n")
