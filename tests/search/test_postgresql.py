"""Studies on a real PostgreSQL server: restarted, switched off, held by somebody else."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from postgresql_server import PASSWORD, Server, running
from simulated import Executor, epoch, make_driver, make_space
from sqlalchemy import make_url

from models.build import cost
from models.errors import InputError, StorageError, StudyBusyError
from search import database
from search.database import Patience
from search.driver import Driver
from search.ledger import Ledger, Proposal
from search.run_folder import STORAGE, place_of, remember
from search.space import Space
from search.study_server import StudyServer, masked, parse_address
from search.trial import State
from trainers.messages import Answer

Held = Callable[..., StudyServer]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes minutes takes seconds."""
    monkeypatch.setattr(database, "PATIENCE_S", 4.0)


@pytest.fixture
def held(server: Server, request: pytest.FixtureRequest) -> Iterator[Held]:
    """Places of the test's own study, of which the first is held."""
    places = []

    def place(holder: str | None = "process 7 on here", url: str = "") -> StudyServer:
        made = StudyServer(parse_address(url or server.url), request.node.name, holder)
        places.append(made)
        return made

    yield place
    for each in places:
        each.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


@pytest.fixture
def begin(held: Held, folder: Path, space: Space) -> Callable[..., Ledger]:
    """Opens the study as a driver does."""

    def begin(holder: str = "process 7 on here", say: Callable[[str], None] = print) -> Ledger:
        place = held(holder)
        place.hold()
        names, fingerprint = space.objective_names, space.file.fingerprint
        return Ledger.open(folder, names, fingerprint, place, Patience(say))

    return begin


def test_a_search_is_the_same_as_in_a_file(
    begin: Callable[..., Ledger], held: Held, folder: Path, space: Space, tmp_path: Path
) -> None:
    ledger = begin()
    Executor(make_driver(space, ledger)).run()
    assert Ledger.read(folder, held(None)).trials() == ledger.trials()
    (tmp_path / "file").mkdir()
    file = Ledger.open(tmp_path / "file", space.objective_names, space.file.fingerprint)
    Executor(make_driver(space, file)).run()
    assert file.trials() == ledger.trials()


