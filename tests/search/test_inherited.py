"""The weights of a study stay the same from its first run to its last."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulated import Executor, curves, make_driver, make_space

import run_search
from models.architecture import Architecture, Backbone
from models.build import build
from models.errors import InputError
from models.interruption import Interruption
from search.driver import Assignment
from search.inherited import FILE, agree_on_start, given_start
from search.ledger import Ledger
from search.space import Space
from search.trial import Role
from trainers.data import search_split, store
from trainers.messages import Answer, Measured, Saved, Start, Task
from trainers.start import save_start

SIDE = 16
SMOKE = Path(__file__).parents[2] / "spaces" / "smoke.yaml"
OpenLedger = Callable[..., Ledger]


def write_weights(path: Path, seed: int = 0, width: float = 0.0625) -> Start:
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_start(build(Architecture(Backbone(width=width)), SIDE, seed), path)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def refusal(ledger: Ledger, given: Start | None, folder: Path) -> str:
    before = ledger.start
    with pytest.raises(InputError) as caught:
        agree_on_start(ledger, given, folder)
    assert ledger.start == before, "what the study holds stays"
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Weights from outside.


@pytest.mark.parametrize("start", ["scratch", "baseline"])
def test_without_weights_from_outside_nothing_is_looked_for(start: str) -> None:
    assert given_start(make_space(f"training.start={start}")) is None


def test_a_file_is_tried_on_the_spaces_backbone(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    start = write_weights(path)
    space = make_space(f"training.start={path}")
    assert given_start(space) == start
    write_weights(path, width=0.125)
    with pytest.raises(InputError, match=r"^training\.start: .*w\.safetensors: .*another shape"):
        given_start(space)


def outside(tmp_path: Path, open_ledger: OpenLedger) -> tuple[Space, Ledger, Path]:
    """A study that has begun with weights from outside."""
    path = tmp_path / "w.safetensors"
    write_weights(path)
    space = make_space(f"training.start={path}")
    ledger = open_ledger(space)
    agree_on_start(ledger, given_start(space), tmp_path / "study")
    return space, ledger, path


def test_a_new_study_notes_its_weights_and_hands_them_out(
    tmp_path: Path, open_ledger: OpenLedger
) -> None:
    space, _, _ = outside(tmp_path, open_ledger)
    again = open_ledger(space)
    assert again.start == given_start(space)
    agree_on_start(again, given_start(space), tmp_path / "study")
    first = make_driver(space, again).next_task()
    assert isinstance(first, Assignment)
    assert first.task.start == given_start(space)


def test_another_file_in_its_place_is_refused_with_what_to_do(
    tmp_path: Path, open_ledger: OpenLedger
) -> None:
    space, ledger, path = outside(tmp_path, open_ledger)
    write_weights(path, seed=1)  # whole, and its own checksum beside it
    message = refusal(ledger, given_start(space), tmp_path / "study")
    assert message.startswith(f"{path}: its SHA-256 is not that of the weights this study began")
    assert "give the old file" in message
    assert "--study NAME" in message


def test_a_damaged_file_is_refused_before_the_study_is_asked(
    tmp_path: Path, open_ledger: OpenLedger
) -> None:
    space, _, path = outside(tmp_path, open_ledger)
    flip_a_bit(path)
    with pytest.raises(InputError, match=r"training\.start: .*SHA-256 is not the one in w\.safet"):
        given_start(space)
    path.unlink()
    with pytest.raises(InputError, match=r"training\.start: .*there is no such file"):
        given_start(space)


def test_the_same_weights_elsewhere_are_the_same(tmp_path: Path, open_ledger: OpenLedger) -> None:
    """As where a study and its weights are copied to another machine."""
    _, ledger, path = outside(tmp_path, open_ledger)
    moved = path.rename(tmp_path / "moved.safetensors")
    assert ledger.start is not None
    agree_on_start(ledger, Start(str(moved), ledger.start.checksum), tmp_path / "study")
    assert ledger.start.path == str(moved)


# The baseline's own weights.


def saving(task: Task) -> Iterator[Answer]:
    """A worker that trains nothing and writes the weights where it is asked to."""
    for answer in curves(task):
        if task.measure_first or not isinstance(answer, Measured):
            yield answer
    if task.save_to is not None:
        yield Saved(write_weights(Path(task.save_to)))


@pytest.fixture
def begun(tmp_path: Path, open_ledger: OpenLedger) -> tuple[Space, Path]:
    """A study whose baseline was trained and saved, and nothing else."""
    space = make_space("training.start=baseline", "search.trials=3", "training.warm.checks=1")
    folder = tmp_path / "study"
    ledger = open_ledger(space)
    agree_on_start(ledger, None, folder)
    assert ledger.start is None, "it has no weights yet"
    Executor(make_driver(space, ledger, weights=folder / FILE), saving).run(3 + 1)
    assert ledger.start is not None
    assert ledger.trials()[0].role is Role.ORIGIN
    return space, folder


def test_the_second_run_goes_on_with_the_baselines_weights(
    begun: tuple[Space, Path], open_ledger: OpenLedger
) -> None:
    space, folder = begun
    ledger = open_ledger(space)
    agree_on_start(ledger, None, folder)
    assert ledger.start is not None
    assert ledger.start.path == str(folder / FILE)
    executor = Executor(make_driver(space, ledger, weights=folder / FILE), saving)
    executor.run()
    assert executor.driver.done
    assert [given.task.save_to for given in executor.assigned] == [None] * 4
    contending = [given.task.start for given in executor.assigned][:3]
    assert set(contending) == {ledger.start}


def test_damaged_between_two_runs_they_are_refused(
    begun: tuple[Space, Path], open_ledger: OpenLedger
) -> None:
    space, folder = begun
    flip_a_bit(folder / FILE)
    message = refusal(open_ledger(space), None, folder)
    assert message.startswith(f"{folder / FILE}: its SHA-256 is not the one the study began with")
    assert "--fresh" in message


def test_gone_between_two_runs_they_are_missed(
    begun: tuple[Space, Path], open_ledger: OpenLedger
) -> None:
    space, folder = begun
    (folder / FILE).unlink()
    message = refusal(open_ledger(space), None, folder)
    assert message.startswith(f"{folder / FILE}: ")
    assert "are gone" in message
    assert "--fresh" in message


def test_a_study_may_be_renamed(begun: tuple[Space, Path], open_ledger: OpenLedger) -> None:
    space, folder = begun
    renamed = folder.rename(folder.with_name("elsewhere"))
    ledger = open_ledger(space, "elsewhere")
    agree_on_start(ledger, None, renamed)
    given = make_driver(space, ledger, weights=renamed / FILE).next_task()
    assert isinstance(given, Assignment)
    assert given.task.start is not None
    assert given.task.start.path == str(renamed / FILE)
    assert ledger.start == given.task.start
    assert open_ledger(space, "elsewhere").start == ledger.start


# The command: exit code 2 and one line, before anything is measured or Ray is started.


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs the program on the smoke space, without images; what it says as it refuses."""
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    monkeypatch.setattr(store, "prepare", lambda *_: tmp_path)
    monkeypatch.setattr(search_split, "describe_split", lambda *_: {"name": "none"})
    for name in ("_estimate", "_run"):
        monkeypatch.setattr(run_search, name, lambda *_: pytest.fail("the search went on"))

    def refused(*overrides: str) -> str:
        options = [part for override in overrides for part in ("-o", override)]
        code = run_search.main(["--space", str(SMOKE), "--runs", str(tmp_path / "runs"), *options])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return refused


