"""What a program has started ends with it, however it ends."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from search import orphans

PROGRAM = """
    import subprocess, sys, time
    from search.orphans import none_left

    with none_left() as folder:
        (folder / "log").touch()
        # A child, and one in a session of its own whose child renames itself, as Ray's agents do.
        first = subprocess.Popen(["sleep", "71"])
        code = "import subprocess; subprocess.run(['env', '-i', 'sleep', '72'])"
        second = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        time.sleep(2.5)
        print(folder, first.pid, second.pid, flush=True)
        {then}
    print("left", flush=True)
    time.sleep(30)
"""


def start(then: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM).format(then=then)],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def told(program: subprocess.Popen[str]) -> tuple[Path, list[int]]:
    """Its folder, and the processes that it has begun, and theirs."""
    assert program.stdout is not None
    folder, *numbers = program.stdout.readline().split()
    begun = [int(number) for number in numbers]
    (grandchild,) = Path(f"/proc/{begun[1]}/task/{begun[1]}/children").read_text().split()
    return Path(folder), [*begun, int(grandchild)]


def living(processes: list[int]) -> list[int]:
    stats = {process: Path(f"/proc/{process}/stat") for process in processes}
    return [p for p, stat in stats.items() if stat.exists() and ") Z " not in stat.read_text()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("group", [False, True])
def test_killed(number: int, group: bool) -> None:
    other = subprocess.Popen(["sleep", "73"])
    program = start("time.sleep(60)")
    folder, begun = told(program)
    assert living(begun) == begun
    assert folder.stat().st_mode & 0o077 == 0
    (os.killpg if group else os.kill)(program.pid, number)
    program.wait(timeout=10)
    deadline = time.monotonic() + 8
    while (living(begun) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living(begun) == []
    assert not folder.exists()
    assert folder.parent.exists()
    assert other.poll() is None, "what it did not start lives on"
    other.kill()
    other.wait()
    program.stdout.close()


def test_left() -> None:
    """It waits until all have ended, and goes on."""
    program = start("pass")
    folder, begun = told(program)
    assert program.stdout is not None
    assert program.stdout.readline() == "left\n"
    assert living(begun) == []
    assert not folder.exists()
    program.kill()
    program.wait()
    program.stdout.close()


def test_what_was_killed_with_its_guard_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(orphans, "LONGEST_ROOT", 200)  # no sockets are made here
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    others = tmp_path / "search-engine"
    others.mkdir()
    (tmp_path / "search-link").symlink_to(others)
    killed, lives = (start_quick() for _ in range(2))
    (left, orphaned), (used, _) = told(killed), told(lives)
    (guard,) = [p for p in children(killed.pid) if str(left) in command_line(p)]
    for process in (guard, killed.pid, *orphaned):
        os.kill(process, signal.SIGKILL)
    killed.wait()
    deadline = time.monotonic() + 5
    while not (found := list(orphans.abandoned())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == [left]
    with orphans.none_left() as own:
        assert {own, used, others, tmp_path / "search-link"} == set(tmp_path.iterdir())
        assert list(orphans.abandoned()) == []
    lives.kill()
    lives.wait()
    for program in (killed, lives):
        program.stdout.close()


def start_quick() -> subprocess.Popen[str]:
    """In `TMPDIR`, however long its path."""
    longer = "import search.orphans as o; o.LONGEST_ROOT = 200\n"
    return subprocess.Popen(
        [sys.executable, "-c", longer + textwrap.dedent(PROGRAM).format(then="time.sleep(60)")],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


def children(process: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def command_line(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_begun_just_before_the_end(number: int) -> None:
    """Also by a child that has ended itself meanwhile, so that nobody below the program has it."""
    begin = (
        'code = \'import subprocess as s; print(s.Popen(["sleep", "74"]).pid, flush=True)\'\n'
        "    subprocess.run([sys.executable, '-c', code], start_new_session=True)\n"
        "    time.sleep(60)"
    )
    program = start(begin)
    folder, begun = told(program)
    assert program.stdout is not None
    late = int(program.stdout.readline())
    os.kill(program.pid, number)
    program.wait(timeout=10)
    deadline = time.monotonic() + 8
    while (living([*begun, late]) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living([*begun, late]) == []
    assert not folder.exists()
    program.stdout.close()
