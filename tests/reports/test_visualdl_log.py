"""VisualDL logs: what VisualDL's own reader finds in them, each epoch once, whatever happens."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from example_study import GC, SE, trial

from models.errors import InputError
from reports import visualdl_log
from reports.visualdl_log import FILE, VisualDLLog, refuse_missing
from search.run_folder import refuse_links
from search.trial import Role, State, Trial
from trainers.config import TrainingConfig
from trainers.messages import EpochResult

ROOT = Path(__file__).parents[2]
RECIPE = TrainingConfig(epochs=4, learning_rate=0.1, schedule="constant")
TAGS = {
    "train/loss",
    "train/learning_rate",
    "train/images_per_second",
    "validation/loss",
    "validation/accuracy",
}


def trained(*accuracies: float, number: int = 7, **more: Any) -> Trial:
    return dataclasses.replace(trial(number, *accuracies, **more), epochs=4)


def log_of(folder: Path, say: Callable[[str], None] = pytest.fail) -> VisualDLLog:
    return VisualDLLog(folder, lambda role: RECIPE, say)


def path_of(folder: Path, number: int = 7) -> Path:
    return folder / "visualdl" / f"trial-{number:04d}" / FILE


def read(folder: Path, number: int = 7) -> dict[str, list[tuple[int, float]]]:
    """Epochs and values of each tag, by VisualDL's reader."""
    from visualdl import LogReader

    reader = LogReader(file_path=str(path_of(folder, number)))
    found = {}
    for tag in reader.get_tags().get("scalar", []):
        name = tag.replace("%", "/")
        found[name] = [(each.id, each.value) for each in reader.get_data("scalar", tag)]
    return found


def follow(log: VisualDLLog, accuracies: Sequence[float], **more: Any) -> None:
    """As the driver tells of a trial, epoch by epoch."""
    for done in range(1, len(accuracies) + 1):
        log.trial_advanced(trained(*accuracies[:done], state=State.RUNNING, **more))


def accuracies(folder: Path, number: int = 7) -> list[tuple[int, float]]:
    return [
        (epoch, round(value, 6)) for epoch, value in read(folder, number)["validation/accuracy"]
    ]


