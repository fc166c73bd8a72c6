from collections.abc import Callable
from pathlib import Path

import pytest
from simulated import make_space

from search.ledger import Ledger
from search.space import Space, load_space


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