@pytest.fixture
def switch_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the server switched off, for a while, before a driver takes in its n-th answer."""

    def switch_off(driver: Driver, answers: int) -> None:
        take_in, taken = driver.answered, itertools.count()

        def answered(number: int, answer: Answer) -> bool:
            if next(taken) == answers:
                server.stop()
                threading.Timer(1.5, server.start).start()
            return take_in(number, answer)

        monkeypatch.setattr(driver, "answered", answered)

    return switch_off


@pytest.mark.parametrize("answers", [0, 5, 12])
def test_it_is_switched_off_in_mid_search(
    begin: Callable[..., Ledger], switch_off: Callable[..., None], held: Held, folder: Path,
    answers: int,
) -> None:  # fmt: skip
    said: list[str] = []
    ledger = begin(say=said.append)
    driver = make_driver(make_space(), ledger)
    switch_off(driver, answers)
    Executor(driver).run()
    assert len(said) == 1
    assert "does not answer" in said[0]
    assert PASSWORD not in said[0]
    trials = Ledger.read(folder, held(None)).trials()
    assert trials == ledger.trials()
    assert [trial.state for trial in trials] == [State.COMPLETE] * 8
    with pytest.raises(StudyBusyError, match="process 7 on here"):
        held("process 8 on there").hold()  # the lock came back with the server


def test_what_a_server_does_not_take_is_recorded_later(
    begin: Callable[..., Ledger], server: Server, held: Held, folder: Path, space: Space
) -> None:
    ledger = begin()
    ledger.begin(Proposal(space.baseline), cost(space.baseline, 16), epochs=2)
    server.stop()
    try:
        with pytest.raises(StorageError, match="goes on once it answers again") as raised:
            ledger.epoch(0, [epoch(1, 0.25)])
        assert PASSWORD not in str(raised.value)
        assert "\n" not in str(raised.value)
    finally:
        server.start()
    assert Ledger.read(folder, held(None)).trial(0).curve == ()
    ledger._records._storage.remove_session()
    held_again = begin()
    assert [e.val_accuracy for e in held_again.trial(0).curve] == [0.25]


def test_waiting_ends_when_nobody_waits_any_more(
    begin: Callable[..., Ledger], server: Server, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 60.0)
    ledger = begin()
    ledger.begin(Proposal(space.baseline), cost(space.baseline, 16), epochs=2)
    pressed = threading.Event()
    ledger._records.patience.is_over = pressed.is_set
    server.stop()
    threading.Timer(1.0, pressed.set).start()
    began = time.monotonic()
    try:
        with pytest.raises(StorageError):
            ledger.epoch(0, [epoch(1, 0.25)])
        assert 0.9 < time.monotonic() - began < 5
    finally:
        server.start()


def test_a_second_driver_is_sent_away_and_told_by_whom(
    begin: Callable[..., Ledger], held: Held
) -> None:
    first = begin()
    began = time.monotonic()
    with pytest.raises(StudyBusyError, match="in use by process 7 on here; wait for it") as raised:
        held("process 7 on here").hold()  # of the same name, in another container
    assert time.monotonic() - began < 2
    assert PASSWORD not in str(raised.value)
    first.note("still", "there")


def test_other_studies_are_free(begin: Callable[..., Ledger], server: Server) -> None:
    begin()
    other = StudyServer(parse_address(server.url), "another", "process 8 on there")
    other.hold()
    other.close()


def test_who_was_replaced_meanwhile_writes_nothing(
    begin: Callable[..., Ledger], server: Server, held: Held, folder: Path, space: Space
) -> None:
    """A driver sleeps, the server is restarted, another driver begins; then the first wakes up."""
    first = begin()
    server.stop()
    server.start()
    second = begin("process 8 on there")
    with pytest.raises(StudyBusyError, match="process 8 on there"):
        first.note("written by", "the first")
    second.note("written by", "the second")
    assert Ledger.read(folder, held(None)).facts("written by") == "the second"


def test_a_connection_of_ours_that_the_server_takes_for_living_is_ended(
    begin: Callable[..., Ledger], server: Server
) -> None:
    """As after a cut of the network: here the old connection is alive, and nobody has it."""
    ledger = begin()
    pool = ledger._records._storage._backend.engine.pool
    lost = pool.connect()
    connection = lost.dbapi_connection
    lost.detach()
    ledger.note("still", "there")
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert server.sql(held) == "1"
    connection.close()


def test_a_study_that_was_never_complete_is_begun_again(
    begin: Callable[..., Ledger], held: Held, folder: Path, space: Space
) -> None:
    """The driver was killed between the study's first write and its last."""
    place = held()
    place.hold()

    def killed(storage: optuna.storages.BaseStorage, name: str) -> None:
        study = optuna.create_study(storage=storage, study_name=name)
        study.set_user_attr("objectives", ["val_accuracy"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.create(killed)
    with pytest.raises(InputError, match="there is no study here"):
        Ledger.read(folder, held(None))
    place.close()
    assert begin().space == space.file.fingerprint


@pytest.mark.parametrize("attribute", [None, "objectives", "mine"])
def test_another_programs_study_of_that_name_is_left_alone(
    held: Held, folder: Path, space: Space, server: Server, attribute: str | None
) -> None:
    place = held()
    place.hold()
    name = place._name
    other = optuna.create_study(storage=place._storage, study_name=name)
    if attribute is not None:
        other.set_user_attr(attribute, ["val_accuracy"])
    opened = (folder, space.objective_names, space.file.fingerprint, place)
    refused = r"holds no study of this program: .* another name \(--study NAME\)"
    with pytest.raises(StorageError, match=refused):
        Ledger.open(*opened)
    with pytest.raises(StorageError, match=refused):
        Ledger.read(folder, held(None))
    with pytest.raises(StorageError, match=refused):
        Patience().opening(place, lambda: place.set_aside("aside"))
    study = optuna.load_study(study_name=name, storage=place._storage)
    assert study._study_id == other._study_id
    assert study.user_attrs.keys() == ({attribute} if attribute else set())
    assert place._storage.get_study_system_attrs(study._study_id) == {}


def test_fresh_gives_the_old_study_another_name(
    begin: Callable[..., Ledger], held: Held, folder: Path, space: Space, server: Server
) -> None:
    Executor(make_driver(space, begin())).run(6)
    place = held()
    with pytest.raises(StudyBusyError):
        place.hold()
    held("x")  # nothing is open any more
    server.stop()
    server.start()
    place.set_aside("of-before")
    assert not place.exists()
    with contextlib.closing(StudyServer(parse_address(server.url), "of-before")) as old:
        assert old.exists()


def test_a_wrong_password_is_not_tried_again(held: Held, server: Server, folder: Path) -> None:
    wrong = server.url.replace(PASSWORD, "wr0ng")
    began = time.monotonic()
    with pytest.raises(
        StorageError, match=r"authentication failed.*see user and password"
    ) as raised:
        Ledger.read(folder, held(None, wrong))
    assert time.monotonic() - began < 2
    assert "wr0ng" not in str(raised.value)
    missing = server.url.replace("/studies", "/nothing")
    with pytest.raises(StorageError, match='database "nothing" does not exist'):
        Ledger.read(folder, held(None, missing))


def test_who_may_make_no_tables_is_told_so(held: Held, server: Server) -> None:
    server.sql("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    place = held("process 7 on here", server.url.replace(f"researcher:{PASSWORD}", "guest:guest"))
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"permission denied.*GRANT CREATE"):
        Patience().opening(place, place.hold)
    assert time.monotonic() - began < 2


def test_folders_and_servers_go_together(server: Server, tmp_path: Path) -> None:
    address = parse_address(server.url)
    place = place_of(tmp_path, address, "process 7 on here")
    assert not (tmp_path / STORAGE).exists()  # it may be a typing error
    remember(tmp_path, place)
    assert (tmp_path / STORAGE).read_text() == f"{server.masked}\n"
    place_of(tmp_path, address, "process 7 on here")
    with pytest.raises(InputError, match=r"belongs to a study in .*: give --storage"):
        place_of(tmp_path, None, "process 7 on here")
    with pytest.raises(InputError, match="not in postgresql://researcher@elsewhere"):
        place_of(tmp_path, address.set(host="elsewhere"), None)
    (tmp_path / STORAGE).unlink()
    (tmp_path / "study.db").touch()
    with pytest.raises(InputError, match=r"holds a study in study\.db"):
        place_of(tmp_path, address, None)


@pytest.mark.parametrize(
    "address",
    ["", "postgresql", "sqlite:///x.db", "mysql://u:pw@h/d", "postgresql://u:pw@h", "://", "a:b@c",
     "postgresql+psycopg2://u:pw@h/d", "postgresql://u:pw@h:port/d", "http://u:pw@h/d"],
)  # fmt: skip
def test_other_addresses_are_refused_without_showing_a_password(address: str) -> None:
    with pytest.raises(InputError, match="allowed: postgresql://") as raised:
        parse_address(address)
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    ["postgresql://u:pw@h/d", "postgres://u:pw@h/d", "postgresql://u:p%40pw@h/d?sslmode=require",
     "postgresql://u@h/d?password=pw", "postgresql+psycopg://u:pw@h/d"],
)  # fmt: skip
def test_addresses_are_shown_without_password_and_options(address: str) -> None:
    shown = masked(parse_address(address))
    assert make_url(shown).host == "h"
    assert "pw" not in shown
