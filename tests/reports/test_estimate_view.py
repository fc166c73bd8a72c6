"""The estimate as people read it."""

import pytest

from reports.estimate_view import estimate_lines, no_estimate, rough_duration
from search.estimate import Estimate, Shortcut, Timeout, Work

WORK = Work(trials=30, epochs=5, train_images=3000, validation_images=2000, workers=2, cores=2)


def made(work: Work = WORK, **more: object) -> Estimate:
    values: dict[str, object] = {
        "seconds": 400.0,
        "trial_seconds": 26.0,
        "images_per_second": 510.3,
        "at_most": True,
        "timeout": None,
        "gpu_sized": False,
        "shortcuts": (),
    }
    return Estimate(work, **(values | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (7.4, "7 s"),
        (23, "25 s"),
        (57, "55 s"),
        (58, "1 m"),
        (400, "6 m 40 s"),
        (3_569, "59 m 30 s"),
        (3_571, "1 h"),
        (12_000, "3 h 20 m"),
        (35_600, "9 h 50 m"),
        (35_999, "10 hours"),
        (90_000, "25 hours"),
        (21 * 86_400, "21 days"),
        (2_000 * 86_400, "2,000 days"),
    ],
)
def test_rough_duration(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text


def test_one_line() -> None:
    assert estimate_lines(made()) == [
        "Estimate: about 6 m 40 s for 30 trials (at most 5 epochs of 3,000 images each) on "
        "2 workers, from a few measured steps: 510 images/s per worker"
    ]


def test_what_is_left_of_a_study() -> None:
    (line,) = estimate_lines(made(Work(1, 1, 512, 10, 1, 2, begun=True), at_most=False))
    assert "for 1 trial that is left (1 epoch of 512 images each) on 1 worker," in line
    (line,) = estimate_lines(made(Work(2, 1, 512, 10, 1, 2, begun=True), images_per_second=2.34))
    assert "for 2 trials that are left" in line
    assert line.endswith(": 2.3 images/s per worker")


def test_a_timeout() -> None:
    _, line = estimate_lines(made(timeout=Timeout(7.0, 440.0, 24)))
    assert line == (
        "  It will end after about 7 m 20 s with about 24 trials: none is begun after "
        "search.timeout_minutes=7."
    )


def test_a_gpu_sized_space() -> None:
    shortcuts = (
        Shortcut("-o data.train_images=5000", 8.7),
        Shortcut("-o backbone.width=0.25", 7.4, rough=True),
        Shortcut("-o training.epochs=10", 2.98),
        Shortcut("-o search.trials=60", 1.666),
        Shortcut("--gpus-per-trial 0.5 on a machine with a GPU"),
    )
    first, sized, shorter = estimate_lines(
        made(seconds=21.2 * 86_400, trial_seconds=36_000, gpu_sized=True, shortcuts=shortcuts)
    )
    assert first.startswith("Estimate: about 21 days for")
    assert "sized for a GPU: on a CPU core one trial takes about 10 hours." in sized
    assert shorter == (
        "  shorter: -o data.train_images=5000 (÷ 9) · -o backbone.width=0.25 (÷ ~7) · "
        "-o training.epochs=10 (÷ 3) · -o search.trials=60 (÷ 1.7) · "
        "--gpus-per-trial 0.5 on a machine with a GPU"
    )


def test_one_training_on_a_gpu_was_measured() -> None:
    on_gpu = Work(30, 5, 3000, 2000, workers=2, cores=2, on_gpu=True)
    assert "One training alone" in estimate_lines(made(on_gpu))[1]


def test_no_estimate() -> None:
    assert no_estimate("the steps took longer than 20 s") == (
        "Estimate: could not be made: the steps took longer than 20 s. "
        "The search begins all the same."
    )
