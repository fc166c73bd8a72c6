"""The speed of the exported forms: measured in a process of its own, or said why not."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_jobs import SE, thin

from models.build import build
from trainers import onnx_model, speed
from trainers.exported import EAGER, INFERENCE, ONNX, export_forms
from trainers.speed import BATCHES, ROUNDS, Speed, SpeedError, measure_speed

TOLD = {
    "speeds": [{"form": "a", "batch": 8, "median_ms": 4.0, "p90_ms": 5.0}],
    "rounds": [[8, 9]], "quiet": True, "clock": "process",
}  # fmt: skip


@pytest.mark.slow
def test_every_form_at_every_batch_size(tmp_path: Path) -> None:
    architecture = thin(SE)
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    made = export_forms(build(architecture, 8, seed=0), images, tmp_path, {})
    found = measure_speed(tmp_path, architecture.to_json(), 8, 8, seconds=0.2)
    forms = [EAGER, INFERENCE, *([] if made.no_onnx else [ONNX])]
    assert [(each.form, each.batch) for each in found.speeds] == [
        (form, batch) for batch in BATCHES for form in forms
    ]
    assert all(0 < each.median_ms <= each.p90_ms for each in found.speeds)
    assert [batch for batch, _ in found.rounds] == list(BATCHES)
    assert all(rounds >= ROUNDS for _, rounds in found.rounds)


def test_a_second_holds_a_batch_for_each_median() -> None:
    assert Speed("a", 8, 4.0, 5.0).images_per_second == 2000


def answer(monkeypatch: pytest.MonkeyPatch, code: int, out: str, err: str = "") -> list[Any]:
    asked: list[Any] = []

    def run(words: list[str], **given: Any) -> subprocess.CompletedProcess[str]:
        asked.append(given)
        return subprocess.CompletedProcess(words, code, out, err)

    monkeypatch.setattr(speed.subprocess, "run", run)
    return asked


def test_what_the_process_says_is_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Behind whatever a library prints before; and it has one thread."""
    asked = answer(monkeypatch, 0, "hello\n" + json.dumps(TOLD) + "\n")
    found = measure_speed(tmp_path, "{}", 8, 12)
    assert found.speeds == (Speed("a", 8, 4.0, 5.0),)
    assert found.rounds == ((8, 9),)
    assert asked[0]["env"]["OMP_NUM_THREADS"] == "1"
    assert json.loads(asked[0]["input"])["kept_size"] == 12


@pytest.mark.parametrize(
    ("code", "out", "message"),
    [(1, "", "ended with 1: oh no"), (-9, "", "ended with -9"), (0, "", "no measurement"),
     (0, "hello", "no measurement"), (0, "{}", "no measurement"), (0, "[]", "no measurement")],
)  # fmt: skip
def test_a_process_that_fails_is_no_end_of_the_export(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, out: str, message: str
) -> None:
    answer(monkeypatch, code, out, "Traceback\noh no")
    with pytest.raises(SpeedError, match=message):
        measure_speed(tmp_path, "{}", 8, 8)


def test_a_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def hang(words: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(words, 900)

    monkeypatch.setattr(speed.subprocess, "run", hang)
    with pytest.raises(SpeedError, match="more than 900 seconds"):
        measure_speed(tmp_path, "{}", 8, 8)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(onnx_model.ConversionError, match="more than 600 seconds"):
        onnx_model.convert(tmp_path / "model", tmp_path / "model.onnx", {})
