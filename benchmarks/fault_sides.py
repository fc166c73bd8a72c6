"""The two programs that `faults_peer.py` compares: how they are started, and what they leave."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from benchmarks import plain_tune
from benchmarks.fault_checks import COMPLETE, FAILED, RUNNING, Row
from benchmarks.machine import ROOT

TRIALS, EPOCHS, WORKERS = 5, 8, 2


class Side(Protocol):
    """One of the two programs, with its files under a `place`."""

    name: str

    def command(self, place: Path, epochs: int) -> list[str]:
        """The command line, the same for the first start and for going on."""

    def database(self, place: Path) -> Path:
        """The SQLite file of the study."""

    def rows(self, place: Path) -> list[Row]:
        """The trials of the study, while no search writes it."""

    def newest_checkpoints(self, place: Path) -> list[Path]:
        """The weights in the checkpoint that each trial in flight will go on from."""

    def true_values(self, keys: Iterable[str]) -> dict[str, float]:
        """What trainings come to that nothing disturbs, as far as that is known."""

    def right_exit(self, wanted: int, code: int) -> bool:
        """Whether it ended as it should, `wanted` being what this program documents."""


class Ours:
    """This program, on the smoke space."""

    name = "this program"

    def __init__(self) -> None:
        self.reference: dict[str, float] = {}

    def command(self, place: Path, epochs: int) -> list[str]:
        """See `Side`."""
        options = [
            f"training.epochs={epochs}",
            f"search.trials={TRIALS}",
            f"search.workers={WORKERS}",
            "search.early_stopping.rule=none",
            "latency.seconds=0.1",
        ]
        given = [word for option in options for word in ("-o", option)]
        program = [sys.executable, "-W", "ignore", str(ROOT / "run_search.py"), "--no-estimate"]
        return [*program, "--space", "spaces/smoke.yaml", "--runs", str(place), *given]

    def database(self, place: Path) -> Path:
        """See `Side`."""
        return place / "smoke/study.db"

    def rows(self, place: Path) -> list[Row]:
        """See `Side`."""
        from search.ledger import Ledger

        trials = Ledger.read(place / "smoke").trials()
        return [
            Row(t.number, t.architecture_id, t.state.value, t.val_accuracy, t.reason)
            for t in trials
        ]

    def newest_checkpoints(self, place: Path) -> list[Path]:
        """See `Side`."""
        newest = {}
        for path in sorted(place.glob("smoke/checkpoints/trial-*/epoch-*.safetensors")):
            newest[path.parent] = path
        return list(newest.values())

    def true_values(self, keys: Iterable[str]) -> dict[str, float]:
        """Those of a search without a fault: its architectures, trained by the same seed."""
        return {key: self.reference[key] for key in keys if key in self.reference}

    def right_exit(self, wanted: int, code: int) -> bool:
        """Exactly the documented one."""
        return code == wanted


class Peer:
    """Plain Ray Tune with `OptunaSearch`."""

    name = "plain Ray Tune + OptunaSearch"

    def command(self, place: Path, epochs: int) -> list[str]:  # noqa: ARG002
        """See `Side`; the epochs are an environment variable."""
        code = "from benchmarks.plain_tune import main; main()"
        return [sys.executable, "-W", "ignore", "-c", code, str(place), "--trials", str(TRIALS)]

    def database(self, place: Path) -> Path:
        """See `Side`."""
        return place / plain_tune.DATABASE

    def rows(self, place: Path) -> list[Row]:
        """See `Side`."""
        import optuna

        states = {"COMPLETE": COMPLETE, "RUNNING": RUNNING, "FAIL": FAILED}
        storage = optuna.storages.RDBStorage(f"sqlite:///{self.database(place)}")
        study = optuna.load_study(study_name=plain_tune.NAME, storage=storage)
        rows = [
            Row(
                trial.number,
                plain_tune.key_of(trial.params),
                states.get(trial.state.name, trial.state.name.lower()),
                trial.values[0] if trial.values else None,
                json.dumps(trial.user_attrs) if trial.user_attrs else "",
            )
            for trial in study.trials
        ]
        storage.engine.dispose()
        return rows

    def newest_checkpoints(self, place: Path) -> list[Path]:
        """Those of the last results that Ray Tune has noted; later ones may lie there unnoticed."""
        found = []
        for results in place.glob("ray/*/*/result.json"):
            last = results.read_text(encoding="utf-8").splitlines()[-1]
            found.append(results.parent / json.loads(last)["checkpoint_dir_name"])
        return [folder / plain_tune.WEIGHTS for folder in found]

    def true_values(self, keys: Iterable[str]) -> dict[str, float]:
        """See `Side`."""
        return {key: plain_tune.true_value(key, EPOCHS) for key in keys}

    def right_exit(self, wanted: int, code: int) -> bool:
        """Zero, or any other where it should not be zero: it documents no numbers."""
        return (code == 0) == (wanted == 0)
