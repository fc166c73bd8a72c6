"""What a search lets others reach, read and write while it runs, and what it leaves behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_accidents import descendants, wait_for

pytestmark = pytest.mark.slow
LISTENS = "0A"  # in /proc/net/tcp
# It must outlive what is asked of it: a client without the token tries for half a minute.
ENDLESS = ("-o", "training.epochs=2000", "-o", "search.trials=4")
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def listening(processes):
    """Local addresses, in the kernel's hexadecimal, that these processes accept connections at."""
    sockets = set()
    for process in processes:
        for link in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets |= set(re.findall(r"socket:\[(\d+)\]", str(link.readlink())))
            except OSError:
                continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *more = line.split()
            if state == LISTENS and more[5] in sockets:
                found.append(local.split(":")[0])
    return found


def told(processes, option):
    """What Ray's processes were started with, as in `--gcs-address=127.0.0.1:6379`."""
    for process in processes:
        for word in Path(f"/proc/{process}/cmdline").read_text().split("\0"):
            if word.replace("_", "-").startswith(f"--{option}="):
                return word.partition("=")[2]
    raise AssertionError(f"no process has --{option}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_open_to_others_and_nothing_of_ray_is_left(program, number, tmp_path):
    old = os.umask(0)  # as in many containers
    try:
        process = program.start(*ENDLESS)
    finally:
        os.umask(old)
    try:
        wait_for(process, "epoch 1/2000")
        below = descendants(process.pid) | {process.pid}
        addresses = listening(below)
        assert len(addresses) >= 5, "GCS, raylet, workers, driver"
        assert set(addresses) <= LOOPBACK
        session = Path(told(below, "session-dir"))
        root = session.parent.parent
        assert root.stat().st_mode & 0o077 == 0, "nobody else gets to Ray's sockets"
        written = [p for p in program.runs.rglob("*") if p.stat().st_mode & 0o022]
        assert written == []
        assert_a_token_is_needed(told(below, "gcs-address"), tmp_path)
    finally:
        process.send_signal(number)
        process.communicate(timeout=60)
    for _ in range(100):
        if not root.exists():
            break
        time.sleep(0.1)
    assert not root.exists()


def assert_a_token_is_needed(gcs, home):
    """Another user of the machine knows the address, but not the token of this run."""
    code = f"import ray; ray.init({gcs!r}, log_to_driver=False); print(ray.nodes())"
    known = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    known["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else it would ask another address
    for token in (None, "0" * 64):
        given = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=known | given | {"HOME": str(home)}, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip
        assert done.returncode != 0, done.stdout
        assert "uthenticat" in done.stderr
