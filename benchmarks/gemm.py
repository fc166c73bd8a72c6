"""The machine's limit: float32 multiply-adds a second of a matrix product, one thread a core."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import CORES, describe, run_child, side_by_side

SIZE = 1024
SECONDS = 4.0
SETTLE_S = 1.0  # processes side by side do not begin and end at the same moment


def gflops(seconds: float) -> float:
    """10⁹ FLOP a second of the best product in the middle of `seconds`; in a worker's process."""
    import paddle

    a, b = paddle.rand([SIZE, SIZE]), paddle.rand([SIZE, SIZE])
    settle = min(SETTLE_S, seconds / 4)
    best, began = float("inf"), time.perf_counter()
    while (start := time.perf_counter()) < began + seconds:
        paddle.matmul(a, b)
        end = time.perf_counter()
        if start > began + settle and end < began + seconds - settle:
            best = min(best, end - start)
    return 2e-9 * SIZE**3 / best


def measured(seconds: float = SECONDS) -> tuple[float, float]:
    """GFLOP a second of one thread alone, and of all cores together with a thread each."""
    script = Path(__file__)
    return run_child(script, seconds), sum(side_by_side(script, [seconds] * CORES))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints both."""
    given = parse_arguments()
    if given.child:
        print(json.dumps(gflops(json.loads(given.child))))
        return
    alone, together = measured(1.5 if given.quick else SECONDS)
    print(describe())
    print(f"float32 matrix product of {SIZE}³, paddle.matmul in a worker's environment")
    print(f"one thread alone         {alone:7.1f} GFLOP/s")
    print(f"{CORES} processes of a thread  {together:7.1f} GFLOP/s")
    print(f"ratio: {together / alone:.2f} (all cores together ÷ one alone)")


if __name__ == "__main__":
    main()
