"""The folder of a study: legal names, one driver at a time, old studies kept."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import InputError, StorageError, StudyBusyError
from search import run_folder

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOLD = """
import sys
from pathlib import Path
from search.run_folder import lock
held = lock(Path(sys.argv[1]), "process 4711 on elsewhere")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "7", "x" * 100])
def test_names(name: str) -> None:
    assert run_folder.study_name(Path("spaces/quick.yaml"), name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "a/b",
        "/a",
        ".a",
        "-a",
        "a b",
        "a\n",
        "é",
        "x" * 101,
        "x" * 300,
        "a\0",
    ],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match="--study NAME"):
        run_folder.study_name(Path("spaces/quick.yaml"), name)


def test_the_name_of_the_space_file_serves() -> None:
    assert run_folder.study_name(Path("spaces/quick.yaml"), None) == "quick"
    with pytest.raises(InputError, match="my space"):
        run_folder.study_name(Path("spaces/my space.yaml"), None)


def test_prepare_makes_folders_and_leaves_no_trace(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "quick"
    run_folder.prepare(folder)
    run_folder.prepare(folder)
    assert list(folder.iterdir()) == []


def test_prepare_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(StorageError, match="--runs"):
        run_folder.prepare(tmp_path / "runs" / "quick")
    assert (tmp_path / "runs").read_text() == "mine"


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `tmp_path`."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_study_in_use(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(StudyBusyError) as caught:
        run_folder.lock(tmp_path, "me")
    assert "process 4711 on elsewhere" in str(caught.value)
    assert caught.value.exit_code == 5
    with pytest.raises(StudyBusyError):
        run_folder.lock(tmp_path, "me")
    assert (tmp_path / "lock.holder").read_text() == "process 4711 on elsewhere"


def test_a_killed_holder_holds_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with run_folder.lock(tmp_path, "me"):
        assert (tmp_path / "lock.holder").read_text() == "me"


def test_the_lock_ends_with_its_block(tmp_path: Path) -> None:
    for _ in range(2):
        with run_folder.lock(tmp_path, "me"), pytest.raises(StudyBusyError, match="me"):
            run_folder.lock(tmp_path, "somebody else")


def test_an_old_study_is_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "quick"
    folder.mkdir()
    (folder / "study.db").write_bytes(b"old")
    (folder / "report.md").write_text("old report")
    left = run_folder.set_aside(folder, run_folder.old_name(folder, NOW))
    assert left == tmp_path / "quick-until-2026-03-04T05-06-07"
    assert (left / "study.db").read_bytes() == b"old"
    assert (left / "report.md").read_text() == "old report"
    assert not folder.exists()


def test_a_clock_that_was_set_back_overwrites_no_old_study(tmp_path: Path) -> None:
    folder = tmp_path / "quick"
    for content in (b"first", b"second", b"third"):
        folder.mkdir()
        (folder / "study.db").write_bytes(content)
        assert run_folder.set_aside(folder, run_folder.old_name(folder, NOW)) is not None
    left = sorted(tmp_path.glob("quick-until-*/study.db"))
    assert [path.read_bytes() for path in left] == [b"first", b"second", b"third"]


def test_without_a_study_nothing_is_moved(tmp_path: Path) -> None:
    assert run_folder.set_aside(tmp_path / "none", "old") is None
    (tmp_path / "some").mkdir()
    assert run_folder.set_aside(tmp_path / "some", "old") is None
    assert [path.name for path in tmp_path.iterdir()] == ["some"]
