"""Latency: the protocol on a clock that the test turns, and once on the real one."""

import gc
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from models.architecture import Architecture, Backbone
from models.build import build
from trainers import latency
from trainers.config import LatencyConfig
from trainers.environment import worker_environment
from trainers.latency import measure_latency
from trainers.messages import Latency
from trainers.quiet import Quiet

THIN = Backbone(width=0.0625)
REFERENCE_S = 0.002


class Clock:
    """Time passes only while a pass runs, and as slowly as `disturbance` says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.passes: list[tuple[str, float]] = []
        self.disturbance: Callable[[float], float] = lambda _now: 1.0

    def __call__(self) -> float:
        return self.now

    def runs(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            taken = seconds * self.disturbance(self.now)
            self.now += taken
            self.passes.append((name, taken))

        return run

    def naive_ms(self, name: str, many: int = 100) -> float:
        """The mean of the first passes, as a plain script would have it."""
        return 1000 * float(np.mean([taken for who, taken in self.passes if who == name][:many]))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(latency.time, "perf_counter", made)
    monkeypatch.setattr(latency, "_clock", lambda _engine: made)
    references = (made.runs("first", REFERENCE_S), made.runs("second", REFERENCE_S))
    monkeypatch.setattr(latency, "_references", lambda *_: references)
    monkeypatch.setattr(latency, "forward_pass", lambda seconds, *_: made.runs("own", seconds))
    return made


def measured(own_s: float, quiet: Quiet, **settings: float) -> Latency:
    """Of a network that takes so long, on the clock of the test."""
    given = LatencyConfig.model_validate(settings)
    return measure_latency(own_s, THIN, 16, given, quiet)  # type: ignore[arg-type]


def test_undisturbed_it_ends_at_the_first_look(clock: Clock, quiet: Quiet) -> None:
    found = measured(0.003, quiet)
    assert found.rounds == latency.ROUNDS_A_LOOK
    assert found.ratio == pytest.approx(1.5)
    assert found.half_width == pytest.approx(0, abs=1e-12)
    assert (found.median_ms, found.reference_ms) == (pytest.approx(3), pytest.approx(2))
    assert found.control == pytest.approx(1)
    assert clock.now < 0.5


def test_no_network_runs_twice_in_a_row(clock: Clock, quiet: Quiet) -> None:
    measured(0.003, quiet)
    names = [name for name, _ in clock.passes]
    assert all(a != b for a, b in itertools.pairwise(names))
    assert {names.count(name) for name in names} == {len(names) // 3}


def test_noise_is_measured_until_the_interval_is_narrow_or_time_is_up(
    clock: Clock, quiet: Quiet
) -> None:
    rng = np.random.default_rng(0)
    clock.disturbance = lambda _now: float(np.exp(0.1 * rng.normal()))
    short = measured(0.003, quiet, seconds=0.5)
    began = clock.now
    long = measured(0.003, quiet, seconds=60.0)
    assert short.half_width > 0.005 >= long.half_width
    assert long.rounds > short.rounds
    assert clock.now - began < 60, "it ended when it was sure"
    assert abs(long.ratio / 1.5 - 1) < 0.01


@pytest.mark.parametrize(
    "disturbance",
    [
        pytest.param(lambda now: 1.4, id="a neighbour"),
        pytest.param(lambda now: 1.5 if now < 0.3 else 1.0, id="a neighbour that leaves"),
        pytest.param(lambda now: 4.0 if int(now * 20) % 6 == 0 else 1.0, id="bursts"),
        pytest.param(lambda now: 1 + now, id="a processor that gets warm"),
    ],
)
def test_what_slows_all_alike_leaves_the_ratio(
    clock: Clock, quiet: Quiet, disturbance: Callable[[float], float]
) -> None:
    """A tenth of the error of the mean of 100 runs, the issue's measure."""
    clock.disturbance = disturbance
    found = measured(0.003, quiet)
    error = abs(found.ratio * 2 - 3) / 3
    clock.now, clock.passes = 0.0, []
    for _ in range(100):
        clock.runs("own", 0.003)()
    naive = abs(clock.naive_ms("own") - 3) / 3
    assert naive > 0.1
    assert error < naive / 10


