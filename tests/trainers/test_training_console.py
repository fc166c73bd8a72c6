"""How a full training looks, on a terminal and in a file."""

import io

import pytest
from rich.console import Console

from trainers.console import LiveView, PlainView, open_view, show_labels
from trainers.messages import EpochResult
from trainers.prediction import Labelled, Unlabelled


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def epoch(number: int, accuracy: float) -> EpochResult:
    return EpochResult(number, accuracy, 1.2, 1.5, 20.0, 2.0, 1234.0)


def told(view: PlainView | LiveView) -> None:
    with view:
        view.began(3, [epoch(1, 0.7)], [8, 8, 4])
        for accuracy in (0.5, 0.8):
            for size in (8, 8, 4):
                view.trained(size)
            view.advanced(epoch(2 if accuracy == 0.5 else 3, accuracy))
        view.notice("a \x1b[2Jnotice")


def test_a_line_for_each_epoch_in_a_file() -> None:
    stream = io.StringIO()
    told(PlainView(stream, 3))
    assert stream.getvalue().splitlines() == [
        "seed 3 goes on behind epoch 1: 20 images an epoch",
        "seed 3 epoch 2/3: 50.0 % (best 70.0 %), loss 1.500, 1,234 images/s",
        "seed 3 epoch 3/3: 80.0 % (best 80.0 %), loss 1.500, 1,234 images/s",
        r"a \x1b[2Jnotice",
    ]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_bars_on_a_terminal(width: int) -> None:
    stream = Terminal()
    told(LiveView(Console(file=stream, force_terminal=True, width=width), 3))
    shown = stream.getvalue()
    assert "seed 3" in shown
    assert r"a \x1b[2Jnotice" in shown
    if width == 160:
        assert "3/3 epochs" in shown
        assert "80.0 % (best 80.0) loss 1.500 1,234 img/s" in shown


def test_the_next_seed_begins_its_own_bars() -> None:
    view = LiveView(Console(file=Terminal(), force_terminal=True, width=120), 3)
    with view:
        view.began(0, [], [8])
        view.began(1, [], [8])
        assert [task.description for task in view._progress.tasks] == ["seed 1", "  epoch"]
        view.trained(8)
        view.advanced(epoch(1, 0.5))
        whole, part = view._progress.tasks
        assert (whole.completed, whole.total, part.completed) == (8, 24, 0)


def test_plain_lines_where_no_bars_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_view(Terminal(), 3), LiveView)
    assert isinstance(open_view(io.StringIO(), 3), PlainView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_view(Terminal(), 3), PlainView)


def test_labels_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Terminal()
    answers = [
        Labelled("a.png", ("cat", "\x1b[2Jdog"), (0.25, 0.75)), Unlabelled("b", "b: is no file"),
    ]  # fmt: skip
    assert show_labels(answers, stream, as_json=False) == 1
    shown = stream.getvalue()
    assert r"\x1b[2Jdog" in shown
    assert "75.0 %" in shown
    assert "cat 25.0 %" in shown
    assert capsys.readouterr().err == "error: b: is no file\n"
