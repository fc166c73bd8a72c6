"""A study whose tables hold what this program never wrote: refused in a line, and left as it is."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from simulated import Command, Executor, curves, make_driver, make_space

from models.errors import StorageError, StudyBusyError
from reports.__main__ import main as report
from search import run_folder
from search.ledger import Ledger

RUN = Path("runs") / "quick"
DAMAGE = {
    "no latency": "DELETE FROM trial_user_attributes WHERE key = 'latency_ms' AND trial_id = 3",
    "no parameters": "DELETE FROM trial_user_attributes WHERE key = 'params' AND trial_id = 2",
    "no curve": "DELETE FROM trial_user_attributes WHERE key = 'curve' AND trial_id = 3",
    "no values": "DELETE FROM trial_values WHERE trial_id = 3",
    "one value": "DELETE FROM trial_values WHERE trial_id = 3 AND objective = 1",
    "another value": "UPDATE trial_values SET value = 0.999 WHERE trial_id = 3 AND objective = 0",
    "a value that is a text": "UPDATE trial_values SET value = 'MAXIMIZE' WHERE trial_id = 3",
    "a value of no type": "UPDATE trial_values SET value_type = 'x'",
    "a state that is none": "UPDATE trials SET state = 'NONE' WHERE number = 1",
    "a direction that is none": "UPDATE study_directions SET direction = 'x'",
    "no directions": "DELETE FROM study_directions",
    "other directions": "UPDATE study_directions SET direction = 'MINIMIZE'",
    "a choice that is none": "UPDATE trial_params SET param_value = 1e9",
    "two trials of a number": "UPDATE trials SET number = 1 WHERE number = 2",
    "a number far away": "UPDATE trials SET number = 9 WHERE number = 2",
    "a gap": "DELETE FROM trials WHERE number = 1",
    "no space": "DELETE FROM study_user_attributes WHERE key = 'space'",
    "other objectives": (
        "UPDATE study_user_attributes SET value_json = '[\"params\"]' WHERE key = 'objectives'"
    ),
    "a text that no file can hold": (
        'UPDATE trial_user_attributes SET value_json = replace(value_json, \'"name": ""\', '
        "'\"name\": \"\\udce9\"') WHERE key = 'candidate'"
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of five trials, some of them sampled."""
    folder = tmp_path_factory.mktemp("finished")
    Executor(make_driver(make_space("search.trials=5"), opened(folder))).run()
    return folder


def opened(folder: Path) -> Ledger:
    space = make_space("search.trials=5")
    return Ledger.open(folder, space.objective_names, space.file.fingerprint)


def test_undamaged_it_is_taken(finished: Path) -> None:
    assert len(opened(finished).trials()) == 5


@pytest.mark.parametrize("name", DAMAGE)
def test_it_is_refused_by_search_and_report(
    finished: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(finished, tmp_path / "study")
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        assert connection.execute(DAMAGE[name]).rowcount
        connection.commit()
    before = (folder / "study.db").read_bytes()
    with pytest.raises(StorageError) as caught:
        opened(folder)
    assert str(caught.value).startswith(f"{folder}/study.db")
    assert len(str(caught.value).splitlines()) == 1
    assert report([str(folder)]) == 3
    assert capsys.readouterr().err == f"error: {caught.value}\n"
    assert (folder / "study.db").read_bytes() == before


def test_a_lock_file_that_is_removed_lets_nobody_in(command: Command) -> None:
    """As somebody may do who reads that the study is in use."""
    seen = []

    def removing(task):  # type: ignore[no-untyped-def]
        (RUN / "lock").unlink(missing_ok=True)
        for answer in curves(task):
            yield answer
            try:
                run_folder.lock(RUN, "another driver").__exit__()
            except StudyBusyError as error:
                seen.append(str(error))

    code, _, err = command("-o", "search.trials=3", simulation=removing)
    assert code == 0, err
    assert seen


def test_who_finds_the_lock_taken_by_another_ends(command: Command) -> None:
    others = []

    def removing(task):  # type: ignore[no-untyped-def]
        if not others:
            (RUN / "lock").unlink()
            others.append(run_folder.lock(RUN, "process 4711 on elsewhere"))
        yield from curves(task)

    code, _, err = command("-o", "search.trials=3", simulation=removing)
    assert code == 5
    assert "in use by process 4711 on elsewhere" in err
    others[0].__exit__()
    assert command("-o", "search.trials=3")[0] == 0
    assert len(Ledger.read(RUN).trials()) == 3
