"""Counts the golden cases that really ran, and says so at the end of the run."""

import json
from pathlib import Path
from typing import Any

import pytest

_RAN: dict[str, dict[str, Any]] = {}


@pytest.fixture
def golden_ran() -> dict[str, dict[str, Any]]:
    """The golden cases compared so far: name -> worst errors of `y` and `dx`, origin, block."""
    return _RAN


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known where `tests/models` or a file of it is given, not to a run of all tests."""
    parser.addoption(
        "--golden-errors",
        type=Path,
        metavar="FILE",
        help="write the worst errors against the golden numbers, case by case, as JSON",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under pytest-xdist the cases run in one process and are counted in another."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["golden"] = _RAN


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _RAN.update(getattr(node, "workeroutput", {}).get("golden", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if _RAN:
        from golden_cases import index  # here, not above: it imports Paddle

        count = f"{len(_RAN)} of {len(index())}"
        terminalreporter.write_line(f"golden numbers: {count} cases compared")
    file = config.getoption("--golden-errors", default=None)
    if file is not None:
        file.write_text(json.dumps(_RAN, indent=2, sort_keys=True) + "\n")
