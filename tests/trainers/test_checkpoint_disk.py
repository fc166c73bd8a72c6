"""Checkpoints on a disk that is really full."""

import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_disk import fill, small_file_system

from models.errors import StorageError
from trainers.checkpoint import Checkpoints
from trainers.messages import EpochResult

MANY = 50_000  # 200 KB each, of which three fit but four do not
TOGETHER = ("json", "safetensors", "sha256")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "small") as folder:
        yield folder


def save(checkpoints: Checkpoints, epochs: int) -> None:
    curve = [EpochResult(n, 0.5, 1.0, 1.0, 2.0, 0.5, 100.0) for n in range(1, epochs + 1)]
    checkpoints.save({"network/a": np.full(MANY, epochs, np.float32)}, curve)


def assert_whole(folder: Path, *epochs: int) -> None:
    """The folder has these checkpoints and nothing else, and the last of them is what it was."""
    expected = {f"epoch-{epoch:05d}.{suffix}" for epoch in epochs for suffix in TOGETHER}
    assert {path.name for path in folder.iterdir()} == expected
    checkpoints = Checkpoints(folder, "x")
    found = checkpoints.latest()
    assert found is not None
    assert checkpoints.damaged == []
    assert len(found.curve) == epochs[-1]
    np.testing.assert_array_equal(found.arrays["network/a"], np.full(MANY, epochs[-1], np.float32))


@pytest.mark.parametrize("room", [0, 4_096, 100_000, 200_500, 204_800])
def test_those_of_before_are_whole_and_the_next_is_kept_when_there_is_room(
    small_disk: Path, room: int
) -> None:
    """With room for nothing, for half of the arrays, and for them but not for what follows."""
    folder = small_disk / "trial"
    checkpoints = Checkpoints(folder, "x")
    save(checkpoints, 1)
    save(checkpoints, 2)
    filler = fill(small_disk)
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - room)
    for _ in range(3):
        with pytest.raises(StorageError, match=r"checkpoint cannot be written: No space left") as e:
            save(checkpoints, 3)
        assert isinstance(e.value.__cause__, OSError)
        assert e.value.__cause__.errno == errno.ENOSPC
        assert_whole(folder, 1, 2)
    filler.unlink()
    save(checkpoints, 3)
    assert_whole(folder, 2, 3)


def test_what_killed_processes_left_makes_room(small_disk: Path) -> None:
    folder = small_disk / "trial"
    checkpoints = Checkpoints(folder, "x")
    save(checkpoints, 1)
    (folder / ".epoch-00002.12345.safetensors").write_bytes(b"x" * 600_000)
    fill(small_disk)
    save(checkpoints, 2)
    assert_whole(folder, 1, 2)
