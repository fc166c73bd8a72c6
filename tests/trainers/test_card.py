"""The facts of a card: intervals that are right, and the text that says them."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trainers.card import proportion_interval
from trainers.card_text import card_text

FACTS: dict[str, Any] = {
    "card": 1,
    "created": "2026-11-23T03:30:36+00:00",
    "recipe_file": "recipe.yaml",
    "recipe": {
        "recipe": 1,
        "study": {"name": "mine|`<b>\x1b[2J", "trial": 3, "val_accuracy": 0.5},
        "data": {"name": "cifar10"},
        "training": {"start": "scratch", "average": 0.0, "epochs": 3, "warm": {"checks": 8}},
        "full_training": {"seeds": [0, 1], "patience": None, "keep": "best"},
    },
    "architecture": {
        "backbone": {"name": "resnet18", "stem": "cifar", "width": 1.0, "classes": 2},
        "placements": [{"slot": "stage4.block2.before_add", "block": "se", "options": {"r": 4}}],
    },
    "architecture_id": "0123",
    "params": 1234567,
    "macs": 7654321,
    "blocks": [{"name": "se", "title": "SE", "paper": "arXiv:1709.01507", "deviations": "nothing"}],
    "input": {"size": 32, "resizing": "shorter side to input.size, then the centre"},
    "class_names": ["a", "<script>"],
    "data": {"title": "Lights", "train_images": 40, "validation_images": 20, "test_images": 200,
             "checksum": "c" * 64, "test_checksum": "t" * 64},
    "results": {
        "exported_seed": 1, "test_accuracy": 0.9, "test_images": 200,
        "test_interval": [0.85, 0.93],
        "over_seeds": {"seeds": 2, "mean": 0.88, "deviation": 0.02, "interval": [0.7, 1.0]},
        "seeds": [
            {"seed": 0, "epochs": 3, "kept_epoch": 2, "ended_early": True, "val_accuracy": 0.8,
             "test_accuracy": 0.86},
            {"seed": 1, "epochs": 3, "kept_epoch": 3, "ended_early": False, "val_accuracy": 0.9,
             "test_accuracy": 0.9},
        ],
    },
    "files": {"weights.safetensors": {"bytes": 1000, "sha256": "w" * 64}},
    "parity": {"allowed": 1e-4, "found": {"Paddle Inference": 0.0, "ONNX Runtime": 3.8e-7}},
    "no_onnx": None,
    "speed": {
        "quiet": True,
        "forms": [
            {"form": form, "batch": batch, "median_ms": ms, "p90_ms": 2 * ms,
             "images_per_second": 1000 * batch / ms}
            for form, ms in (("Paddle", 4.0), ("ONNX Runtime", 0.5)) for batch in (1, 8)
        ],
    },
    "machine": {"processor": "A | B", "cores": 2},
    "versions": {"numpy": "2"},
}  # fmt: skip


def changed(**values: Any) -> dict[str, Any]:
    facts = copy.deepcopy(FACTS)
    for path, value in values.items():
        *parts, last = path.split("__")
        target = facts
        for part in parts:
            target = target[part]
        target[last] = value
    return facts


@given(st.integers(1, 10_000), st.data())
def test_the_interval_of_a_share_is_wilsons(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
    low, high = proportion_interval(hits / count, count)
    assert low == pytest.approx(expected.low, abs=1e-6)
    assert high == pytest.approx(expected.high, abs=1e-6)
    assert low <= hits / count <= high


def test_the_numbers_are_in_the_text() -> None:
    text = card_text(FACTS)
    assert "**90.00 %** of 200 test images right (95 % interval 85.00 % to 93.00 %)" in text
    assert "1,234,567 parameters and 7,654,321 MACs" in text
    assert "| 0 | 3 | 2 | 80.00 % | 86.00 % | ended early |" in text
    assert "| 1 | 3 | 3 | 90.00 % | 90.00 % | exported |" in text
    assert "mean 88.00 %, standard deviation 2.00 points; 95 % interval of the mean 70.00 %" in text
    assert "| ONNX Runtime | 0.5 ms (1) | 2,000 | 16,000 |" in text
    assert "Paddle Inference 0.0e+00; ONNX Runtime 3.8e-07 of their scale (allowed: 0.0001)" in text
    assert f"| images of the test split | `{'t' * 64}` |" in text
    assert "se: SE; arXiv:1709.01507." in text
    assert "warm" not in text


def test_text_of_others_stays_text() -> None:
    text = card_text(FACTS)
    assert "\x1b" not in text
    assert "mine\\|\\`&lt;b>" in text
    assert "<script>" not in text


def test_one_seed_says_that_it_is_one() -> None:
    text = card_text(changed(results__over_seeds={"seeds": 1, "mean": 0.9}))
    assert "One seed: what another one would change is not known" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"speed": "it hung"}, "Not measured: it hung"),
        ({"no_onnx": "no such operation"}, "There is no ONNX model: no such operation"),
        ({"recipe__study": None}, "## How good it is"),
        ({"architecture__placements": [], "blocks": []}, "- none: the plain backbone"),
        ({"recipe__full_training__patience": 5}, "ends after 5 epochs without a better one"),
        ({"recipe__full_training__keep": "last"}, "the epoch that was last"),
        ({"recipe__training__average": 0.99}, "averaged weights (decay 0.99)"),
        ({"speed__quiet": False}, "trainings here not held off"),
    ],
)
def test_what_is_special_is_said(change: dict[str, Any], said: str) -> None:
    assert said in card_text(changed(**change))
