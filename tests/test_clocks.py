"""The wall's clock may be set by a day at any time: nothing that lasts is measured with it."""

import ast
import time
from pathlib import Path

import pytest

from trainers.quiet import Quiet

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("models", "trainers", "search", "reports")
FILES = [ROOT / "run_search.py", *(p for name in FOLDERS for p in (ROOT / name).rglob("*.py"))]
WALL = {"time", "time_ns", "now", "utcnow", "today", "gmtime", "localtime"}
# The age of files that were left (test_store.py: longer than a jump), the name of a folder that is
# set aside, when a trial ended and when a model was exported, for people.
ALLOWED = {"trainers/data/cache.py", "run_search.py", "search/records.py", "trainers/card.py"}


def reads_the_wall(source: str) -> bool:
    """Whether it asks `time` or `datetime` what time it is, by whatever name it imports."""
    found = False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in WALL:
            of = node.value.attr if isinstance(node.value, ast.Attribute) else node.value
            name = of.id if isinstance(of, ast.Name) else of
            if name in {"time", "datetime", "date"}:
                found = True
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found |= bool(WALL & {each.name for each in node.names})
    return found


def test_only_what_does_not_mind_reads_it() -> None:
    found = {str(p.relative_to(ROOT)) for p in FILES if reads_the_wall(p.read_text("utf-8"))}
    assert found == ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "import time\ntime.time()",
        "import time\nclock = time.time",
        "from time import time",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.utcnow()",
        "from datetime import date\ndate.today()",
    ],
)
def test_each_would_be_seen(line: str) -> None:
    assert reads_the_wall(line)
    assert not reads_the_wall("import time\ntime.monotonic(); time.perf_counter()")


@pytest.mark.parametrize("days", [-1, 1])
def test_a_measurement_waits_as_long_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """A jump while it waits neither gives it the machine nor takes its patience."""
    real = time.time
    with Quiet(tmp_path).training():
        began = time.monotonic()
        monkeypatch.setattr(
            time, "time", lambda: real() + days * 86400 * (time.monotonic() - began > 0.1)
        )
        with Quiet(tmp_path).measuring(patience_s=0.3) as alone:
            assert not alone
        assert 0.3 <= time.monotonic() - began < 5
