import io
import os
from pathlib import Path

import pytest
from example_study import GC, IMAGES, MIXED, OBJECTIVES, RESIDUAL, architecture, trial
from rich.console import Console

from reports.console import LiveView, PlainView, ViewSettings, open_view, print_result
from reports.progress import Progress
from reports.wording import count, duration, milliseconds, percent, points, shortened
from search.trial import Role, State, Trial

BASELINE = trial(0, 0.5, 0.90, role=Role.BASELINE, placed=architecture())
CONTROL = trial(1, 0.5, 0.90, role=Role.CONTROL, placed=RESIDUAL, params=12_000_000)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def settings(clock: Clock | None = None, trials: int = 24) -> ViewSettings:
    return ViewSettings("demo", trials, 2, OBJECTIVES, clock or Clock())


def running(number: int, *accuracies: float) -> Trial:
    return trial(number, *accuracies, state=State.RUNNING, placed=GC)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def live(width: int, clock: Clock | None = None) -> tuple[LiveView, Console]:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=40)
    return LiveView(console, settings(clock)), console


def render(view: LiveView, width: int) -> str:
    plain = Console(file=io.StringIO(), width=width)
    plain.print(view.picture())
    assert isinstance(plain.file, io.StringIO)
    return plain.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "—"),
        (0.4, "0 s"),
        (59.6, "1 m 0 s"),
        (190, "3 m 10 s"),
        (7200, "2 h 0 m 0 s"),
        (2 * 86400 + 3661, "2 d 1 h 1 m 1 s"),
    ],
)
def test_durations_keep_their_days(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_as_people_read_them() -> None:
    assert percent(0.4123, 1) == "41.2 %"
    assert percent(None) == "—"
    assert points(-0.008) == "-0.80"
    assert count(11_181_642) == "11.18 M"
    assert [milliseconds(x) for x in (0.5, 9.876, 123.4, 1234.5)] == [
        "0.500 ms", "9.88 ms", "123 ms", "1,234 ms",
    ]  # fmt: skip
    assert shortened("a\nlong reason", 6) == "a lon…"


@pytest.mark.parametrize("width", [20, 40, 80, 160])
def test_live_view_fits_its_terminal(width: int) -> None:
    view, console = live(width)
    with view:
        view.known([BASELINE])
        view.trial_began(running(2))
        view.trial_advanced(running(2, 0.412))
        view.trial_began(running(3))
        view.trial_ended(trial(3, 0.4, state=State.STOPPED, reason="curve: [bold]0.4[/bold]"))
        view.notice("[red]a notice[/red]")
        text = render(view, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "demo" in text
    assert isinstance(console.file, io.StringIO)
    assert "[red]a notice" in console.file.getvalue()


def test_live_view_shows_what_there_is() -> None:
    view, _ = live(160)
    view.known([BASELINE])
    view.trial_began(running(2))
    view.trial_advanced(running(2, 0.3, 0.412))
    view.trial_ended(trial(3, 0.4, state=State.STOPPED, reason="curve: [bold]0.4[/bold]"))
    text = render(view, 160)
    assert "2 of 24 trained" in text
    assert "1 finished  1 running  1 stopped early  0 failed  0 infeasible" in text
    assert "██████████ 2/2" in text
    assert "41.2 %" in text
    assert "stopped curve: [bold]0.4[/bold]" in text
    assert "front" in text
    assert "90.0 %" in text
    assert "left about —" in text


def test_live_view_shortens_placements() -> None:
    view, _ = live(40)
    view.trial_began(running(2))
    line = next(line for line in render(view, 40).splitlines() if "stage3" in line)
    assert "…" in line


def test_live_view_counts_what_it_leaves_out() -> None:
    view, _ = live(80)
    for number in range(10):
        view.trial_began(running(number))
    assert "… and 2 more" in render(view, 80)


def test_time_left_comes_from_ended_trials_of_this_run() -> None:
    clock = Clock()
    progress = Progress(settings(clock, trials=5))
    progress.known([BASELINE, trial(9, state=State.RUNNING)])
    progress.began(running(1))
    assert progress.remaining_seconds is None
    clock.now += 60
    progress.ended(trial(1, 0.9))
    progress.ended(trial(2, state=State.INFEASIBLE))
    assert progress.trained == 2
    assert progress.remaining_seconds == 60 * 3 / 2
    progress.began(running(3))
    clock.now += 20
    assert progress.remaining_seconds == (60 * 3 - 20) / 2
    assert progress.counts[State.RUNNING] == 1


def test_plain_lines() -> None:
    clock, stream = Clock(), io.StringIO()
    with PlainView(stream, settings(clock)) as view:
        view.known([BASELINE, CONTROL])
        view.trial_began(trial(7, state=State.RUNNING))
        clock.now += 190
        view.trial_advanced(trial(7, state=State.RUNNING))
        view.trial_advanced(trial(7, 0.3, 0.412, state=State.RUNNING))
        view.trial_ended(trial(7, 0.412, state=State.STOPPED, reason="curve: by\ntrial 0"))
        view.trial_ended(trial(8, state=State.INFEASIBLE, reason="1.20 times max_params"))
        view.trial_ended(trial(9, 0.9123))
        view.trial_ended(trial(10, state=State.FAILED))
        view.notice("3 candidates were over budget")
    assert stream.getvalue().splitlines() == [
        "[2/24 0 s] trial 7 began: stage3.block2.before_add=se(reduction=4)",
        "[2/24 3 m 10 s] trial 7 latency 10.0 ms",
        "[2/24 3 m 10 s] trial 7 epoch 2/2: 41.2 %",
        "[3/24 3 m 10 s] trial 7 stopped: curve: by trial 0",
        "[3/24 3 m 10 s] trial 8 infeasible: 1.20 times max_params",
        "[4/24 3 m 10 s] trial 9 done: 91.2 %",
        "[5/24 3 m 10 s] trial 10 failed: no reason given",
        "[5/24 3 m 10 s] 3 candidates were over budget",
    ]


def test_names_are_shown_wherever_trials_are() -> None:
    stream = io.StringIO()
    plain = PlainView(stream, settings())
    view, _ = live(160)
    shown = trial(2, 0.3, state=State.RUNNING, placed=GC, name="global")
    for each in (plain, view):
        each.trial_began(shown)
    assert "trial 2 began: global: stage3.block2.before_add=gc(" in stream.getvalue()
    assert "global: stage3.block2.before_add=gc(" in render(view, 160)
    view.trial_ended(trial(2, 0.93, placed=GC, name="global"))
    assert "complete global: stage3" in render(view, 160)
    for width in (80, 160):
        console = Console(file=io.StringIO(), width=width)
        named = trial(2, 0.93, placed=GC, name="global")
        print_result(console, [BASELINE, CONTROL, named], OBJECTIVES, Path("runs/demo"), IMAGES)
        assert isinstance(console.file, io.StringIO)
        assert "global: stage3.block2" in console.file.getvalue()


def test_what_is_no_candidate_says_so() -> None:
    stream = io.StringIO()
    plain = PlainView(stream, settings())
    view, _ = live(110)
    for each in (plain, view):
        for number, role in ((0, Role.ORIGIN), (9, Role.CHECK)):
            each.trial_began(trial(number, state=State.RUNNING, role=role))
    for text in (stream.getvalue(), render(view, 110)):
        assert "trained first, for all others: stage3.block2.before_add=se(" in text
        assert "check from scratch: stage3.block2.before_add=se(" in text


def test_plain_lines_survive_a_poor_encoding() -> None:
    data = io.BytesIO()
    view = PlainView(io.TextIOWrapper(data, encoding="ascii"), settings())
    view.notice("32 × 32")
    assert data.getvalue() == f"[0/24 0 s] 32 ? 32{os.linesep}".encode()


def test_view_suits_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_view(Terminal(), settings()), LiveView)
    assert isinstance(open_view(io.StringIO(), settings()), PlainView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_view(Terminal(), settings()), PlainView)


@pytest.mark.parametrize("width", [40, 90, 160])
def test_result(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    trials = [BASELINE, CONTROL, trial(2, 0.905, placed=MIXED), trial(3, 0.2, state=State.STOPPED)]
    print_result(console, trials, OBJECTIVES, Path("runs/demo/report"), IMAGES)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    assert "baseline" in text
    assert "Report: runs/demo/report/report.html" in text
    assert "+0.50" in text
    assert "…" not in text
    if width == 160:
        assert "+0.50 ± 1.16" in text
        assert "not on the front" in text  # the control
        assert "No gain over the baseline is larger than the noise" in text


def test_result_of_nothing() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_result(console, [], OBJECTIVES, Path("runs/demo/report"), IMAGES)
    assert isinstance(console.file, io.StringIO)
    assert "the front is empty" in console.file.getvalue()
