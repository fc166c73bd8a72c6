"""Latency by protocol: a candidate against the plain backbone, in turns, until the ratio is known.

What disturbs a measurement — other programs, the clock of a warm processor — disturbs both about
equally within a round of a few milliseconds, so that their ratio is known far better than either
time. This program's own trainings on the machine wait meanwhile (`trainers.quiet`), and on one
thread of a CPU it is the thread's own time that counts, which stands still while others have the
core.
"""

import contextlib
import ctypes
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn

from models.architecture import Architecture, Backbone
from models.build import build
from trainers.config import LatencyConfig
from trainers.engine import Pass, forward_pass
from trainers.median import median_interval
from trainers.messages import Latency
from trainers.quiet import PATIENCE_S, Quiet

WARM_UP_SHARE = 0.15  # of the seconds a measurement may take
MIN_ROUNDS = 6
ROUNDS_A_LOOK = 8  # after so many the interval is looked at again
PATIENCE = 100  # measurements that one waits for, before it goes on beside trainings

Clock = Callable[[], float]

CLOCKS: dict[Clock, str] = {time.thread_time: "thread", time.process_time: "process"}
Times = npt.NDArray[np.float64]


def measure_latency(
    network: nn.Layer, backbone: Backbone, image_size: int, settings: LatencyConfig, quiet: Quiet
) -> Latency:
    """Times forward passes of `network` and of two plain backbones on the current device.

    A round is one pass of each, always in the same order, so that none is run twice in a row and
    finds its weights in the cache. Both backbones together are the reference, one against the
    other the control. The first `WARM_UP_SHARE` of `settings.seconds` is not counted.
    """
    shape = (settings.batch, 3, image_size, image_size)
    with quiet.training():  # to build and to export disturbs others who measure
        references = _references(backbone, shape, settings.engine)
        passes = (forward_pass(network, shape, settings.engine), *references)
        pass_s = max(_seconds(run, time.perf_counter) for run in passes)
    patience_s = max(PATIENCE_S, PATIENCE * seconds_of_measuring(settings, pass_s))
    clock = _clock(settings.engine)
    with quiet.measuring(patience_s) as alone, undisturbed() as core:
        timed_rounds(passes, clock, WARM_UP_SHARE * settings.seconds, 1)
        left = (1 - WARM_UP_SHARE) * settings.seconds
        times = timed_rounds(passes, clock, left, MIN_ROUNDS, settings.precision)
    ratio, half_width = _ratio(times)
    return Latency(
        ratio=ratio,
        half_width=half_width,
        control=float(np.median(times[:, 1] / times[:, 2])),
        median_ms=1000 * float(np.median(times[:, 0])),
        p90_ms=1000 * float(np.percentile(times[:, 0], 90)),
        reference_ms=1000 * float(np.median(times[:, 1:])),
        rounds=len(times),
        batch=settings.batch,
        image_size=image_size,
        engine=settings.engine,
        clock=CLOCKS.get(clock, "wall"),
        quiet=alone,
        core=core,
    )


def seconds_of_measuring(settings: LatencyConfig, pass_seconds: float) -> float:
    """About how many seconds `measure_latency` takes where a pass takes `pass_seconds`."""
    return max(settings.seconds, 3 * (MIN_ROUNDS + 1) * pass_seconds)


@lru_cache(maxsize=1)
def _references(
    backbone: Backbone, shape: tuple[int, int, int, int], engine: str
) -> tuple[Pass, Pass]:
    """Two plain backbones, kept by a worker from one candidate to the next."""
    plain = Architecture(backbone)
    first, second = (build(plain, shape[-1], seed=0) for _ in range(2))
    return forward_pass(first, shape, engine), forward_pass(second, shape, engine)


def _clock(engine: str) -> Clock:
    """The work's own time, where no two threads work on a pass at the same time.

    Layer by layer it is this thread that works; Paddle Inference hands parts to another one.
    """
    if paddle.get_device() != "cpu" or os.environ.get("OMP_NUM_THREADS") != "1":
        return time.perf_counter
    return time.thread_time if engine == "eager" else time.process_time


def timed_rounds(
    passes: Sequence[Pass],
    clock: Clock,
    seconds: float,
    at_least: int,
    precision: float | None = None,
) -> Times:
    """Seconds of every pass, a row a round, for `seconds` or until `precision` is reached."""
    rows: list[list[float]] = []
    began = time.perf_counter()
    while True:
        rows.append([_seconds(run, clock) for run in passes])
        done = len(rows) >= at_least
        if done and time.perf_counter() - began >= seconds:
            return np.array(rows)
        if done and precision is not None and len(rows) % ROUNDS_A_LOOK == 0:
            times = np.array(rows)
            if _ratio(times)[1] <= precision:
                return times


def _seconds(run: Pass, clock: Clock) -> float:
    start = clock()
    run()
    return clock() - start


def _ratio(times: Times) -> tuple[float, float]:
    """The first column ÷ the mean of the others: median, and half its relative interval."""
    median, low, high = median_interval(list(times[:, 0] / times[:, 1:].mean(axis=1)))
    return median, (high - low) / (2 * median)


@contextmanager
def undisturbed() -> Iterator[int | None]:
    """Keeps this process on the core it is on, without garbage collection; gives that core."""
    allowed = os.sched_getaffinity(0)
    core = _current_core()
    collecting = gc.isenabled()
    gc.disable()
    if core in allowed:
        _pin({core})
    try:
        yield core if core in allowed else None
    finally:
        _pin(allowed)
        if collecting:
            gc.enable()


def _pin(cores: set[int]) -> None:
    """All threads of this process: an engine may have others do its work."""
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - names of threads, not files
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread), cores)


def _current_core() -> int:
    """The scheduler's choice, which is a core where little else runs; −1 where it is not told."""
    try:
        return int(ctypes.CDLL(None).sched_getcpu())
    except (OSError, AttributeError):
        return -1
