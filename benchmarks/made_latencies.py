"""Latencies as a worker would answer them, for tests and benchmarks that measure nothing."""

from trainers.messages import Latency


def made_latency(latency_ms: float, reference_ms: float = 1.0) -> Latency:
    """A quiet measurement of so many milliseconds beside a plain backbone of `reference_ms`."""
    return Latency(
        ratio=latency_ms / reference_ms,
        half_width=0.004,
        control=1.002,
        median_ms=latency_ms,
        p90_ms=1.25 * latency_ms,
        reference_ms=reference_ms,
        rounds=30,
        batch=1,
        image_size=32,
        engine="eager",
        clock="thread",
        quiet=True,
        core=1,
    )
