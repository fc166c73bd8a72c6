"""What a real PostgreSQL server refuses: at once, in one line, with what to do; no Ray."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgresql_server import DATABASE, PASSWORD, USER, Server, running
from simulated import SPACE, Executor, make_driver

import run_search
from models.errors import StorageError
from models.interruption import Interruption
from search import database
from search.database import Patience
from search.ledger import Ledger
from search.space import Space
from search.study_server import StudyServer, parse_address

Command = Callable[..., tuple[int, str]]
ROOT = Path(__file__).resolve().parents[2]
HOLDER = "process 7 on here"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 1.5)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """`run_search.py --storage ADDRESS` in an empty folder: exit code and all that it said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.yaml").write_text(SPACE)
    monkeypatch.setattr(Interruption, "install", lambda _: None)

    def run(address: str, *arguments: str) -> tuple[int, str]:
        code = run_search.main(["--space", "quick.yaml", "--storage", address, *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out + err

    return run


def role(server: Server, name: str, *grants: str) -> str:
    """The address for a new role, with what it may do."""
    server.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
    for grant in grants:
        server.sql(f"GRANT {grant} TO {name}")
    return server.url.replace(f"{USER}:{PASSWORD}", f"{name}:{name}")


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# The whole command.

AT_ONCE = {
    "password": (PASSWORD, "wr0ng-s3cret", 3, "see user and password"),
    "user": (f"{USER}:", "nobodyhere:", 3, "see user and password"),
    "database": (f"/{DATABASE}", "/nothing", 3, 'database "nothing" does not exist; see its name'),
    "host": ("127.0.0.1", "nohost.invalid", 3, "see the host's name in the address"),
    "encryption": (DATABASE, f"{DATABASE}?sslmode=require", 3, "SSL was required; see ?sslmode="),
    "sslmode": (DATABASE, f"{DATABASE}?sslmode=s3cure", 3, "see ?sslmode="),
    "number": (DATABASE, f"{DATABASE}?keepalives=x", 3, "see what the address has after its ?"),
    "setting": (DATABASE, f"{DATABASE}?options=-cno=1", 3, "see what the address has after its ?"),
    "option": (DATABASE, f"{DATABASE}?ssl_mode=x", 2, "has no option 'ssl_mode'"),
    "torn": (PASSWORD, f"{PASSWORD}@{PASSWORD}", 2, "write @ as %40"),
}


@pytest.mark.parametrize("wrong", AT_ONCE)
def test_the_command_is_refused_at_once_in_a_line(
    command: Command, server: Server, tmp_path: Path, wrong: str
) -> None:
    old, new, expected, hint = AT_ONCE[wrong]
    began = time.monotonic()
    code, said = command(server.url.replace(old, new, 1))
    assert time.monotonic() - began < 10  # Paddle is loaded as well
    assert code == expected
    assert hint in said
    assert "tried again" not in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert PASSWORD not in said
    assert "wr0ng" not in said
    assert not list(tmp_path.rglob("storage"))


@pytest.mark.parametrize("which", ["nobody listens", "no socket"])
def test_a_server_that_is_away_is_waited_for(command: Command, tmp_path: Path, which: str) -> None:
    away = {
        "nobody listens": f"postgresql://u:{PASSWORD}@127.0.0.1:{closed_port()}/d",
        "no socket": f"postgresql:///d?host={tmp_path}&password={PASSWORD}",
    }
    code, said = command(away[which])
    assert code == 3
    assert "it is tried again for 1.5 s" in said
    assert "error: the study 'quick' in postgresql://" in said
    assert "the same command goes on once it answers again" in said
    assert said.count("\n") == 2
    assert PASSWORD not in said
    assert not list(tmp_path.rglob("storage"))


def test_a_role_that_only_reads_is_told_what_it_lacks(
    command: Command, server: Server, tmp_path: Path
) -> None:
    with contextlib.closing(StudyServer(parse_address(server.url), "other", HOLDER)) as place:
        place.hold()
    code, said = command(role(server, "onlooker", "SELECT ON ALL TABLES IN SCHEMA public"))
    assert code == 3
    assert "permission denied for" in said
    assert "GRANT" in said
    assert said.count("error: ") == 1


# Roles.


@pytest.fixture
def study(server: Server, space: Space, tmp_path: Path) -> Path:
    """The folder `mine` of a finished study of that name, on the server."""
    folder = tmp_path / "mine"
    folder.mkdir()
    server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with contextlib.closing(StudyServer(parse_address(server.url), "mine", HOLDER)) as place:
        place.hold()
        names, fingerprint = space.objective_names, space.file.fingerprint
        ledger = Ledger.open(folder, names, fingerprint, place)
        Executor(make_driver(space, ledger)).run()
    return folder


def test_who_may_only_select_reads(study: Path, server: Server) -> None:
    may = ("USAGE ON SCHEMA public", "SELECT ON ALL TABLES IN SCHEMA public")
    place = StudyServer(parse_address(role(server, "reader", *may)), "mine")
    assert len(Ledger.read(study, place).trials()) == 8
    place.close()


def test_who_may_not_even_select_is_told_so(study: Path, server: Server) -> None:
    address = role(server, "guest", "USAGE ON SCHEMA public")
    done = subprocess.run(
        [sys.executable, "-m", "reports", str(study), "--storage", address],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert re.search(r"permission denied for table \w+; the owner can allow it: GRANT", done.stderr)
    assert done.stderr.count("\n") == 1


def test_who_may_write_but_owns_nothing_searches(
    study: Path, server: Server, space: Space, tmp_path: Path
) -> None:
    """A second person of a team, with what the hint says and no more."""
    address = role(
        server, "colleague", "USAGE ON SCHEMA public",
        "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public",
        "USAGE ON ALL SEQUENCES IN SCHEMA public",
    )  # fmt: skip
    (tmp_path / "theirs").mkdir()
    with contextlib.closing(StudyServer(parse_address(address), "theirs", HOLDER)) as place:
        place.hold()
        names, fingerprint = space.objective_names, space.file.fingerprint
        ledger = Ledger.open(tmp_path / "theirs", names, fingerprint, place)
        Executor(make_driver(space, ledger)).run()
        assert len(ledger.trials()) == 8


def refused(server: Server, address: str) -> str:
    place = StudyServer(parse_address(address), "mine", HOLDER)
    with contextlib.closing(place), pytest.raises(StorageError) as raised:
        Patience(lambda _: None).opening(place, place.hold)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_who_is_not_let_in_is_told_who_can(server: Server) -> None:
    address = role(server, "outcast")
    server.sql("ALTER ROLE outcast NOLOGIN")
    assert "not permitted to log in; its administrator can let you in" in refused(server, address)
    server.sql("ALTER ROLE outcast LOGIN CONNECTION LIMIT 0")
    assert 'too many connections for role "outcast"; the same command' in refused(server, address)


RULES = {"ghost": "trust", "barred": "reject", "peering": "ident"}


@pytest.fixture
def rules(server: Server) -> Iterator[None]:
    """Other ways to be let in, or not, than a password."""
    path = server.folder / "data" / "pg_hba.conf"
    old = path.read_text()
    lines = "".join(f"host all {user} 127.0.0.1/32 {how}\n" for user, how in RULES.items())
    path.write_text(lines + old)
    server.sql("SELECT pg_reload_conf()")
    yield
    path.write_text(old)
    server.sql("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("ghost", 'role "ghost" does not exist; see the user in the address, or have it made'),
        ("barred", "; its administrator can let you in: pg_hba.conf"),
        ("peering", 'authentication failed for user "peering"; see user and password'),
    ],
)
@pytest.mark.usefixtures("rules")
def test_other_ways_not_to_be_let_in(server: Server, user: str, expected: str) -> None:
    began = time.monotonic()
    assert expected in refused(server, server.url.replace(f"{USER}:{PASSWORD}", user))
    assert time.monotonic() - began < 1


@pytest.fixture
def encrypted(server: Server) -> Iterator[None]:
    """The server offers encryption, with a certificate of its own making."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    data = server.folder / "data"
    key, certificate = data / "server.key", data / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=elsewhere",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    owner = data.stat()
    os.chown(key, owner.st_uid, owner.st_gid)
    key.chmod(0o600)
    certificate.chmod(0o644)
    server.sql("ALTER SYSTEM SET ssl = on")
    server.sql("SELECT pg_reload_conf()")
    yield
    server.sql("ALTER SYSTEM RESET ssl")
    server.sql("SELECT pg_reload_conf()")


@pytest.mark.usefixtures("encrypted")
def test_a_certificate_of_another_name_is_refused(server: Server) -> None:
    began = time.monotonic()
    assert "; see ?sslmode=" in refused(server, f"{server.url}?sslmode=verify-full")
    trusted = f"{server.url}?sslmode=verify-full&sslrootcert={server.folder}/data/server.crt"
    said = refused(server, trusted)
    assert "does not match host name" in said
    assert "; see ?sslmode=" in said
    assert time.monotonic() - began < 1
    with contextlib.closing(
        StudyServer(parse_address(f"{server.url}?sslmode=require"), "a")
    ) as is_:
        assert not is_.exists()


def test_a_server_that_takes_no_writes_is_a_standby(
    server: Server, study: Path, space: Space
) -> None:
    server.sql(f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on")
    try:
        with contextlib.closing(StudyServer(parse_address(server.url), "mine", HOLDER)) as place:
            place.hold()
            began = time.monotonic()
            with pytest.raises(StorageError, match="read-only transaction; it is a standby"):
                Ledger.open(study, space.objective_names, space.file.fingerprint, place)
            assert time.monotonic() - began < 1
    finally:
        server.sql(
            f"SET transaction_read_only = off; ALTER DATABASE {DATABASE} "
            "RESET default_transaction_read_only"
        )


# Hosts.


def test_a_host_that_was_known_is_waited_for(server: Server) -> None:
    """A name server that is away for a moment ends no search."""
    patience = Patience(lambda _: None)
    patience(lambda: None)
    wrong = server.url.replace("127.0.0.1", "nohost.invalid")
    place = StudyServer(parse_address(wrong), "mine", HOLDER)
    began = time.monotonic()
    with pytest.raises(StorageError, match="see the host's name"):
        patience.opening(place, place.hold)
    assert time.monotonic() - began > 1


@contextlib.contextmanager
def mute() -> Iterator[int]:
    """The port of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_server_that_never_answers(command: Command) -> None:
    with mute() as port:
        address = f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d?connect_timeout=2"
        began = time.monotonic()
        code, said = command(address)
        assert time.monotonic() - began < 10
    assert code == 3
    assert "timeout" in said
    assert PASSWORD not in said


def test_ctrl_c_is_seen_while_a_server_does_not_answer() -> None:
    pressed = threading.Event()
    with mute() as port:
        place = StudyServer(
            parse_address(f"postgresql://u@127.0.0.1:{port}/d?connect_timeout=2"), "a"
        )
        threading.Timer(0.5, pressed.set).start()
        began = time.monotonic()
        with pytest.raises(StorageError):
            Patience(lambda _: None, is_over=pressed.is_set).opening(place, place.exists)
        assert time.monotonic() - began < 4
