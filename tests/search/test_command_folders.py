"""Folders and names that the command is given: refused or handled, with no stray file; no Ray."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulated import SPACE, Command, curves, failing

from reports import write
from search.ledger import Ledger
from search.study_file import DATABASE
from search.trial import State


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# Names.


@pytest.mark.parametrize(
    "name", ["../a", "..", "/opt/a", "a/b", "a b", "é", "x" * 300, "", "a\n", "-o", ".hidden"]
)
def test_a_name_that_is_none_leaves_nothing(command: Command, tmp_path: Path, name: str) -> None:
    before = tree(tmp_path)
    code, _, err = command(f"--study={name}")
    assert code == 2
    assert "is no name for a study" in err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["my space.yaml", "räume.yaml", "..yaml"])
def test_a_space_file_whose_name_serves_for_no_study(
    command: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(SPACE)
    before = tree(tmp_path)
    code, _, err = command(space=name)
    assert code == 2
    assert "--study NAME" in err
    assert tree(tmp_path) == before
    assert command("--study", "quick", space=name)[0] == 0


@pytest.mark.parametrize("backbone", ["../resnet18", "resnet 18", "é", "x" * 300, "models.errors"])
def test_a_backbone_or_block_by_another_name(
    command: Command, tmp_path: Path, backbone: str
) -> None:
    before = tree(tmp_path)
    code, _, err = command("-o", f"backbone.name={backbone}")
    assert code == 2
    assert "backbone.name" in err
    code, _, err = command("-o", f"placement.attention={{'{backbone}': {{}}}}")
    assert code == 2
    assert "placement.attention" in err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["../../escaped", "/opt/x", "x" * 300, "ünï", "=1+1", "a|b", ""])
def test_a_candidate_by_a_name_that_is_none(command: Command, tmp_path: Path, name: str) -> None:
    """Else it might be a formula in a table, or break a report."""
    listed = f"backbone: {{width: 0.0625}}\ncandidates: {{'{name}': {{}}}}\n"
    (tmp_path / "named.yaml").write_text(listed, encoding="utf-8")
    before = tree(tmp_path)
    code, _, err = command(space="named.yaml")
    assert code == 2
    assert "named.yaml:2: candidates" in err
    assert tree(tmp_path) == before


# Places.


@pytest.mark.parametrize(
    "runs",
    [
        *("my runs", "läufe/größe 測試", "relative/deep", "../beside", "./a/../b", "x" * 200),
        *("a?b", "a#b", "50%41", "{a}"),
    ],
)
def test_runs_may_lie_anywhere(command: Command, tmp_path: Path, runs: str) -> None:
    """Twice, and a search that was begun goes on; the study is where it was asked for, alone."""
    before = tree(tmp_path)
    assert command("--runs", runs, "-o", "search.trials=3")[0] == 0
    code, _, err = command("--runs", runs)
    assert code == 0, err
    folder = (tmp_path / "work" / runs / "quick").resolve()
    assert len(Ledger.read(folder).trials()) == 8
    assert (folder / "report" / "report.md").exists()
    assert (folder / "report" / "pareto.png").exists()
    new = tree(tmp_path) - before
    top = folder.relative_to(tmp_path)
    parents = {str(parent) for parent in top.parents}
    strays = {path for path in new if not path.startswith(str(top))} - parents - {"work/a"}
    assert not strays


@pytest.mark.parametrize("runs", ["x" * 300, "y/" * 3000])
def test_places_that_are_refused(command: Command, tmp_path: Path, runs: str) -> None:
    before = tree(tmp_path)
    code, _, err = command("--runs", runs)
    assert code == 3
    assert "--runs" in err
    assert tree(tmp_path) == before


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own; only root can mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(["size=2m", *options]), "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system; and root writes whatever chmod says")
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("where", ["runs", "runs/quick"])
def test_a_read_only_place_is_known_before_anything_begins(
    command: Command, tmp_path: Path, where: str
) -> None:
    folder = tmp_path / "work" / where
    folder.mkdir(parents=True)
    with mounted(folder, "ro"):
        code, out, err = command(simulation=failing("a trial was begun"))
        assert (code, out) == (3, "")
        assert "cannot be written: Read-only file system; choose another place with --runs" in err
        assert list(folder.iterdir()) == []


def test_a_folder_that_is_removed_meanwhile_ends_the_search(
    command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "work" / "runs" / "quick"

    def removing(task: Any) -> Iterator[Any]:
        if len(task.architecture.placements) == 2:
            shutil.rmtree(folder, ignore_errors=True)
        yield from curves(task)

    code, _, err = command(simulation=removing)
    assert code == 3, err
    assert err == "error: runs/quick was moved or removed: put it back, then go on\n"
    assert not (folder / DATABASE).exists()
    assert command()[0] == 0
    assert len(Ledger.read(folder).trials()) == 8


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_disk_that_is_full_when_the_report_is_written(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old report stays, the study is whole, and the same command writes the new one."""
    folder = tmp_path / "work" / "runs" / "quick"
    assert command("-o", "search.trials=3")[0] == 0
    old = contents(folder / "report")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(write, "replacing", full)
        code, _, err = command()
    assert code == 3
    assert "the report cannot be written: [Errno 28] No space left on device" in err
    assert contents(folder / "report") == old
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert command()[0] == 0
    assert len((folder / "report" / "trials.csv").read_text().splitlines()) == 9


def test_the_commonest_reason_is_shown_where_every_trial_failed(
    command: Command, tmp_path: Path
) -> None:
    def failed(task: Any) -> Iterator[Any]:
        often = len(task.architecture.placements) == 1
        yield from failing("ValueError: often" if often else "OverflowError: rare")(task)

    code, _, err = command(simulation=failed)
    trials = Ledger.read(tmp_path / "work/runs/quick").trials()
    assert {trial.state for trial in trials} == {State.FAILED}
    reasons = [trial.reason for trial in trials]
    common = max(set(reasons), key=reasons.count)
    assert code == 4
    assert f"all 8 trials failed, {reasons.count(common)} of them with: {common}." in err
    assert (tmp_path / "work/runs/quick/report/report.md").exists()
