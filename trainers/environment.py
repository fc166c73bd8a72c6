"""What a worker's process needs in its environment before Paddle is imported, and what it got."""

import os
import platform
from pathlib import Path

import numpy as np
import paddle

from trainers.config import ResolvedPrecision
from trainers.messages import Worker

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


def describe_worker(precision: ResolvedPrecision = "float32") -> Worker:
    """This process as a worker that trains with such numbers."""
    return Worker(
        host=platform.node(),
        process=os.getpid(),
        processor=processor_name(),
        device=paddle.get_device(),
        threads=int(os.environ.get("OMP_NUM_THREADS", "0")),
        paddle=paddle.__version__,
        mkl_debug_cpu_type=os.environ.get(MKL_PATH),
        precision=precision,
    )


def describe_machine() -> dict[str, str | int]:
    """The driver's machine and the versions results depend on."""
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "paddle": paddle.__version__,
        "numpy": np.__version__,
    }