def test_the_control_tells_of_two_backbones_that_differ(
    clock: Clock, quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    unequal = (clock.runs("first", 0.0022), clock.runs("second", 0.002))
    monkeypatch.setattr(latency, "_references", lambda *_: unequal)
    assert measured(0.003, quiet).control == pytest.approx(1.1)


def test_slow_networks_run_a_few_rounds(clock: Clock, quiet: Quiet) -> None:
    assert measured(5.0, quiet).rounds == latency.MIN_ROUNDS


class Busy(nn.Layer):
    """Takes `seconds` of a core for a forward pass, and remembers what it was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.shapes: list[list[int]] = []
        self.cores: list[set[int]] = []
        self.weight = self.create_parameter((1,))

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        self.shapes.append(images.shape)
        self.cores.append(os.sched_getaffinity(0))
        self.modes = (self.training, (images * self.weight).stop_gradient, gc.isenabled())
        end = time.thread_time() + self.seconds
        while time.thread_time() < end:
            pass
        return images


def test_a_real_network_beside_a_real_backbone(quiet: Quiet) -> None:
    settings = LatencyConfig(batch=2, seconds=0.3)
    allowed = os.sched_getaffinity(0)
    network = Busy(0.02)
    network.train()
    found = measure_latency(network, THIN, 16, settings, quiet)
    assert 20 <= found.median_ms <= found.p90_ms
    assert found.ratio == pytest.approx(found.median_ms / found.reference_ms, rel=0.5)
    assert (found.batch, found.image_size, found.engine, found.quiet) == (2, 16, "eager", True)
    assert network.shapes[0] == [2, 3, 16, 16]
    assert network.modes == (False, True, False), "eval mode, no gradients, no garbage collection"
    assert all(cores == {found.core} for cores in network.cores[1:]), "after one to see how slow"
    assert (os.sched_getaffinity(0), gc.isenabled()) == (allowed, True)


def test_a_network_that_raises_leaves_the_thread_as_it_was(quiet: Quiet) -> None:
    class Broken(nn.Layer):
        def forward(self, images: paddle.Tensor) -> paddle.Tensor:
            raise ArithmeticError("no attention today")

    allowed = os.sched_getaffinity(0)
    with pytest.raises(ArithmeticError):
        measure_latency(Broken(), THIN, 16, LatencyConfig(), quiet)
    assert (os.sched_getaffinity(0), gc.isenabled()) == (allowed, True)


def test_the_backbone_beside_itself(quiet: Quiet) -> None:
    network = build(Architecture(THIN), 16, seed=0)
    found = measure_latency(network, THIN, 16, LatencyConfig(seconds=2.0, precision=0.02), quiet)
    assert abs(found.ratio - 1) <= max(0.1, 2 * found.half_width), "it knows how sure it is"


def test_one_thread_of_a_cpu_is_timed_by_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """While others have the core, it stands still."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert latency._clock("eager") is time.thread_time
    assert latency._clock("inference") is time.process_time
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert latency._clock("eager") is time.perf_counter
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert latency._clock("inference") is time.perf_counter


CLOCKED = """
import sys, time
from models.architecture import Architecture, Backbone
from models.build import build
from trainers.engine import forward_pass
from trainers.latency import _clock

run = forward_pass(build(Architecture(Backbone(width=0.25)), 32, 0), (1, 3, 32, 32), sys.argv[1])
run()
clock = _clock(sys.argv[1])
counted, all_of_it = clock(), time.process_time()
for _ in range(40):
    run()
print((clock() - counted) / (time.process_time() - all_of_it))
"""


@pytest.mark.parametrize("engine", ["eager", "inference"])
def test_no_work_of_a_pass_is_done_where_the_clock_does_not_see_it(engine: str) -> None:
    environment = {**os.environ, **worker_environment(), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-W", "ignore", "-c", CLOCKED, engine]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert 0.9 < float(done.stdout.splitlines()[-1]) < 1.1


def test_without_the_machine_to_itself_it_says_so(
    clock: Clock, quiet: Quiet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "PATIENCE_S", 0.05)
    monkeypatch.setattr(latency, "PATIENCE", 0)
    assert measured(0.003, quiet).quiet
    other = Quiet(tmp_path)
    with other.training():
        assert not measured(0.003, Quiet(tmp_path)).quiet


def test_patience_is_reckoned_from_what_measurements_take(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, quiet: Quiet
) -> None:
    """A hundred of them: of slow networks as well."""
    waits: list[float] = []
    measuring = quiet.measuring
    monkeypatch.setattr(quiet, "measuring", lambda s: waits.append(s) or measuring(s))
    measured(0.003, quiet)
    measured(5.0, quiet)
    assert waits == [50.0, pytest.approx(100 * 3 * (latency.MIN_ROUNDS + 1) * 5.0)]
