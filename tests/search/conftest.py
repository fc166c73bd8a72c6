from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulated import SPACE, Command, Executor, curves, make_space

import run_search
from models.interruption import Interruption
from search.ledger import Ledger
from search.space import Space, load_space
from trainers.data import search_split, store


@pytest.fixture
def space() -> Space:
    """The small space of `simulated.SPACE`."""
    return make_space()


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Space]:
    """Loads text or bytes as the file `space.yaml`, with overrides."""

    def write_and_load(content: str | bytes, *overrides: str) -> Space:
        path = tmp_path / "space.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_space(path, overrides)

    return write_and_load


@pytest.fixture
def open_ledger(tmp_path: Path) -> Callable[..., Ledger]:
    """Opens (or begins) the study in the folder `study`, in SQLite."""

    def open_in(space: Space, name: str = "study") -> Ledger:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return Ledger.open(folder, space.objective_names, space.file.fingerprint)

    return open_in


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """`run_search.py` in an empty folder, with simulated workers: exit code, stdout, stderr."""
    from search import runner

    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (tmp_path / "quick.yaml").write_text(SPACE)
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    monkeypatch.setattr(store, "prepare", lambda *_: tmp_path)
    facts = {"name": "none", "train_images": 4}
    monkeypatch.setattr(search_split, "describe_split", lambda *_: facts)

    def run(*arguments: str, space: str = "quick.yaml", simulation: Any = curves, **_: Any) -> Any:
        monkeypatch.setattr(runner, "run", lambda driver, *_: Executor(driver, simulation).run())
        given = ["--space", str(tmp_path / space), "--no-estimate", *arguments]
        code = run_search.main(given)
        out, err = capsys.readouterr()
        assert "--debug" in given or "Traceback (" not in out + err
        assert "defect" not in err
        return code, out, err

    return run
