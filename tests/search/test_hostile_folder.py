"""A run's folder from somebody else: nothing outside it is written, read for ever, or removed."""

import contextlib
import os
import socket
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from simulated import make_space

from models.errors import InputError, StorageError, StudyBusyError
from models.whole_file import replacing
from search import run_folder
from search.ledger import Ledger
from search.space import Space
from search.study_file import DATABASE, StudyFile, address

Open = Callable[..., Ledger]
ESCAPES = "\x1b]0;mine\x07\x1b[2J\nerror: \u202egnp\x9b1m"
JOURNAL = bytes.fromhex("d9d505f920a163d7")  # the first bytes of SQLite's journals

PLACES = (
    "lock", "lock.holder", "storage", "unrecorded.jsonl", "report", "report/report.md",
    "report/.report.1.md", "report/plots", "report/plots/front-macs.svg", "checkpoints",
    "checkpoints/trial-00000",
    "checkpoints/trial-00000/epoch-00001.json", "study.db", "study.db-journal", "study.db-wal",
    "study.db-shm", "study.begun", "study.begun-journal", ".write-probe", "baseline.safetensors",
    "baseline.safetensors.sha256", "export", "export/README.md", "export/most-accurate",
    "export/most-accurate/recipe.yaml", "export/most-accurate/training", "anything",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs" / "theirs"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file outside the run's folder."""
    path = tmp_path / "mine"
    path.write_text("my thesis\n")
    return path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["link", "link to a folder", "dangling link", "pipe"])
def test_links_and_pipes_are_refused(folder: Path, mine: Path, place: str, kind: str) -> None:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    targets = {"link": mine, "link to a folder": mine.parent, "dangling link": mine / "none"}
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(targets[kind])
    before = {each.name for each in folder.iterdir()}
    for step in (run_folder.prepare, run_folder.refuse_links):
        with pytest.raises(InputError) as caught:
            step(folder)
        said = str(caught.value)
        assert said.startswith(f"{path} is a {'pipe' if kind == 'pipe' else 'symbolic link'}; ")
        assert "remove it" in said
    assert {each.name for each in folder.iterdir()} == before
    assert mine.read_text() == "my thesis\n"


@pytest.mark.parametrize("name", ["unrecorded.jsonl", "lock.holder", "study.db", "study.db-wal"])
def test_second_names_of_what_is_written_in_place_are_refused(
    folder: Path, mine: Path, name: str
) -> None:
    """Two folders with one database would be two drivers on it."""
    (folder / name).hardlink_to(mine)
    with pytest.raises(InputError, match=f"{name} is also a file elsewhere"):
        run_folder.prepare(folder)


def test_second_names_of_what_is_only_read_or_replaced_are_not(folder: Path, mine: Path) -> None:
    (folder / "report").mkdir()
    for name in ("baseline.safetensors", "report/report.md", "lock"):
        (folder / name).hardlink_to(mine)
    run_folder.prepare(folder)


def test_sockets_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # a socket's path may be short only
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind("storage")
        with pytest.raises(InputError, match="is a socket"):
            run_folder.refuse_links(folder)


def test_a_run_folder_on_a_bigger_disk(tmp_path: Path) -> None:
    """Itself, or the folder of all, may be a link."""
    (tmp_path / "disk" / "quick").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "linked").symlink_to(tmp_path / "disk" / "quick")
    for name in ("quick", "linked"):
        run_folder.prepare(tmp_path / "runs" / name)


def test_what_a_search_leaves_is_not_refused(folder: Path) -> None:
    inside = folder / "checkpoints" / "trial-00007"
    inside.mkdir(parents=True)
    (inside / "epoch-00001.json").write_text("{}")
    (folder / "report").mkdir()
    for name in ("study.db", "lock", "storage", "report/report.md"):
        (folder / name).write_text("x")
    (folder / "notes").mkdir()
    (folder / "notes" / "link").symlink_to("elsewhere")  # which the program does not look into
    run_folder.prepare(folder)


