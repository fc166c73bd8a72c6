"""The held-out test split: all of it, in its order, and only where a network is judged for good."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import InputError
from trainers.config import DataConfig
from trainers.data.held_out import held_out_batches

ROOT = Path(__file__).parents[3]
PRODUCT = ("models", "trainers", "search", "reports")
READERS = {
    "trainers.data.store": {"trainers/data/held_out.py"},
    "trainers.data.held_out": {"trainers/candidate.py", "trainers/full_training.py"},
    "trainers.full_training": {
        "trainers/card.py", "trainers/console.py", "trainers/full_job.py",
        "trainers/publication.py",
    },
}  # fmt: skip
"""Who may import what opens the test split: nothing that a search is made of."""


@pytest.fixture
def folder(small: Any, tmp_path: Path) -> Path:
    np.save(tmp_path / "test_images.npy", small.decoded.test.images)
    np.save(tmp_path / "test_labels.npy", small.decoded.test.labels)
    return tmp_path


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_every_image_once_in_its_order(small: Any, folder: Path, device: str) -> None:
    found = list(held_out_batches(DataConfig(), folder, device))
    labels = np.concatenate([np.asarray(labels) for _, labels in found])
    assert labels.tolist() == small.decoded.test.labels.tolist()
    pixels = np.concatenate([np.asarray(pixels) for pixels, _ in found])  # [N, 3, H, W]
    mean, deviation = (
        np.array(v)[:, None, None] for v in (small.facts.mean, small.facts.deviation)
    )
    expected = (small.decoded.test.images.transpose(0, 3, 1, 2) / 255 - mean) / deviation
    assert np.allclose(pixels, expected, atol=1e-5)


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"test_images\.npy"):
        held_out_batches(DataConfig(), tmp_path)


def test_only_these_modules_can_open_it() -> None:
    opened = {name: set() for name in READERS}
    files = [ROOT / "run_search.py", *(p for name in PRODUCT for p in (ROOT / name).rglob("*.py"))]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "open_test":
                opened["trainers.data.store"].add(str(path.relative_to(ROOT)))
            if isinstance(node, ast.ImportFrom) and node.module in READERS:
                names = {alias.name for alias in node.names}
                if node.module != "trainers.data.store" or "open_test" in names:
                    opened[node.module].add(str(path.relative_to(ROOT)))
    assert opened == READERS
