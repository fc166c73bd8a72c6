"""Sessions that stand in a driver's way on a real server, and drivers that were replaced."""

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from postgresql_server import Server, running
from sqlalchemy.exc import OperationalError

from models.build import cost
from models.errors import StorageError, StudyBusyError
from search import database, impatient_connection, study_lock
from search.database import Patience
from search.ledger import Ledger, Proposal
from search.space import Space
from search.study_lock import lock_key
from search.study_server import StudyServer, parse_address

Begin = Callable[..., tuple[StudyServer, Ledger]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 7.0)


@pytest.fixture
def begin(server: Server, space: Space, tmp_path: Path, request: pytest.FixtureRequest) -> Begin:
    places = []

    def begin(holder: str = "process 7 on here") -> tuple[StudyServer, Ledger]:
        place = StudyServer(parse_address(server.url), request.node.name, holder)
        places.append(place)
        place.hold()
        names, fingerprint = space.objective_names, space.file.fingerprint
        return place, Ledger.open(tmp_path, names, fingerprint, place, Patience(print))

    yield begin
    for each in places:
        each.close()


@contextlib.contextmanager
def other_session(server: Server, *statements: str) -> Iterator[None]:
    """Somebody who was in a transaction when the telephone rang."""
    with contextlib.closing(psycopg.connect(server.url)) as connection:
        for statement in statements:
            connection.execute(statement)
        yield


STUCK = {
    "tables are made": f"SELECT pg_advisory_xact_lock({lock_key('')})",
    "tables are locked": "LOCK TABLE version_info, studies IN ACCESS EXCLUSIVE MODE",
}


@pytest.mark.parametrize("stuck", STUCK)
def test_a_session_that_is_stuck_is_waited_for_and_named(
    server: Server, begin: Begin, stuck: str
) -> None:
    place, _ = begin()
    place.close()
    said: list[str] = []
    began = time.monotonic()
    with other_session(server, STUCK[stuck]):
        with pytest.raises(StorageError, match=r"lock timeout; another session holds it"):
            Patience(said.append).opening(place, place.hold)
        assert time.monotonic() - began < 20
    assert "tried again" in said[0]
    Patience().opening(place, place.hold)


def test_ctrl_c_is_seen_while_a_session_is_stuck(
    server: Server, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 60.0)
    place, _ = begin()
    place.close()
    pressed = threading.Event()
    threading.Timer(1.0, pressed.set).start()
    began = time.monotonic()
    patience = Patience(lambda _: None, is_over=pressed.is_set)
    with other_session(server, STUCK["tables are made"]), pytest.raises(StorageError):
        patience.opening(place, place.hold)
    assert time.monotonic() - began < 8


def test_readers_do_not_wait_for_ever_either(server: Server, begin: Begin, tmp_path: Path) -> None:
    place, _ = begin()
    reader = StudyServer(parse_address(server.url), place._name)
    locked = other_session(server, STUCK["tables are locked"])
    with locked, contextlib.closing(reader), pytest.raises(StorageError, match="lock timeout"):
        Ledger.read(tmp_path, reader)


@contextlib.contextmanager
def standing_still(server: Server) -> Iterator[None]:
    """The server's process for the driver gets no further, as when its disk is gone."""
    pid = int(server.sql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE "
                         "'%process 7 on here'"))  # fmt: skip
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_stands_still_is_given_up(
    server: Server, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impatient_connection, "ANSWER_S", 1.0)
    monkeypatch.setattr(study_lock, "SESSION", ("SET lock_timeout = '500ms'",))
    place, _ = begin()
    place.close()
    place, ledger = begin()
    began = time.monotonic()
    with standing_still(server), pytest.raises(StorageError, match="another session holds it"):
        ledger.note("written", "never")
    assert time.monotonic() - began < 20
    ledger.note("still", "there")  # by a new connection, with the lock
    assert ledger.facts("written") is None


# Replaced.


def test_who_was_replaced_and_left_alone_again_writes_nothing(
    server: Server, begin: Begin, space: Space
) -> None:
    """The other driver began, wrote and ended while the first one slept: the lock is free."""
    _, first = begin()
    first.begin(Proposal(space.baseline), cost(space.baseline, 16), epochs=2)
    server.stop()
    server.start()
    place, second = begin("process 8 on there")
    second.begin(Proposal(space.baseline), cost(space.baseline, 16), epochs=2)
    place.close()
    expected = "was taken over by process 8 on there meanwhile; the same command goes on from there"
    with pytest.raises(StudyBusyError, match=expected):
        first.begin(Proposal(space.baseline), cost(space.baseline, 16), epochs=2)
    with pytest.raises(StudyBusyError, match="was taken over"):
        first.note("written by", "the first")
    _, third = begin("process 9 on there")
    assert len(third.trials()) == 2
    assert third.facts("written by") is None


def test_who_was_set_aside_meanwhile_writes_nothing(server: Server, begin: Begin) -> None:
    """With --fresh, from another machine."""
    place, first = begin()
    server.stop()
    server.start()
    other = StudyServer(parse_address(server.url), place._name, "process 8 on there")
    other.hold()
    other.set_aside("aside")
    other.close()
    with pytest.raises(StudyBusyError, match="taken over by another driver"):
        first.note("written by", "the first")


def test_a_connection_that_was_ended_comes_back(server: Server, begin: Begin) -> None:
    """By an administrator, or by a time limit of the server: nobody came between."""
    _, ledger = begin()
    for turn in range(3):
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                   "WHERE application_name LIKE '%process 7 on here'")  # fmt: skip
        ledger.note("turn", turn)
    assert ledger.facts("turn") == 2


def test_a_server_that_goes_while_the_study_is_loaded(
    server: Server, begin: Begin, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, ledger = begin()
    ledger.begin(Proposal(space.baseline), cost(space.baseline, 16), epochs=2)
    place.close()
    load, loads = StudyServer.load, []

    def interrupted(self: StudyServer) -> object:
        loaded = load(self)
        loads.append(loaded)
        if len(loads) == 1:
            server.stop()
            threading.Timer(1.0, server.start).start()
        return loaded

    monkeypatch.setattr(StudyServer, "load", interrupted)
    _, again = begin()
    assert len(loads) > 1
    assert len(again.trials()) == 1
    again.note("still", "there")


def test_a_study_without_trials_for_another_space_is_begun_again(
    server: Server, begin: Begin, space: Space
) -> None:
    """It is removed, and with it the name of who opened it last."""
    place, _ = begin()
    place.close()
    server.sql(
        "UPDATE study_user_attributes SET value_json = jsonb_set(value_json::jsonb, "
        "'{training}', '5')::text WHERE key = 'space'"
    )
    _, ledger = begin()
    assert ledger.space == space.file.fingerprint
    ledger.note("still", "there")
    assert server.sql("SELECT count(*) FROM studies WHERE study_name LIKE '%being made%'") == "0"


def test_a_server_that_goes_while_the_study_is_made(
    server: Server, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, turns = StudyServer._rename, itertools.count()

    def interrupted(self: StudyServer, old: str, new: str) -> None:
        turn = next(turns)
        if turn == 0:  # before the study has its name
            server.stop()
            server.start()
            raise gone()
        rename(self, old, new)
        if turn == 1:  # after it, but the answer is lost
            raise gone()

    monkeypatch.setattr(StudyServer, "_rename", interrupted)
    _, ledger = begin()
    ledger.note("still", "there")
    assert server.sql("SELECT count(*) FROM studies WHERE study_name LIKE '%being made%'") == "0"


def gone() -> OperationalError:
    return OperationalError("COMMIT", {}, psycopg.OperationalError("server closed the connection"))