def test_where_nothing_is_nothing_is_refused(tmp_path: Path) -> None:
    run_folder.refuse_links(tmp_path / "none" / "of it")
    (tmp_path / "file").write_text("")
    run_folder.refuse_links(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot be read: File name too long"):
        run_folder.refuse_links(tmp_path / ("x" * 300))


def test_a_name_with_escapes_is_shown_with_them_written_out(folder: Path) -> None:
    (folder / ESCAPES).symlink_to("x")
    with pytest.raises(InputError) as caught:
        run_folder.refuse_links(folder)
    assert str(caught.value).isprintable()


def test_the_holder_is_not_written_through_a_link(folder: Path, mine: Path) -> None:
    """Also one that is laid there after the folder was looked through."""
    (folder / "lock.holder").symlink_to(mine)
    with pytest.raises(StorageError, match="cannot be written"):
        run_folder.lock(folder, "me")
    assert mine.read_text() == "my thesis\n"
    (folder / "lock.holder").unlink()
    with run_folder.lock(folder, "me"):  # the first attempt holds nothing
        pass


def test_a_shorter_holder_leaves_nothing_of_a_longer_one(folder: Path) -> None:
    for holder in ("a long description of it", "short"):
        with run_folder.lock(folder, holder):
            assert (folder / "lock.holder").read_text() == holder


@pytest.mark.parametrize(
    "content", [ESCAPES.encode(), b"\xff\xfe\x00", b"", b"\n", b"x" * 5_000_000, b"a\n" * 9999]
)
def test_whoever_holds_it_is_said_on_one_line(folder: Path, content: bytes) -> None:
    with run_folder.lock(folder, "me"):
        (folder / "lock.holder").write_bytes(content)
        with pytest.raises(StudyBusyError) as caught:
            run_folder.lock(folder, "another")
    said = str(caught.value).replace(str(folder), "")
    assert said.isprintable()
    assert len(said) < 800
    assert content.strip() or "in use by another process;" in said


def test_of_a_huge_file_little_is_read(folder: Path) -> None:
    with (folder / "storage").open("wb") as file:
        file.write(b"postgresql://host/db")
        file.truncate(1 << 40)
    said = run_folder.said_in(folder / "storage")
    assert said is not None
    assert said.startswith("postgresql://host/db\\x00")
    assert len(said) < 700


def test_what_is_no_file_says_nothing(folder: Path) -> None:
    assert run_folder.said_in(folder / "storage") is None
    os.mkfifo(folder / "storage")
    with pytest.raises(InputError, match="is a pipe"):
        run_folder.said_in(folder / "storage")


def test_a_link_in_the_way_of_a_whole_file(folder: Path, mine: Path) -> None:
    """Its name beside the place can be guessed."""
    (folder / f".report.{os.getpid()}.md").symlink_to(mine)
    with replacing(folder / "report.md") as path:
        path.write_text("new")
    assert (folder / "report.md").read_text() == "new"
    assert mine.read_text() == "my thesis\n"


# The database.


def journal(*names: bytes) -> bytes:
    """One of SQLite that puts zeros in place of page 1, and names a file to delete after it."""
    header = JOURNAL + struct.pack(">5I", 1, 7, 1, 512, 4096)
    whole = header.ljust(512, b"\0") + struct.pack(">I", 1) + bytes(4096) + struct.pack(">I", 7)
    for name in names:
        page = 0x40000000 // 4096 + 1
        whole += struct.pack(">I", page) + name + struct.pack(">II", len(name), sum(name)) + JOURNAL
    return whole


def test_a_journal_cannot_have_another_file_deleted(
    space: Space, open_ledger: Open, tmp_path: Path, mine: Path
) -> None:
    """SQLite would: a journal that is played back may name a further one, which goes with it."""
    open_ledger(space)
    folder = tmp_path / "study"
    before = (folder / DATABASE).read_bytes()
    (folder / f"{DATABASE}-journal").write_bytes(journal(str(mine).encode()))
    for step in (lambda: Ledger.read(folder), lambda: open_ledger(space)):
        with pytest.raises(StorageError, match="names another file, which SQLite would delete"):
            step()
    assert mine.read_text() == "my thesis\n"
    assert (folder / DATABASE).read_bytes() == before


@pytest.mark.parametrize("name", ["study.db-journal", "study.begun-journal", "study.begun"])
def test_what_is_left_of_an_older_database_spoils_no_new_one(
    space: Space, open_ledger: Open, tmp_path: Path, name: str
) -> None:
    """As where a search was killed in mid-write, and then its `study.db` alone was removed."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / name).write_bytes(journal())
    open_ledger(space)
    assert Ledger.read(tmp_path / "study").trials() == []
    assert [path.name for path in (tmp_path / "study").iterdir()] == [DATABASE]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER UPDATE ON studies BEGIN DELETE FROM trials; END",
        "CREATE VIEW v AS SELECT * FROM studies",
        "ALTER TABLE studies RENAME TO s; CREATE VIEW studies AS SELECT * FROM s",
    ],
)
def test_a_database_that_acts_by_itself_is_refused(
    space: Space, open_ledger: Open, tmp_path: Path, statement: str
) -> None:
    open_ledger(space)
    path = tmp_path / "study" / DATABASE
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(statement)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="holds no study of this program"):
        Ledger.read(tmp_path / "study")
    assert path.read_bytes() == before


def test_a_database_with_other_tables_beside_studies_is_left_as_it_is(folder: Path) -> None:
    path = folder / DATABASE
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE studies (title TEXT); CREATE TABLE books (a INT);")
    before = path.read_bytes()
    with pytest.raises(StorageError):
        Ledger.read(folder)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["r?x", "a#b", "50%", "50%41", "{SCHEMA_VERSION}", "{0}", "a&b=c;d", "é ", "a\udc80"]
)
def test_paths_that_an_address_cannot_hold(tmp_path: Path, name: str) -> None:
    space = make_space()
    folder = tmp_path / name / "study"
    with pytest.raises(InputError, match="there is no study here"):
        Ledger.read(folder)
    assert list(tmp_path.iterdir()) == []
    folder.mkdir(parents=True)
    with pytest.raises(InputError, match="there is no study here"):
        Ledger.read(folder)
    Ledger.open(folder, space.objective_names, space.file.fingerprint).note("key", 1)
    assert Ledger.read(folder).facts("key") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in folder.iterdir()] == [DATABASE]


@pytest.mark.parametrize("name", ["plain", "r?x", "a#b", "50%41", "{SCHEMA_VERSION}", "my runs"])
def test_the_address_for_other_tools(tmp_path: Path, name: str) -> None:
    import optuna

    space = make_space()
    (tmp_path / name).mkdir()
    Ledger.open(tmp_path / name, space.objective_names, space.file.fingerprint)
    found = optuna.study.get_all_study_names(address(tmp_path / name / DATABASE))
    assert found == [name]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_study_that_cannot_even_be_looked_for(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read: File name too long"):
        Ledger.read(tmp_path / ("x" * 300))


def test_a_new_study_is_on_the_disk_with_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, set[str]]] = []

    def note(handle: int) -> None:
        synced.append((os.fstat(handle).st_ino, {path.name for path in folder.iterdir()}))

    monkeypatch.setattr(os, "fsync", note)
    space = make_space()

    def make(storage: object, name: str) -> None:
        Ledger.create(storage, name, space.objective_names, space.file.fingerprint)  # type: ignore[arg-type]

    StudyFile(folder).create(make)
    assert synced == [(folder.stat().st_ino, {DATABASE})]