def test_each_epoch_is_there_as_soon_as_it_is_heard_of(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    log.trial_began(trained(state=State.RUNNING))
    assert not (tmp_path / "visualdl").exists()
    for done in (1, 2, 3):
        log.trial_advanced(trained(*(0.1, 0.2, 0.3)[:done], state=State.RUNNING))
        assert [epoch for epoch, _ in accuracies(tmp_path)] == list(range(1, done + 1))
    log.trial_ended(trained(0.1, 0.2, 0.3))
    found = read(tmp_path)
    assert found.keys() == TAGS
    assert accuracies(tmp_path) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert found["train/loss"] == [(n, 1.5) for n in (1, 2, 3)]
    assert found["validation/loss"] == [(n, 1.0) for n in (1, 2, 3)]
    assert found["train/images_per_second"] == [(n, 1000.0) for n in (1, 2, 3)]
    assert [round(value, 6) for _, value in found["train/learning_rate"]] == [0.1, 0.1, 0.1]


def test_the_learning_rate_is_that_of_the_trials_role(tmp_path: Path) -> None:
    recipes = {
        Role.CANDIDATE: RECIPE.model_copy(
            update={"schedule": "triangular", "warmup_fraction": 0.25}
        ),
        Role.CHECK: RECIPE,
    }
    log = VisualDLLog(tmp_path, recipes.__getitem__, pytest.fail)
    follow(log, (0.1, 0.2, 0.3, 0.4))
    follow(log, (0.1,), number=8, role=Role.CHECK)
    rates = [round(value, 6) for _, value in read(tmp_path)["train/learning_rate"]]
    assert rates == [0.05, 0.083333, 0.05, 0.016667]  # in the middle of each epoch
    assert round(read(tmp_path, 8)["train/learning_rate"][0][1], 6) == 0.1


def test_a_resumed_trial_goes_on_with_its_log(tmp_path: Path) -> None:
    follow(log_of(tmp_path), (0.1, 0.2))
    before = path_of(tmp_path).read_bytes()
    log = log_of(tmp_path)  # of the next process
    log.trial_advanced(trained(0.1, 0.2, state=State.RUNNING))  # Resumed tells what is known
    assert path_of(tmp_path).read_bytes() == before
    log.trial_advanced(trained(0.1, 0.2, 0.3, state=State.RUNNING))
    assert path_of(tmp_path).read_bytes().startswith(before)
    assert accuracies(tmp_path) == [(1, 0.1), (2, 0.2), (3, 0.3)]


@pytest.mark.parametrize("same_process", [True, False])
def test_a_curve_that_was_cut_is_written_anew(tmp_path: Path, same_process: bool) -> None:
    log = log_of(tmp_path)
    follow(log, (0.1, 0.2, 0.3))
    if not same_process:
        log = log_of(tmp_path)
    log.trial_advanced(trained(0.1, state=State.RUNNING))
    assert accuracies(tmp_path) == [(1, 0.1)]
    log.trial_advanced(trained(0.1, 0.25, state=State.RUNNING))
    assert accuracies(tmp_path) == [(1, 0.1), (2, 0.25)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content + b"\x09",
        lambda content: content[:40],
        lambda content: b"",
        lambda content: b"\xff" * 100,
        lambda content: content[:8] + bytes([content[8] ^ 0xFF]) + content[9:],
    ],
)
def test_a_torn_log_is_written_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    follow(log_of(tmp_path), (0.1, 0.2))
    path = path_of(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    log_of(tmp_path).trial_advanced(trained(0.1, 0.2, 0.3))
    assert accuracies(tmp_path) == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_another_studys_log_is_written_anew(tmp_path: Path) -> None:
    follow(log_of(tmp_path), (0.5, 0.6, 0.7, 0.8))
    follow(log_of(tmp_path), (0.1,))
    assert accuracies(tmp_path) == [(1, 0.1)]


def test_a_huge_log_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(log_of(tmp_path), (0.1,))
    monkeypatch.setattr(visualdl_log, "MOST_BYTES", 100)
    before = path_of(tmp_path).read_bytes()
    log_of(tmp_path).trial_advanced(trained(0.1, 0.2))
    assert not path_of(tmp_path).read_bytes().startswith(before)
    assert accuracies(tmp_path) == [(1, 0.1), (2, 0.2)]


def test_each_trial_has_its_own_log_and_untrained_ones_have_none(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    follow(log, (0.1, 0.2), number=0, placed=SE)
    follow(log, (0.3,), number=12345, placed=GC)
    log.trial_ended(trained(number=3, state=State.INFEASIBLE))
    assert sorted(each.name for each in (tmp_path / "visualdl").iterdir()) == [
        "trial-0000",
        "trial-12345",
    ]
    assert accuracies(tmp_path, 0) == [(1, 0.1), (2, 0.2)]
    assert accuracies(tmp_path, 12345) == [(1, 0.3)]


def test_what_a_trial_is_stands_beside_its_curves(tmp_path: Path) -> None:
    from visualdl import LogReader

    follow(log_of(tmp_path), (0.1,), placed=GC, name="a\x1b[2J name")
    reader = LogReader(file_path=str(path_of(tmp_path)))
    hparam = reader.get_data("hyper_parameters", "hparam")[0].hparam
    facts = {each.name: each for each in hparam.hparamInfos}
    assert facts["blocks"].string_value == "gc"
    assert facts["params"].int_value == 11_200_000
    assert facts["role"].string_value == "candidate"
    assert [each.name for each in hparam.metricInfos] == ["validation/accuracy"]
    name = reader.get_data("meta_data", "meta_data_tag")[0].meta_data.display_name
    assert name == "trial 7: a\\x1b[2J name: gc"


def test_losses_past_float32(tmp_path: Path) -> None:
    huge = EpochResult(1, 0.1, 1e300, -1e300, 1.0, 1.0, 1e17)
    log = log_of(tmp_path)
    log.trial_advanced(dataclasses.replace(trained(0.1), curve=(huge,)))
    log_of(tmp_path).trial_advanced(
        dataclasses.replace(trained(0.1), curve=(huge, dataclasses.replace(huge, epoch=2)))
    )
    assert read(tmp_path)["validation/loss"] == [(1, float("inf")), (2, float("inf"))]


def test_a_log_that_cannot_be_written_ends_no_search(tmp_path: Path) -> None:
    (tmp_path / "visualdl").write_text("in its way")
    said: list[str] = []
    log = log_of(tmp_path, said.append)
    follow(log, (0.1, 0.2, 0.3))
    assert len(said) == 1
    assert said[0].startswith("VisualDL logs are not written any more: ")


def test_links_in_the_logs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    path = path_of(tmp_path)
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a symbolic link"):
        refuse_links(tmp_path)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_missing()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'visualdl>=2\.5'") as caught:
        refuse_missing()
    assert caught.value.exit_code == 2


def test_it_is_loaded_only_to_write(tmp_path: Path) -> None:
    script = (
        "import sys, reports.visualdl_log as v; v.refuse_missing(); "
        "print([m for m in sys.modules if m.split('.')[0] in {'visualdl', 'paddle'}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_visualdl_shows_the_folder(tmp_path: Path) -> None:
    """As its server reads it: one run for each trial."""
    from visualdl import LogReader

    follow(log_of(tmp_path), (0.1, 0.2), number=0)
    follow(log_of(tmp_path), (0.3,), number=1)
    reader = LogReader(str(tmp_path / "visualdl"))
    assert sorted(os.path.basename(run) for run in reader.runs()) == ["trial-0000", "trial-0001"]  # noqa: PTH119
