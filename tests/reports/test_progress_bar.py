"""The bar of counted work: on terminals alone, and gone at the end."""

import io

import pytest

from reports.progress_bar import progress_bar


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with progress_bar(stream, "decoding images") as told:
        assert told is not None
        assert stream.getvalue() == "", "nothing before there is anything to tell"
        told(5, 20)
        told(20, 20)
    shown = stream.getvalue()
    assert "decoding images" in shown
    assert "20/20" in shown
    assert shown.rstrip("\r").endswith("\x1b[2K"), "its line is wiped in the end"


def test_nothing_to_tell_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress_bar(stream, "decoding images"):
        pass
    assert "decoding" not in stream.getvalue()


@pytest.mark.parametrize(("stream", "term"), [(io.StringIO(), "xterm"), (Terminal(), "dumb")])
def test_anything_else_has_none(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, term: str
) -> None:
    monkeypatch.setenv("TERM", term)
    with progress_bar(stream, "decoding images") as told:
        assert told is None
    assert stream.getvalue() == ""
