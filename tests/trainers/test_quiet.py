"""The machine-wide locks that keep trainings from disturbing measurements: real processes."""

import fcntl
import multiprocessing
import os
import platform
import stat
import time
from pathlib import Path

import pytest

from models.errors import StorageError
from trainers.quiet import Quiet

FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")


def _train_without_pause(folder: Path, steps, stop) -> None:
    quiet = Quiet(folder)
    while not stop.is_set():
        with quiet.training():
            time.sleep(0.01)
            steps.value += 1


@pytest.fixture
def trainings(tmp_path):
    stop, counts = SPAWN.Event(), [SPAWN.Value("i", 0) for _ in range(2)]
    processes = [
        SPAWN.Process(target=_train_without_pause, args=(tmp_path, count, stop), daemon=True)
        for count in counts
    ]
    for process in processes:
        process.start()
    deadline = time.monotonic() + 30
    while not all(count.value for count in counts):
        assert time.monotonic() < deadline, "the trainings did not start"
        time.sleep(0.01)
    yield counts, processes
    stop.set()
    for process in processes:
        process.kill()
        process.join()


def test_no_training_steps_during_a_measurement_and_they_go_on_after(trainings, tmp_path):
    counts, _ = trainings
    quiet = Quiet(tmp_path)
    began = time.monotonic()
    with quiet.measuring() as alone:
        waited = time.monotonic() - began
        before = [count.value for count in counts]
        time.sleep(0.2)
        during = [count.value for count in counts]
    time.sleep(0.3)
    after = [count.value for count in counts]
    quiet.close()
    assert alone
    assert waited < 2.0  # two trainings that never rest do not starve it
    assert during == before
    assert all(later > earlier for later, earlier in zip(after, during, strict=True))


def test_two_measurements_take_turns(tmp_path):
    first, second = Quiet(tmp_path), Quiet(tmp_path)
    with first.measuring(), second.measuring(patience_s=0.05) as alone:
        assert not alone
    with second.measuring() as alone:
        assert alone


def test_a_killed_training_frees_the_locks(trainings, tmp_path):
    _, processes = trainings
    for process in processes:
        process.kill()
        process.join()
    with Quiet(tmp_path).measuring(patience_s=5) as alone:
        assert alone


def test_a_suspended_training_does_not_hold_a_measurement_up_for_ever(tmp_path):
    with Quiet(tmp_path).training(), Quiet(tmp_path).measuring(patience_s=0.1) as alone:
        assert not alone


# Where the locks are.

NAME = f"attention-placement-search-{os.getuid()}"
NOBODY = 65534


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A temporary folder that all users share."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        if parent.owner() == folder.owner():
            parent.chmod(parent.stat().st_mode | 0o011)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def cached(shared):
    return shared.parent / "home/.cache/attention-placement-search" / f"locks-{platform.node()}"


def locks(folder):
    return {path.name for path in folder.iterdir()}


def test_they_are_in_a_folder_of_the_users_own(shared):
    Quiet().close()
    assert locks(shared) == {NAME}
    assert locks(shared / NAME) == {"gate", "turnstile"}
    assert stat.S_IMODE((shared / NAME).stat().st_mode) == 0o700
    assert not cached(shared).exists()


def test_whoever_asks_finds_the_same(shared, monkeypatch):
    """With another umask, another environment and another working folder as well."""
    first = Quiet()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(shared / "run"))
    monkeypatch.chdir(shared)
    old = os.umask(0)
    try:
        second = Quiet()
    finally:
        os.umask(old)
    with first.measuring(), second.measuring(patience_s=0.05) as alone:
        assert not alone


def squat_with_a_link(shared):
    (shared / "elsewhere").mkdir(mode=0o700)
    (shared / NAME).symlink_to(shared / "elsewhere")


def squat_with_a_file(shared):
    (shared / NAME).write_text("")


def squat_with_an_open_folder(shared):
    (shared / NAME).mkdir()
    (shared / NAME).chmod(0o777)


def squat_as_another_user(shared):
    if os.geteuid():
        pytest.skip("only root can make another user's folder")
    (shared / NAME).mkdir(mode=0o700)
    os.chown(shared / NAME, NOBODY, NOBODY)


SQUATS = [
    squat_with_a_link, squat_with_a_file, squat_with_an_open_folder, squat_as_another_user,
]  # fmt: skip


@pytest.mark.parametrize("squat", SQUATS)
def test_what_is_not_the_users_alone_is_not_used(shared, squat):
    squat(shared)
    first, second = Quiet(), Quiet()
    assert locks(cached(shared)) == {"gate", "turnstile"}
    assert stat.S_IMODE(cached(shared).stat().st_mode) == 0o700
    assert not list(shared.glob("*/*"))
    with first.measuring(), second.measuring(patience_s=0.05) as alone:
        assert not alone, "both have the same"


@pytest.mark.parametrize("home", ["a file", "none"])
def test_where_there_is_no_place_it_says_what_to_do(shared, monkeypatch, home):
    squat_with_a_file(shared)
    if home == "a file":
        (shared.parent / "home").write_text("")
    else:
        monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(StorageError, match=f"{shared / NAME} is no folder that only you may enter"):
        Quiet()


def no_home():
    raise RuntimeError("Could not determine home directory.")


def _hold_as_another_user(names, held) -> None:
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    for name in names:
        fcntl.flock(os.open(name, os.O_RDWR | os.O_CREAT, 0o666), fcntl.LOCK_EX)
    held.set()
    time.sleep(60)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_cannot_hold_a_search_up(shared):
    """A real process of another user, with locks on files by the names of the program."""
    names = [f"{shared / NAME}.{lock}" for lock in ("turnstile", "gate")]
    held = FORK.Event()
    other = FORK.Process(target=_hold_as_another_user, args=(names, held), daemon=True)
    other.start()
    try:
        assert held.wait(30)
        with Quiet().measuring(patience_s=0.2) as alone:
            assert alone
    finally:
        other.kill()
        other.join()
