"""How `run_search.py` ends, and `--fresh`: exit codes, what is moved and when; no Ray."""

from pathlib import Path
from typing import Any

import pytest
from simulated import SPACE, Command, curves

from models import command as commands
from models.errors import InputError, StudyBusyError
from models.interruption import Interrupted, Interruption
from search import run_folder, space_file
from search.ledger import Ledger

RUN = Path("runs") / "quick"


def old_studies() -> list[Path]:
    return sorted(Path("runs").glob("quick-until-*"))


def test_fresh_moves_all_of_the_old_study_and_holds_the_new_one(command: Command) -> None:
    assert command("-o", "search.trials=3")[0] == 0
    (RUN / "notes.txt").write_text("mine")
    seen: list[str] = []

    def spying(task: Any) -> Any:
        with pytest.raises(StudyBusyError) as caught:
            run_folder.lock(RUN, "another driver")
        seen.append(str(caught.value))
        yield from curves(task)

    code, out, _ = command("--fresh", "-o", "search.trials=4", simulation=spying)
    assert code == 0
    assert seen
    (old,) = old_studies()
    assert f"the old study of runs/quick is now in {old}" in out
    assert len(Ledger.read(old).trials()) == 3
    assert (old / "notes.txt").read_text() == "mine"
    assert len(Ledger.read(RUN).trials()) == 4
    assert not (RUN / "notes.txt").exists()


def test_fresh_moves_nothing_that_is_in_use(command: Command) -> None:
    assert command("-o", "search.trials=3")[0] == 0
    before = (RUN / "study.db").read_bytes()
    with run_folder.lock(RUN, "process 4711 on elsewhere"):
        code, _, err = command("--fresh")
    assert code == 5
    assert "process 4711 on elsewhere" in err
    assert (RUN / "study.db").read_bytes() == before
    assert old_studies() == []


def test_fresh_where_there_is_nothing_old(command: Command) -> None:
    code, out, _ = command("--fresh", "-o", "search.trials=3")
    assert code == 0
    assert "--fresh" not in out
    assert old_studies() == []


def test_two_addresses_are_one_too_many(command: Command) -> None:
    first, second = (f"postgresql://me:secret{n}@localhost/{n}" for n in "ab")
    code, out, err = command("--storage", first, f"--storage={second}")
    assert code == 2
    assert "more than once" in err
    assert "secret" not in out + err
    assert not Path("runs").exists()


def test_an_option_must_be_written_out(command: Command) -> None:
    """Or it would mean something else as soon as there is another one."""
    with pytest.raises(SystemExit) as caught:
        command("--fres")
    assert caught.value.code == 2


def test_debug_shows_where_and_keeps_the_exit_code(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(SPACE + "nonsense: 1\n")
    code, _, err = command("--debug", space="bad.yaml")
    assert code == 2
    assert "Traceback (" in err
    assert err.splitlines()[-1].startswith("error: ")


class Received(Interruption):
    """A signal that came."""

    def __init__(self) -> None:
        super().__init__()
        self._received = 15


def raising(error: BaseException) -> Any:
    def read(*_: Any) -> None:
        raise error

    return read


@pytest.mark.parametrize("error", [ImportError("half a module"), OSError("cut short")])
def test_an_error_that_a_signal_made_is_the_signal(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(commands, "Interruption", Received)
    monkeypatch.setattr(space_file, "read_space_file", raising(error))
    code, _, err = command()
    assert code == 143
    assert err == "stopped. The same command continues this search.\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(28, "No space left on device"), 3), (Interrupted(2), 130), (PermissionError(), 3)],
)
def test_every_error_has_its_exit_code(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    monkeypatch.setattr(space_file, "read_space_file", raising(error))
    assert command()[0] == code


def test_what_an_error_quotes_steers_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    for error in (InputError("a\x1b[2Jb\nsecond"), OSError(5, "c\x1b]0;d\x07"), KeyError("\x9b1m")):
        commands.run_command(raising(error), debug=False, stopped="")
    err = capsys.readouterr().err
    assert "\nsecond\n" in err
    assert all(line.isprintable() for line in err.splitlines())


def test_what_nobody_thought_of_says_that_it_is_a_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    code = commands.run_command(raising(TypeError("odd")), debug=False, stopped="")
    assert code == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: TypeError: odd",
        "this is a defect of the program; --debug shows where",
    ]
