"""What a storage did not take: recorded whole by the next search, or refused whole."""

import dataclasses
import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from simulated import Executor, epoch, make_driver, measured

from models.build import cost
from models.errors import StorageError
from search.ledger import Ledger, Proposal
from search.space import Space
from search.study_file import DATABASE
from search.trial import State
from search.unrecorded import FILE, Unrecorded
from trainers.messages import Failed

Open = Callable[..., Ledger]
CURVE = [dataclasses.asdict(epoch(1, 0.25)), dataclasses.asdict(epoch(2, 0.5))]
OF = {"study": "a study"}
BEGUN = b'{"study": "a study", "trial": 1, '
FIRST = {**OF, "trial": 1, "set": "curve", "value": CURVE}


@pytest.fixture(autouse=True)
def _ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _: OF["study"])


@pytest.fixture
def begun(space: Space, open_ledger: Open) -> Ledger:
    """A study whose trial 0 has failed and whose trial 1 has had one epoch of two."""
    ledger = open_ledger(space)
    for _ in range(2):
        ledger.begin(Proposal(space.baseline), cost(space.baseline, 16), epochs=2)
    ledger.fail(0, Failed("it broke"))
    ledger.measured(1, measured(1.0).latency)
    ledger.epoch(1, [epoch(1, 0.25)])
    return ledger


@pytest.fixture
def path(begun: Ledger, tmp_path: Path) -> Path:
    return tmp_path / "study" / FILE


