"""Latency: sane numbers, within its bounds of time."""

import time
from collections.abc import Iterator
from pathlib import Path

import paddle
import pytest
from paddle import nn

from trainers import latency
from trainers.latency import measure_latency
from trainers.quiet import Quiet


class Sleeper(nn.Layer):
    """Takes `seconds` for a forward pass, and remembers what it was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.shapes: list[list[int]] = []
        self.weight = self.create_parameter((1,))

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        self.shapes.append(images.shape)
        self.modes = (self.training, (images * self.weight).stop_gradient)
        time.sleep(self.seconds)
        return images


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Quiet]:
    locks = Quiet(tmp_path)
    yield locks
    locks.close()


def test_numbers(quiet: Quiet) -> None:
    network = Sleeper(0.005)
    network.train()
    measured = measure_latency(network, 12, quiet, batch=2)
    assert 5 <= measured.median_ms < 15
    assert measured.median_ms <= measured.p90_ms
    assert measured.runs >= latency.MIN_RUNS
    assert measured.runs <= len(network.shapes) - 3, "the warm-up is not counted"
    assert (measured.batch, measured.image_size, measured.quiet) == (2, 12, True)
    assert network.shapes[0] == [2, 3, 12, 12]
    assert network.modes == (False, True), "in eval mode, and nothing is kept for gradients"


def test_fast_networks_run_for_the_minimal_time(quiet: Quiet) -> None:
    began = time.perf_counter()
    measured = measure_latency(Sleeper(0.0), 8, quiet)
    assert time.perf_counter() - began >= latency.BLOCKS * latency.MIN_S + latency.WARM_UP_S
    assert measured.runs > latency.MIN_RUNS


def test_slow_networks_are_cut_short(quiet: Quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "MAX_S", 0.2)
    began = time.perf_counter()
    measured = measure_latency(Sleeper(0.06), 8, quiet)
    assert time.perf_counter() - began < (1 + latency.BLOCKS) * (0.2 + 0.06) + 0.2
    assert 3 <= measured.runs <= 4
    assert measured.median_ms >= 60


def test_one_run_at_least(quiet: Quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "MAX_S", 0.0)
    assert measure_latency(Sleeper(0.01), 8, quiet).runs == 1


class Disturbed(Sleeper):
    """Is five times as slow for its first 40 runs, as beside another program's burst."""

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        self.seconds = 0.02 if len(self.shapes) < 40 else 0.004
        return super().forward(images)


def test_a_burst_of_other_work_is_not_in_the_median(quiet: Quiet) -> None:
    network = Disturbed(0.0)
    assert measure_latency(network, 8, quiet).median_ms < 10
    assert len(network.shapes) > 40, "the burst reached beyond the warm-up"
