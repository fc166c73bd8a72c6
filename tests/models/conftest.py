"""Counts the golden cases that really ran, and says so at the end of the run."""

import pytest

_RAN: set[str] = set()


@pytest.fixture
def golden_ran() -> set[str]:
    """The names of the golden cases compared so far."""
    return _RAN


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _RAN:
        terminalreporter.write_line(f"golden numbers: {len(_RAN)} cases compared")
