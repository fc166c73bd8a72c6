"""Latency: median and 90th percentile of single runs, in the quietest of some blocks."""

import time
from collections.abc import Callable

import numpy as np
import paddle
from paddle import nn

from trainers.messages import Latency
from trainers.quiet import Quiet

WARM_UP_S = 0.3
BLOCKS = 5
MIN_RUNS = 10  # a block
MIN_S = 0.1  # a block
MAX_S = 1.0  # a block


@paddle.no_grad()
def measure_latency(network: nn.Layer, image_size: int, quiet: Quiet, batch: int = 1) -> Latency:
    """Times forward passes of `batch` square images on the current device, in eval mode.

    A block lasts at least `MIN_S` seconds and `MIN_RUNS` runs, but no longer than `MAX_S`; of
    `BLOCKS` blocks the one with the lowest median counts, since what other programs do comes in
    bursts and only ever adds. This program's trainings on the machine wait meanwhile.
    """
    network.eval()
    images = paddle.zeros((batch, 3, image_size, image_size))

    def forward() -> None:
        network(images)
        if paddle.get_device() != "cpu":
            paddle.device.synchronize()

    with quiet.measuring() as alone:
        _run_for(forward, WARM_UP_S, 3, MAX_S)
        blocks = [_run_for(forward, MIN_S, MIN_RUNS, MAX_S) for _ in range(BLOCKS)]
    times_ms = 1000 * np.array(min(blocks, key=np.median))
    return Latency(
        median_ms=float(np.median(times_ms)),
        p90_ms=float(np.percentile(times_ms, 90)),
        runs=len(times_ms),
        batch=batch,
        image_size=image_size,
        quiet=alone,
    )


def _run_for(call: Callable[[], None], min_s: float, min_runs: int, max_s: float) -> list[float]:
    """Seconds of each run, until both minima or the maximum are reached."""
    seconds: list[float] = []
    began = time.perf_counter()
    while True:
        start = time.perf_counter()
        call()
        end = time.perf_counter()
        seconds.append(end - start)
        elapsed = end - began
        if elapsed >= max_s or (elapsed >= min_s and len(seconds) >= min_runs):
            return seconds
