"""The ledger: one write for each trial, read by anybody, and never over somebody else's file."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from simulated import epoch, make_space

from benchmarks.made_latencies import made_latency
from models.architecture import Architecture, Block, Placement
from models.build import cost
from models.errors import InputError, ProgramError, StorageError
from search.budgets import Budgets
from search.ledger import Ledger, Proposal
from search.space import Space
from search.trial import Role, State
from trainers.messages import Failed

Open = Callable[..., Ledger]


def control(space: Space) -> Proposal:
    placement = Placement(space.control_slot, Block("residual"))
    return Proposal(Architecture(space.file.backbone, (placement,)), Role.CONTROL)


def candidate(space: Space, index: int = 0) -> Proposal:
    slot = space.slots[index]
    (block, *_) = space.choices_at[slot][0].variants()
    return Proposal(Architecture(space.file.backbone, (Placement(slot, block),)))


def begin(space: Space, ledger: Ledger, proposal: Proposal) -> int:
    return ledger.begin(proposal, cost(proposal.architecture, 16), epochs=3)


def test_a_trial_is_entered_in_one_write(
    space: Space, open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(space)
    commits: list[str] = []
    rows = sqlite3.connect(ledger.study._storage._backend.engine.url.database)  # another reader

    storage = type(ledger._records._storage)

    def count(self: object, study: int, template_trial: optuna.trial.FrozenTrial) -> int:
        assert rows.execute("SELECT count(*) FROM trials").fetchone() == (len(commits),)
        trial_id = original(self, study, template_trial)
        commits.append(template_trial.user_attrs["candidate"]["architecture_id"])
        return trial_id

    original = storage.create_new_trial
    monkeypatch.setattr(storage, "create_new_trial", count)
    for name in ("set_trial_user_attr", "set_trial_system_attr", "set_trial_param"):
        monkeypatch.setattr(storage, name, lambda *_: pytest.fail("a second write"))
    baseline = Proposal(space.baseline, Role.BASELINE)
    assert [begin(space, ledger, p) for p in (baseline, control(space))] == [0, 1]
    rows.close()
    baseline, residual = ledger.trials()
    assert (baseline.role, baseline.state) == (Role.BASELINE, State.RUNNING)
    assert (residual.role, residual.state) == (Role.CONTROL, State.RUNNING)
    assert baseline.architecture == space.baseline
    assert baseline.params == cost(space.baseline, 16).params
    assert commits == [baseline.architecture_id, residual.architecture_id]


def test_every_end_has_its_state_and_reason(space: Space, open_ledger: Open) -> None:
    ledger = open_ledger(space)
    for index in range(4):
        number = begin(space, ledger, candidate(space, index))
        ledger.measured(number, made_latency(2.0))
        ledger.epoch(number, [epoch(1, 0.25), epoch(2, 0.5)])
    ledger.complete(0)
    ledger.stop(1, "enough")
    ledger.fail(2, Failed("ValueError: no", "Traceback"))
    ledger.infeasible(3, {"max_latency_ms": 2.0})
    trials = ledger.trials()
    assert [trial.state for trial in trials] == [
        State.COMPLETE,
        State.STOPPED,
        State.FAILED,
        State.INFEASIBLE,
    ]
    assert [trial.reason for trial in trials] == [
        "",
        "enough",
        "ValueError: no",
        "2.00 times max_latency_ms",
    ]
    assert [trial.val_accuracy for trial in trials] == [0.5] * 4
    assert [trial.latency_ms for trial in trials] == [2.0] * 4
    assert ledger.frozen(0).values == [0.5, trials[0].params, 2.0]
    assert ledger.frozen(2).user_attrs["traceback"] == "Traceback"


def test_over_parameters_is_infeasible_from_the_start(open_ledger: Open) -> None:
    space = make_space("objectives.max_params=44750", "objectives.max_latency_ms=5")
    ledger = open_ledger(space)
    begin(space, ledger, candidate(space))
    begin(space, ledger, control(space))
    begin(space, ledger, Proposal(space.baseline, Role.BASELINE))
    refused, residual, baseline = ledger.trials()
    assert (refused.state, residual.state) == (State.INFEASIBLE, State.RUNNING)
    assert refused.reason == f"{refused.params / 44750:.2f} times max_params"
    assert dict(residual.over_budget) == {"max_params": residual.params / 44750}
    assert baseline.over_budget == ()


def test_constraints_are_where_the_dashboard_reads_them(open_ledger: Open) -> None:
    space = make_space("objectives.max_params=44750", "objectives.max_latency_ms=5")
    ledger = open_ledger(space)
    number = begin(space, ledger, control(space))
    excess = ledger.trial(number).params / 44750 - 1
    assert ledger.frozen(number).system_attrs["constraints"] == [pytest.approx(excess), 0.0]
    ledger.measured(number, made_latency(6.0))
    assert ledger.frozen(number).system_attrs["constraints"] == pytest.approx([excess, 0.2])
    assert dict(ledger.trial(number).over_budget).keys() == {"max_params", "max_latency_ms"}


def test_budgets() -> None:
    budgets = Budgets(100, 2.0)
    assert budgets.exceeded(100, 2.0) == {}
    assert budgets.exceeded(150, None) == {"max_params": 1.5}
    assert budgets.exceeded(101, 3.0) == {"max_params": 1.01, "max_latency_ms": 1.5}
    assert Budgets().exceeded(1e12, 1e12) == {}


def test_opened_again_it_is_the_same(space: Space, open_ledger: Open) -> None:
    ledger = open_ledger(space)
    for index in range(2):
        begin(space, ledger, candidate(space, index))
    ledger.measured(0, made_latency(2.0))
    ledger.epoch(0, [epoch(number, 0.5) for number in (1, 2, 3)])
    ledger.complete(0)
    ledger.note("machine", {"cores": 2})
    again = open_ledger(make_space("search.trials=99"))
    assert again.trials() == ledger.trials()
    assert again.objectives == ("val_accuracy", "params", "latency_ms")
    assert again.facts("machine") == {"cores": 2}
    assert again.facts("other") is None


def test_a_study_of_another_space_is_refused(space: Space, open_ledger: Open) -> None:
    begin(space, open_ledger(space), candidate(space))
    other = make_space("training.epochs=5", "placement.attention.gc.fusion=[add]")
    with pytest.raises(InputError) as caught:
        open_ledger(other)
    message = str(caught.value)
    assert "training.epochs 3 → 5" in message
    assert "placement.attention.gc.fusion ['add', 'mul'] → ['add']" in message
    assert "--study NAME" in message
    assert "--fresh" in message
    assert len(open_ledger(space).trials()) == 1


def foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE shopping (item TEXT)")
    connection.commit()
    connection.close()


def other_study(path: Path) -> None:
    optuna.create_study(storage=f"sqlite:///{path}", study_name="theirs")


@pytest.mark.parametrize("reading", [True, False], ids=["read", "open"])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"SQLite format 3\0" + b"x" * 84),
        lambda path: path.write_text("my notes\n" * 200),
        lambda path: path.mkdir(),
        foreign_database,
        other_study,
    ],
    ids=["zero-length", "truncated", "text", "folder", "foreign-database", "other-study"],
)
def test_what_is_no_study_is_left_as_it_is(
    space: Space, tmp_path: Path, write: Callable[[Path], None], reading: bool
) -> None:
    path = tmp_path / "study.db"
    write(path)
    before = None if path.is_dir() else path.read_bytes()
    with pytest.raises(StorageError, match=r"study\.db"):
        if reading:
            Ledger.read(tmp_path)
        else:
            Ledger.open(tmp_path, space.objective_names, space.file.fingerprint)
    assert before is None or path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["study.db"]


def test_no_study_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no study here"):
        Ledger.read(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("attribute", ["set_metric_names", "set_user_attr"])
def test_killed_while_the_study_was_begun(
    space: Space, open_ledger: Open, monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    """The same command continues, even if nothing but the database was made."""
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, attribute, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            open_ledger(space)
    try:
        assert open_ledger(space).trials() == []
    except ProgramError as error:
        pytest.fail(f"the same command does not continue: {error}")


def test_optuna_reads_the_study(space: Space, open_ledger: Open, tmp_path: Path) -> None:
    ledger = open_ledger(space)
    number = begin(space, ledger, candidate(space))
    ledger.measured(number, made_latency(2.0))
    ledger.epoch(number, [epoch(1, 0.5)])
    ledger.fail(number, Failed("no"))
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path}/study/study.db")
    assert study.metric_names == ["val_accuracy", "params", "latency_ms"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE"] + ["MINIMIZE"] * 2
    attributes = study.trials[0].user_attrs
    trial = ledger.trial(number)
    assert attributes["candidate"]["architecture_id"] == trial.architecture_id
    assert attributes["placements"] == trial.architecture.describe()
    assert (attributes["reason"], attributes["latency_ms"]) == ("no", 2.0)


def test_a_study_of_an_older_version_is_neither_read_nor_replaced(
    space: Space, open_ledger: Open
) -> None:
    ledger = open_ledger(space)
    begin(space, ledger, candidate(space))
    optuna.load_study(study_name=None, storage=ledger._records._storage).add_trial(
        optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, user_attrs={"role": "x"})
    )
    with pytest.raises(StorageError, match="older version"):
        open_ledger(space).trials()
    with pytest.raises(StorageError, match="older version"):
        open_ledger(make_space("training.epochs=9"))
