"""The processor, and what a process needs in its environment before it imports Paddle."""

import os
import platform
from pathlib import Path

MKL_PATH = "MKL_DEBUG_CPU_TYPE"


def worker_environment(processor: str | None = None) -> dict[str, str]:
    """Environment variables for a worker process; they act only if set before it imports Paddle.

    One thread: trainings side by side use the cores better than threads inside one. On AMD the MKL
    that Paddle brings takes a slow path unless told otherwise by an undocumented variable; what it
    was is recorded in every trial. Set MKL_DEBUG_CPU_TYPE=0 yourself to switch that off.
    """
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    quiet = {"GLOG_minloglevel": "2"}
    mkl = {}
    if MKL_PATH in os.environ:
        mkl = {MKL_PATH: os.environ[MKL_PATH]}
    elif "AMD" in (processor or processor_name()):
        mkl = {MKL_PATH: "5"}
    return threads | quiet | mkl


def processor_name() -> str:
    """The processor's name as the operating system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
