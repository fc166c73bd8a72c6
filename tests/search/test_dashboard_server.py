"""Optuna's dashboard of a study: the real one, over HTTP and in a browser; it changes nothing."""

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from optuna.exceptions import StorageInternalError
from postgresql_server import running as a_server
from simulated import Executor, Recorder, make_driver, make_space

from models.errors import StorageError
from models.interruption import Interruption
from search import __main__ as command
from search import run_folder
from search.dashboard.command import BUSY
from search.dashboard.entries import Entries
from search.dashboard.server import listen, only_looking
from search.events import Several
from search.ledger import Ledger
from search.space import Space
from search.study_file import DATABASE, StudyFile
from search.study_server import parse_address
from search.trial import State

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
GIVEN = (
    "search.trials=7",
    "search.sampler=random",
    "search.early_stopping={rule: patience, patience: 1, min_improvement: 0.2}",
    "objectives.max_params=45100",
    "objectives.max_latency_ms=100",
)


def begin(folder: Path, *overrides: str) -> tuple[Ledger, Space]:
    space = make_space(*GIVEN, *overrides)
    folder.mkdir(parents=True, exist_ok=True)
    return Ledger.open(folder, space.objective_names, space.file.fingerprint), space


@dataclass
class Dashboard:
    """A running `python -m search dashboard`."""

    process: subprocess.Popen[str]
    said: str
    page: str

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
        """Status and answer; `path` begins behind the port."""
        base = self.page.partition("/dashboard")[0]
        body = b"{}" if method in {"POST", "PUT", "DELETE"} else None
        answer = requests.request(method, base + path, data=body, headers=headers, timeout=60)
        return answer.status_code, answer.json() if "json" in answer.headers["Content-Type"] else ""


