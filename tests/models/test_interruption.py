"""Real signals to a real process: put off while shielded, and the exit code tells which came."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from models.interruption import Interrupted, Interruption

PROGRAM = """
import signal, sys, time
from models.interruption import Interrupted, Interruption

interruption = Interruption()
interruption.install()
try:
    {body}
except Interrupted as interrupted:
    print("interrupted", flush=True)
    sys.exit(interrupted.exit_code)
"""
IDLE = 'print("ready", flush=True); time.sleep(30)'
SHIELDED = """
    with interruption.shield():
        with interruption.shield():
            print("ready", flush=True)
            sys.stdin.readline()
        print("inner done", flush=True)
    print("never", flush=True)
"""
STUCK = """
    with interruption.shield():
        print("ready", flush=True)
        time.sleep(30)
"""
SWALLOWED = """
    try:
        print("ready", flush=True)
        time.sleep(30)
    except BaseException:
        print("swallowed", flush=True)
    with interruption.shield():
        print("never", flush=True)
"""
LIBRARY = """
    with interruption.library():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        print("ready", flush=True)
        time.sleep(0.5)
        print("imported", flush=True)
    time.sleep(30)
"""
Start = Callable[[str], subprocess.Popen[str]]
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program with this body and waits until it is ready."""
    processes = []

    def start_body(body: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        code = PROGRAM.format(body=body)
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)  # it has left `print`, where Python may lose what a handler raises
        return process

    yield start_body
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_ends_the_program(start: Start, number: int, code: int) -> None:
    process = start(IDLE)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == code
    assert out == "interrupted\n"
    assert "again to stop at once" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_shield_puts_it_off(start: Start, number: int, code: int) -> None:
    process = start(SHIELDED)
    process.send_signal(number)
    time.sleep(0.2)
    assert process.poll() is None
    out, _ = process.communicate("go on\n", timeout=10)
    assert out == "inner done\ninterrupted\n"
    assert process.returncode == code


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_the_second_signal_ends_it_at_once(start: Start, number: int, code: int) -> None:
    process = start(STUCK)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(number)
    process.communicate(timeout=5)
    assert process.returncode == code


def test_a_signal_that_a_library_swallowed_is_raised_again(start: Start) -> None:
    process = start(SWALLOWED)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert out == "swallowed\ninterrupted\n"
    assert process.returncode == 130


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_library_that_takes_signals_does_not_get_them(
    start: Start, number: int, code: int
) -> None:
    """Paddle would end the process with a traceback of its own, Ray with another exit code."""
    process = start(LIBRARY)
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert out == "imported\ninterrupted\n"
    assert process.returncode == code


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_that_cannot_be_answered_ends_it_all_the_same(
    start: Start, number: int, code: int
) -> None:
    process = start('print("ready", flush=True); time.sleep(30)')
    assert process.stderr is not None
    process.stderr.close()
    process.send_signal(number)
    assert process.wait(timeout=10) == code


def test_a_terminal_that_goes_ends_it_but_not_below_nohup() -> None:
    for before, code, said in (("", 129, "interrupted"), ("trap '' HUP; ", 0, "went on")):
        body = 'print("ready", flush=True); sys.stdin.readline(); print("went on")'
        process = subprocess.Popen(
            ["sh", "-c", f'{before}exec "$0" -c "$1"', sys.executable, PROGRAM.format(body=body)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        out, _ = process.communicate("go on\n", timeout=10)
        assert (process.returncode, out.strip()) == (code, said)


def test_without_a_signal_nothing_is_raised() -> None:
    interruption = Interruption()
    interruption.check()
    with interruption.shield():
        interruption.check()


def test_an_error_inside_a_shield_is_raised() -> None:
    interruption = Interruption()
    with pytest.raises(ValueError, match="mine"), interruption.shield():
        raise ValueError("mine")
    interruption.check()


def test_interrupted_is_no_exception_that_handlers_catch() -> None:
    assert not issubclass(Interrupted, Exception)
    assert str(Interrupted(signal.SIGTERM)) == "SIGTERM"
