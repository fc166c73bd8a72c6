"""What workers are given before they import Paddle."""

import os
from pathlib import Path

import paddle
import pytest

from trainers import processor
from trainers.environment import (
    MKL_PATH,
    describe_machine,
    describe_worker,
    processor_name,
    worker_environment,
)

AMD = "AMD EPYC 7B13"
INTEL = "Intel(R) Xeon(R) CPU @ 2.20GHz"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MKL_PATH, raising=False)


def test_one_thread_everywhere() -> None:
    for name in (AMD, INTEL):
        given = worker_environment(name)
        assert [given[key] for key in given if key.endswith("_THREADS")] == ["1"] * 3
        assert "OMP_NUM_THREADS" in given


def test_the_fast_path_on_amd_alone() -> None:
    assert worker_environment(AMD)[MKL_PATH] == "5"
    assert MKL_PATH not in worker_environment(INTEL)
    assert MKL_PATH not in worker_environment("Apple M1")


@pytest.mark.parametrize("name", [AMD, INTEL])
@pytest.mark.parametrize("value", ["0", "4", ""])
def test_what_the_user_has_set_stays(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(MKL_PATH, value)
    assert worker_environment(name)[MKL_PATH] == value


@pytest.mark.parametrize(("name", "fast"), [(AMD, True), (INTEL, False)])
def test_without_a_name_this_processor_counts(
    monkeypatch: pytest.MonkeyPatch, name: str, fast: bool
) -> None:
    monkeypatch.setattr(processor, "processor_name", lambda: name)
    assert (MKL_PATH in worker_environment()) == fast


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"processor\t: 0\nmodel name\t: {AMD}\nprocessor\t: 1\nmodel name\t: other\n", AMD),
        ("processor\t: 0\nBogoMIPS\t: 50\n", "aarch64"),
        (None, "a name"),
    ],
)
def test_processor_name(monkeypatch: pytest.MonkeyPatch, text: str | None, name: str) -> None:
    def read(path: Path, encoding: str) -> str:
        if text is None:
            raise FileNotFoundError(path)
        return text

    monkeypatch.setattr(processor.Path, "read_text", read)
    monkeypatch.setattr(processor.platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(processor.platform, "processor", lambda: "a name")
    assert processor_name() == name


def test_this_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv(MKL_PATH, "5")
    paddle.set_device("cpu")
    worker = describe_worker()
    assert (worker.process, worker.device, worker.threads) == (os.getpid(), "cpu", 3)
    assert (worker.mkl_debug_cpu_type, worker.paddle) == ("5", paddle.__version__)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv(MKL_PATH)
    assert (describe_worker().threads, describe_worker().mkl_debug_cpu_type) == (0, None)


def test_this_machine() -> None:
    machine = describe_machine()
    assert machine["cores"] == len(os.sched_getaffinity(0))
    assert machine["paddle"] == paddle.__version__
    assert all(machine.values())