@contextlib.contextmanager
def dashboard(folder: Path) -> Iterator[Dashboard]:
    words = [sys.executable, "-m", "search", "dashboard", str(folder), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        words, cwd=folder.parent, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, process.communicate(timeout=60)[1]
            said += line
        found = re.search(r"http://\S+", said)
        assert found is not None
        try:
            yield Dashboard(process, said, found[0])
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder as an earlier version left it, without anything for the dashboard."""
    folder = tmp_path_factory.mktemp("runs") / "a study"
    ledger, space = begin(folder)
    Executor(make_driver(space, ledger)).run()
    return folder


@pytest.fixture(scope="module")
def opened(study: Path) -> Iterator[Dashboard]:
    with dashboard(study) as running:
        yield running


def test_it_has_names_feasibility_notes_curves_and_figures(opened: Dashboard, study: Path) -> None:
    status, shown = opened.ask("/api/studies/1")
    assert status == 200
    ledger = Ledger.read(study)
    assert shown["name"] == "a study"
    assert shown["objective_names"] == list(ledger.objectives)
    assert shown["note"]["body"].startswith("# a study")
    figures = {each["id"] for each in shown["plotly_graph_objects"]}
    assert figures == {"front-params", "front-latency_ms", "hypervolume", "learning-curves"}
    assert len(shown["trials"]) == len(ledger.trials())
    seen = set()
    for trial, row in zip(ledger.trials(), shown["trials"], strict=True):
        assert row["number"] == trial.number
        assert any(each > 0 for each in row["constraints"]) == bool(trial.over_budget)
        assert len(row["constraints"]) == 2
        steps = {step["step"]: step["value"] for step in row["intermediate_values"]}
        assert steps == {epoch.epoch: epoch.val_accuracy for epoch in trial.curve}
        assert f"{trial.params:,}" in row["note"]["body"]
        seen.add(trial.state)
    assert seen >= {State.COMPLETE, State.STOPPED, State.INFEASIBLE}
    best = {row["number"] for row in shown["best_trials"]}
    assert best
    assert all(ledger.trial(number).state is State.COMPLETE for number in best)


def test_it_changes_nothing(opened: Dashboard, study: Path) -> None:
    before = (study / DATABASE).read_bytes()
    for method, path in (
        ("DELETE", "/api/studies/1"),
        ("PUT", "/api/studies/1/note"),
        ("PUT", "/api/studies/1/1/note"),
        ("POST", "/api/studies"),
        ("POST", "/api/studies/1/rename"),
        ("POST", "/api/trials/1/tell"),
        ("POST", "/api/trials/1/user-attrs"),
        ("POST", "/incompatible-rdb-schema"),
    ):
        status, said = opened.ask(path, method, **{"Content-Type": "application/json"})
        assert (status, "only shows" in said["reason"]) == (403, True), (method, path)
    assert (study / DATABASE).read_bytes() == before
    assert opened.ask("/api/studies/1")[0] == 200


def test_a_page_of_another_name_is_not_answered(opened: Dashboard) -> None:
    port = opened.page.split(":")[2].partition("/")[0]
    assert opened.ask("/api/studies", Host=f"evil.example:{port}")[0] == 403
    assert opened.ask("/api/studies", Host="localhost:9000")[0] == 200  # as through ssh -L


def test_it_listens_on_this_machine_alone(opened: Dashboard) -> None:
    port = int(opened.page.split(":")[2].partition("/")[0])
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            if state == "0A" and int(address.rpartition(":")[2], 16) == port:
                listening.append(address.rpartition(":")[0])
    assert listening == ["0100007F"]


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    begin(tmp_path / "empty")
    with dashboard(tmp_path / "empty") as running:
        running.process.send_signal(signal.SIGINT)
        out, err = running.process.communicate(timeout=60)
        assert running.process.returncode == 130
        assert err.endswith("the dashboard is closed.\n")
        assert "Traceback" not in out + err


def test_a_browser_shows_it(opened: Dashboard, study: Path, tmp_path: Path) -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: make chromium")
    from playwright.sync_api import sync_playwright

    stopped = next(t for t in Ledger.read(study).trials() if t.state is State.STOPPED)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"], timeout=120_000
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(120_000)
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(opened.page)
        for title in ("Learning curves", "Hypervolume of the front", "accuracy against parameters"):
            page.get_by_text(title).first.wait_for()
        page.goto(f"{opened.page}/trials?numbers={stopped.number}")
        page.get_by_text("Why it ended:").wait_for()
        text = page.inner_text("body")
        assert "training stopped early" in text
        assert "[A]" in text
        page.screenshot(path=tmp_path / "trial.png")
        browser.close()
    assert broken == []
    assert (tmp_path / "trial.png").stat().st_size > 20_000


def test_a_search_is_not_disturbed(tmp_path: Path) -> None:
    """A dashboard that asks without a pause, beside a driver that writes without one."""
    folder = tmp_path / "running"
    ledger, space = begin(folder, "search.trials=25", "search.early_stopping=none")
    watcher, asked, stop = Recorder(), [], threading.Event()
    ledger.tell(watcher.notice)
    with run_folder.lock(folder, "a search"), dashboard(folder) as running:
        assert BUSY in running.said

        def ask() -> None:
            while not stop.is_set():  # the table is read from the study each time, the page is not
                asked.extend(running.ask(path)[0] for path in ("/csv/1", "/api/studies/1"))

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        with Entries(ledger, lambda: 0.0) as shown:
            Executor(make_driver(space, ledger, watcher=Several(watcher, shown))).run()
        stop.set()
        for client in clients:
            client.join()
    assert watcher.notices == []
    assert len(asked) > 10
    assert set(asked) == {200}
    assert Ledger.read(folder).trials() == ledger.trials()
    assert not (folder / "unrecorded.jsonl").exists()


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command in this process: exit code, stderr."""
    monkeypatch.setattr(Interruption, "install", lambda _: None)

    def main(*words: object) -> tuple[int, str]:
        code = command.main(["dashboard", *map(str, words)])
        return code, capsys.readouterr().err

    return main


def test_where_there_is_no_study(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        code, err = run(folder, "--port", 0)
        assert code == 2
        assert "there is no study here" in err
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken(run: Callable[..., tuple[int, str]], study: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err = run(study, "--port", port)
    assert code == 2
    assert f"port {port} is taken by another program; choose another with --port N" in err


@pytest.mark.parametrize("port", ["-1", "65536", "many", "٣", ""])
def test_what_is_no_port(run: Callable[..., tuple[int, str]], port: str, study: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        run(study, f"--port={port}")
    assert caught.value.code == 2


def test_another_programs_database(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        database.execute("CREATE TABLE mine (a)")
    before = (tmp_path / DATABASE).read_bytes()
    code, err = run(tmp_path, "--port", 0)
    assert code == 3
    assert "holds no study of this program" in err
    assert (tmp_path / DATABASE).read_bytes() == before


def test_an_address_that_is_none(run: Callable[..., tuple[int, str]], study: Path) -> None:
    code, err = run(study, "--storage", "mysql://localhost/a", "--port", 0)
    assert code == 2
    assert "--storage" in err


def test_a_folder_that_cannot_be_written_is_shown(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from search.dashboard import command as inner

    def refuse(*_: object) -> None:
        raise StorageError("it cannot be written")

    served: list[object] = []
    monkeypatch.setattr(inner, "lock", refuse)
    monkeypatch.setattr(inner, "serve", lambda server, storage: served.append(storage))
    said: list[str] = []
    inner.show(study, None, 0, said.append)
    assert "could not be added: it cannot be written" in said[0]
    assert served


def test_a_study_on_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a search that holds it: nothing is written, and nothing can be."""
    from search.dashboard import command as inner

    space = make_space(*GIVEN)
    folder = tmp_path / "on-a-server"
    folder.mkdir()
    seen: list[Any] = []

    def serve(_: object, storage: Any) -> None:
        (study,) = storage.get_all_studies()
        seen.append((study.study_name, sorted(study.system_attrs)))
        with pytest.raises(StorageInternalError) as caught:
            storage.delete_study(study._study_id)
        assert "read-only transaction" in str(caught.value.__cause__)

    monkeypatch.setattr(inner, "serve", serve)
    with a_server() as server:
        place = run_folder.place_of(folder, parse_address(server.url), "a search")
        with contextlib.closing(place):
            place.hold()
            ledger = Ledger.open(folder, space.objective_names, space.file.fingerprint, place)
            Executor(make_driver(space, ledger)).run()
            inner.show(folder, [server.url], 0, lambda _: None)
            assert seen == [("on-a-server", sorted(ledger.records.shown()))]
            assert "dashboard:note_ver" not in ledger.records.shown()


def test_who_only_reads_writes_nothing(study: Path) -> None:
    with contextlib.closing(run_folder.place_of(study, None, None)) as place:
        ledger = Ledger.read(study, place)
        with pytest.raises(StorageError, match="readonly"):
            ledger.note("machine", {})
    assert isinstance(place, StudyFile)


def test_a_journal_that_a_killed_search_left_is_rolled_back(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    ledger, _ = begin(folder)
    ledger.note("machine", {"cores": 1})
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN IMMEDIATE'); "
        "c.execute('CREATE TABLE half (a)'); "
        "c.executemany('INSERT INTO half VALUES (?)', [('x' * 3000,)] * 500); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", script, folder / DATABASE], check=False)
    assert done.returncode == 9
    assert (folder / f"{DATABASE}-journal").stat().st_size > 0
    with contextlib.closing(run_folder.place_of(folder, None, None)) as place:
        assert Ledger.read(folder, place).facts("machine") == {"cores": 1}
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'")
        assert tables.fetchone() == (0,)


@pytest.mark.parametrize(
    ("host", "method", "passes"),
    [
        ("127.0.0.1:8080", "GET", True),
        ("localhost", "HEAD", True),
        ("127.0.0.1", "GET", True),
        ("127.0.0.1:8080", "POST", False),
        ("127.0.0.1:8080", "PATCH", False),
        ("127.0.0.1.evil.example:8080", "GET", False),
        ("localhost.evil.example", "GET", False),
        ("evil.example", "GET", False),
        ("", "GET", False),
    ],
)
def test_who_may_ask_for_what(host: str, method: str, passes: bool) -> None:
    began: list[str] = []
    app = only_looking(lambda environ, start: [b"shown"])
    environ = {"HTTP_HOST": host, "REQUEST_METHOD": method}
    answer = app(environ, lambda status, headers: began.append(status))
    assert (answer == [b"shown"]) is passes
    assert began == ([] if passes else ["403 Forbidden"])


def test_any_free_port() -> None:
    with listen(0) as first, listen(0) as second:
        assert first.server_port != second.server_port
