"""What a process that trains runs on: its machine, and what it was given (`trainers.processor`)."""

import os
import platform

import numpy as np
import paddle

from trainers.config import ResolvedPrecision
from trainers.messages import Worker
from trainers.processor import MKL_PATH, processor_name, worker_environment

__all__ = [
    "MKL_PATH", "describe_machine", "describe_worker", "processor_name", "worker_environment",
]  # fmt: skip


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
