"""Small folders of generated images."""

from collections.abc import Callable
from pathlib import Path

import pytest
from image_folders import write_folder

from trainers.config import DataConfig


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two classes of ten images."""
    return write_folder(tmp_path / "pets", {"cat": 10, "dog": 10})


@pytest.fixture
def of(pets: Path, cache_home: Path) -> Callable[..., DataConfig]:
    """The configuration of `pets`, with an empty cache."""

    def make(**more: object) -> DataConfig:
        given = {"name": "folder", "path": str(pets), "image_size": 8} | more
        return DataConfig.model_validate(given)

    return make