def test_the_command_refuses_what_does_not_fit(command: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, width=0.125)
    message = command(f"training.start={path}")
    assert message.startswith(f"error: training.start: {path}: the weights do not fit the network")
    assert "of another shape in the weights: stem.0.weight" in message
    assert not (tmp_path / "runs" / "smoke" / "study.db").exists(), "no study has begun"


def test_the_command_refuses_what_is_damaged_or_missing(
    command: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    assert f"there is no file {path}" in command(f"training.start={path}")
    write_weights(path)
    flip_a_bit(path)
    assert "it is damaged or was changed" in command(f"training.start={path}")


def test_the_command_refuses_other_weights_than_the_studys(
    command: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path)
    with monkeypatch.context() as patched:
        for name in ("_estimate", "_run", "_report"):
            patched.setattr(run_search, name, lambda *_: None)
        given = ["--space", str(SMOKE), "--runs", str(tmp_path / "runs")]
        assert run_search.main([*given, "-o", f"training.start={path}"]) == 0
    capsys.readouterr()
    write_weights(path, seed=1)
    assert "not that of the weights this study began with" in command(f"training.start={path}")


def test_the_command_refuses_a_damaged_baseline(
    command: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "runs" / "smoke" / FILE

    def train_the_baseline(_: Space, ledger: Ledger, *__: object) -> None:
        ledger.note_start(write_weights(file))

    with monkeypatch.context() as patched:
        patched.setattr(run_search, "_estimate", lambda *_: None)
        patched.setattr(run_search, "_run", train_the_baseline)
        patched.setattr(run_search, "_report", lambda *_: None)
        given = ["--space", str(SMOKE), "--runs", str(tmp_path / "runs")]
        assert run_search.main([*given, "-o", "training.start=baseline"]) == 0
    capsys.readouterr()
    flip_a_bit(file)
    message = command("training.start=baseline")
    assert f"{file}: its SHA-256 is not the one the study began with" in message
    file.unlink()
    assert "are gone" in command("training.start=baseline")