def dumped(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return list(connection.iterdump())


def lines(*writes: object) -> bytes:
    return b"".join(json.dumps(write).encode() + b"\n" for write in writes)


def values(begun: Ledger, curve: int = 1) -> list[Any]:
    """Those of the objectives of trial 1, after epoch 2 or before."""
    trial = begun.trial(1)
    return [CURVE[curve]["val_accuracy"], *map(trial.objective, begun.objectives[1:])]


def set_to(key: str, value: object, trial: object = 1) -> dict[str, Any]:
    return {**OF, "trial": trial, "set": key, "value": value}


BAD: dict[str, bytes] = {
    "not UTF-8": b"\xff\xfe\n",
    "half a line": b'{"study": "a study", "trial": 1, "set": "cur\n',
    "an empty line": b"\n",
    "no object": b"[1]\n",
    "a text": b'"trial"\n',
    "nested too deep": b'{"study": "a study", "trial": 1, "set": "curve", "value": '
    + b"[" * 200_000
    + b"\n",
    "nested deep": b'{"study": "a study", "trial": 1, "set": "worker", "value": '
    + b"[" * 500
    + b"]" * 500
    + b"}\n",
    "no trial": lines(OF | {"set": "reason", "value": ""}),
    "one more key": lines(FIRST | {"more": 1}),
    "both": lines(FIRST | {"end": "FAIL", "values": None}),
    "a trial that is not there": lines(set_to("reason", "", 2)),
    "a trial below 0": lines(set_to("reason", "", -1)),
    "a truth value for a trial": lines(set_to("reason", "", True)),
    "a text for a trial": lines(set_to("reason", "", "1")),
    "a fraction for a trial": lines(set_to("reason", "", 1.0)),
    "no attribute": lines(set_to([], "")),
    "an unknown attribute": lines(set_to("constraints", [0.0])),
    "one of a trial that has begun": lines(set_to("params", 1)),
    "an unknown attribute of a trial that has ended": lines(set_to("params", 1, 0)),
    "a curve of nothing": lines(set_to("curve", None)),
    "a curve from its second epoch": lines(set_to("curve", CURVE[1:])),
    "an accuracy that is none": lines(set_to("curve", [CURVE[0] | {"val_accuracy": True}])),
    "not a number": lines(set_to("curve", [CURVE[0] | {"val_accuracy": float("nan")}])),
    "a loss without end": lines(set_to("curve", [CURVE[0] | {"val_loss": float("inf")}])),
    "a latency that is a text": lines(set_to("latency_ms", "7")),
    "no latency": lines(set_to("latency", {})),
    "no worker": lines(set_to("worker", {"host": "x"})),
    "no reason": lines(set_to("reason", 3)),
    "no traceback": lines(set_to("traceback", None)),
    "no outcome": lines(set_to("outcome", "won")),
    "an outcome that is a list": lines(set_to("outcome", [])),
    "running for an outcome": lines(set_to("outcome", "running")),
    "no source": lines(set_to("latency_source", "guessed")),
    "parts that are none": lines(set_to("micro_batches", 0)),
    "no end": lines({**OF, "trial": 1, "end": "RUNNING", "values": None}),
    "an end that waits": lines({**OF, "trial": 1, "end": "WAITING", "values": None}),
    "an end that is a list": lines({**OF, "trial": 1, "end": [], "values": None}),
    "stopped without saying so": lines({**OF, "trial": 1, "end": "PRUNED", "values": None}),
    "failed with values": lines({**OF, "trial": 1, "end": "FAIL", "values": [0.5]}),
    "failed and said to be stopped": lines(
        set_to("outcome", "stopped"), {**OF, "trial": 1, "end": "FAIL", "values": None}
    ),
    "written after its end": lines(
        {**OF, "trial": 1, "end": "FAIL", "values": None}, set_to("reason", "late")
    ),
    "ended twice": lines(
        {**OF, "trial": 1, "end": "FAIL", "values": None},
        {**OF, "trial": 1, "end": "COMPLETE", "values": [0.5]},
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_line_that_is_none_of_ours_refuses_all(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, kind: str
) -> None:
    """With file and line and what to do; the lines before it are not recorded either."""
    path.write_bytes(lines(FIRST) + BAD[kind])
    study = dumped(path.parent)
    with pytest.raises(StorageError) as error:
        open_ledger(space)
    line = len((lines(FIRST) + BAD[kind]).splitlines())
    assert f"{path}: line {line} is none that this program wrote: " in str(error.value)
    assert "nothing of the file was recorded: mend it, or move it away" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000 + len(str(path))
    assert dumped(path.parent) == study
    path.unlink()
    assert open_ledger(space).trials() == begun.trials()


VALUES: dict[str, Callable[[Ledger], object]] = {
    "none": lambda _: None,
    "too few": lambda ledger: values(ledger)[:-1],
    "too many": lambda ledger: [*values(ledger), 1.0],
    "not finite": lambda ledger: [float("nan"), *values(ledger)[1:]],
    "texts": lambda ledger: list(map(str, values(ledger))),
    "truth values": lambda ledger: [True, *values(ledger)[1:]],
    "others than the trial's": lambda ledger: [0.99, *values(ledger)[1:]],
    "an object": lambda _: {},
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_are_those_of_the_trial(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, kind: str
) -> None:
    path.write_bytes(
        lines(FIRST, {**OF, "trial": 1, "end": "COMPLETE", "values": VALUES[kind](begun)})
    )
    study = dumped(path.parent)
    with pytest.raises(StorageError, match="line 2 is none"):
        open_ledger(space)
    assert dumped(path.parent) == study


def test_a_trial_that_lacks_epochs_is_not_complete(
    begun: Ledger, space: Space, open_ledger: Open, path: Path
) -> None:
    path.write_bytes(lines({**OF, "trial": 1, "end": "COMPLETE", "values": values(begun, 0)}))
    with pytest.raises(StorageError, match="trial 1 is not complete"):
        open_ledger(space)


def test_what_was_kept_is_recorded(
    begun: Ledger, space: Space, open_ledger: Open, path: Path
) -> None:
    complete = {**OF, "trial": 1, "end": "COMPLETE", "values": values(begun)}
    path.write_bytes(lines(FIRST, complete))
    again = open_ledger(space)
    assert again.trial(1).state is State.COMPLETE
    assert again.frozen(1).values == complete["values"]
    assert not path.exists()
    assert Ledger.read(path.parent).trials() == again.trials()


@pytest.mark.parametrize(
    "writes",
    [
        [set_to("outcome", "stopped"), set_to("reason", "slow")],
        [set_to("outcome", "infeasible")],
    ],
)
def test_one_that_was_stopped_is(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, writes: list[object]
) -> None:
    path.write_bytes(lines(*writes, {**OF, "trial": 1, "end": "PRUNED", "values": None}))
    assert open_ledger(space).trial(1).state.value == writes[0]["value"]  # type: ignore[index]


def test_every_attribute_that_the_ledger_writes_is_known(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole search, whose writes are made once more by the next one."""
    kept: list[dict[str, Any]] = []
    ledger = open_ledger(space, "other")
    for name in ("set", "end"):
        monkeypatch.setattr(ledger._records, name, spied(ledger, name, kept))
    Executor(make_driver(space, ledger)).run()
    assert {each.get("set", "end") for each in kept} >= {"curve", "latency", "latency_ms", "end"}
    (path.parent.parent / "other" / FILE).write_bytes(lines(*kept))
    study = dumped(path.parent.parent / "other")
    assert open_ledger(space, "other").trials() == ledger.trials()
    assert dumped(path.parent.parent / "other") == study, "all of it was there"
    assert not (path.parent.parent / "other" / FILE).exists()


def spied(ledger: Ledger, name: str, kept: list[dict[str, Any]]) -> Callable[..., None]:
    original = getattr(ledger._records, name)

    def write(number: int, what: Any, value: Any = None) -> None:
        set_ = name == "set"
        kept.append(
            {**OF, "trial": number, "set": what, "value": value} if set_ else
            {**OF, "trial": number, "end": what.name, "values": value and list(value)}
        )  # fmt: skip
        original(number, what, value)

    return write


def test_a_result_that_the_study_has_is_passed_over(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    end = {**OF, "trial": 0, "end": "FAIL", "values": None}
    path.write_bytes(lines(set_to("outcome", "failed", 0), end, FIRST, FIRST, end))
    ended = Ledger.read(path.parent).frozen(0)
    again = open_ledger(space)
    assert len(again.trial(1).curve) == 2
    assert again.trial(0) == begun.trial(0)
    assert again.frozen(0) == ended
    assert capfd.readouterr().err == ""


def test_one_that_ended_otherwise_meanwhile_stays_as_it_is(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As on a server, where another machine's search took it up."""
    path.write_bytes(lines(set_to("curve", CURVE, 0), FIRST))
    again = open_ledger(space)
    assert again.trial(0) == begun.trial(0)
    assert len(again.trial(1).curve) == 2
    said = f"warning: trial 0 has ended since; what {FILE} holds of it is not used\n"
    assert capfd.readouterr().err == said


@pytest.mark.parametrize(
    "rest",
    [
        BEGUN + b'"se',
        b"\xff",
        b"[" * 200_000,
        BEGUN[:-2] + b"}",
    ],
)
def test_a_last_line_that_was_cut_off_is_none(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, rest: bytes
) -> None:
    path.write_bytes(lines(FIRST) + rest)
    if rest.endswith(b"}"):  # it was not
        with pytest.raises(StorageError, match="line 2 is none"):
            open_ledger(space)
        return
    assert len(open_ledger(space).trial(1).curve) == 2
    assert not path.exists()


def test_one_that_lacks_only_its_end_of_line_is_whole(
    begun: Ledger, space: Space, open_ledger: Open, path: Path
) -> None:
    path.write_bytes(lines(FIRST).rstrip())
    assert len(open_ledger(space).trial(1).curve) == 2


def test_the_next_write_is_a_line_of_its_own(
    begun: Ledger, space: Space, open_ledger: Open, path: Path
) -> None:
    """Where the one before was cut off."""
    path.write_bytes(lines(FIRST) + BEGUN + b'"se')
    Unrecorded(path.parent).keep(set_to("reason", "x"))
    assert path.read_bytes() == lines(FIRST, set_to("reason", "x"))
    assert open_ledger(space).trial(1).reason == "x"


def test_nothing_is_written_through_a_link(begun: Ledger, path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    path.symlink_to(tmp_path / "other")
    Unrecorded(path.parent).keep(FIRST)
    assert (tmp_path / "other").read_text() == "mine"
    with pytest.raises(StorageError, match=f"{path} is no file of this program: move it away"):
        Unrecorded(path.parent).kept(OF["study"])


@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_at_once(begun: Ledger, path: Path) -> None:
    for make in (os.mkfifo, os.mkdir):
        make(path)
        Unrecorded(path.parent).keep(FIRST)
        with pytest.raises(StorageError, match=f"{path} is no file of this program"):
            Unrecorded(path.parent).kept(OF["study"])
        path.unlink() if make is os.mkfifo else path.rmdir()


def test_one_that_cannot_be_removed_is_said(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(lines(FIRST))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match=f"{path} cannot be used: Permission denied; see whose"):
        open_ledger(space)
    monkeypatch.undo()
    assert len(open_ledger(space).trial(1).curve) == 2


def test_a_study_that_is_not_this_programs_is_not_written_to(
    begun: Ledger, space: Space, open_ledger: Open, path: Path
) -> None:
    """It is looked at first."""
    path.write_bytes(lines(FIRST))
    optuna.load_study(study_name=None, storage=f"sqlite:///{path.parent / DATABASE}").set_user_attr(
        "objectives", ["val_accuracy"]
    )
    study = dumped(path.parent)
    with pytest.raises(StorageError, match="holds no study"):
        open_ledger(space)
    assert dumped(path.parent) == study


def test_what_is_of_another_study_is_not_recorded(
    open_ledger: Open, space: Space, begun: Ledger, path: Path
) -> None:
    """As where another machine has set the study on the server aside, and begun one of its name."""
    path.write_bytes(lines(FIRST | {"study": "another"}))
    before = dumped(path.parent)
    with pytest.raises(StorageError, match="results of a study that is no longer here"):
        open_ledger(space)
    assert dumped(path.parent) == before
    assert path.exists()


def test_what_is_of_a_study_that_is_gone_is_kept_and_no_study_is_made(
    open_ledger: Open, space: Space, begun: Ledger, path: Path
) -> None:
    path.write_bytes(lines(FIRST))
    (path.parent / DATABASE).unlink()
    with pytest.raises(StorageError, match=r"put that back, or move the file away"):
        open_ledger(space)
    assert {each.name for each in path.parent.iterdir()} == {FILE}
