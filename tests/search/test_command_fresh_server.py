"""`run_search.py --fresh --storage` on a real server: both halves of a study go, or none."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql_server import Server, running
from simulated import Command

from search import run_folder
from search.ledger import Ledger
from search.study_server import StudyServer, parse_address

RUN = Path("runs") / "quick"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def asked(server: Server, request: pytest.FixtureRequest) -> list[str]:
    """Options of a search whose study no other test has."""
    name = request.node.name.replace("_", "-")[:60]
    return ["--storage", server.url, "--study", name, "-o", "search.trials=3"]


def named(folder: Path, server: Server) -> StudyServer:
    return StudyServer(parse_address(server.url), folder.name)


def test_the_old_study_keeps_its_trials_in_both_places(
    command: Command, asked: list[str], server: Server
) -> None:
    folder = Path("runs") / asked[3]
    assert command(*asked)[0] == 0
    code, out, _ = command(*asked, "--fresh")
    assert code == 0
    (old,) = Path("runs").glob("*-until-*")
    assert str(old) in out
    for each in (old, folder):
        assert (each / run_folder.STORAGE).exists()
        with contextlib.closing(named(each, server)) as place:
            assert len(Ledger.read(each, place).trials()) == 3


def test_a_study_that_another_machine_writes_is_moved_in_neither_place(
    command: Command, asked: list[str], server: Server
) -> None:
    folder = Path("runs") / asked[3]
    assert command(*asked)[0] == 0
    elsewhere = StudyServer(parse_address(server.url), folder.name, "process 4711 on elsewhere")
    with contextlib.closing(elsewhere):
        elsewhere.hold()
        code, _, err = command(*asked, "--fresh")
    assert code == 5
    assert "process 4711 on elsewhere" in err
    assert [path.name for path in Path("runs").iterdir()] == [folder.name]
    with contextlib.closing(named(folder, server)) as place:
        assert len(Ledger.read(folder, place).trials()) == 3


def test_a_server_that_refuses_moves_nothing(
    command: Command, asked: list[str], server: Server
) -> None:
    folder = Path("runs") / asked[3]
    local = ["--study", folder.name, "-o", "search.trials=3"]
    assert command(*local)[0] == 0
    wrong = server.url.replace("/studies", "/nothing")
    code, _, err = command("--fresh", "--storage", wrong, *local)
    assert code == 3
    assert "nothing" in err
    assert [path.name for path in Path("runs").iterdir()] == [folder.name]
    assert not (folder / run_folder.STORAGE).exists()
    assert command(*asked, "--fresh")[0] == 0, "from a file to a server"
    (old,) = Path("runs").glob("*-until-*")
    assert len(Ledger.read(old).trials()) == 3
