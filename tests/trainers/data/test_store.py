import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.errors import InputError
from trainers.config import DataConfig
from trainers.data import __main__ as command
from trainers.data import cache, sources, store
from trainers.data.cache import cache_folder
from trainers.data.facts import DecodedSet
from trainers.data.store import open_test, open_train, prepare

if TYPE_CHECKING:
    from conftest import SmallSet


@pytest.fixture
def filled(small: "SmallSet", cache_home: Path, tmp_path: Path) -> Path:
    return prepare(DataConfig(path=str(small.npm_archive(tmp_path / "x.tgz"))))


@pytest.fixture
def no_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> DecodedSet:
        raise InputError("no source was to be asked")

    monkeypatch.setattr(sources, "fetch", refuse)


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("cifar10") == tmp_path / "attention-placement-search" / "cifar10"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for ignored in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder("x") == tmp_path / "home/.cache/attention-placement-search/x"


def test_a_path_fills_the_cache_that_later_runs_use(
    small: "SmallSet", filled: Path, no_sources: None
) -> None:
    assert filled == cache_folder("cifar10") == prepare(DataConfig())
    assert sorted(path.name for path in filled.iterdir()) == [
        "test_images.npy",
        "test_labels.npy",
        "train_images.npy",
        "train_labels.npy",
    ]
    assert list(filled.parent.iterdir()) == [filled]
    for opened, part, split in (
        (open_train(filled), small.decoded.train, small.facts.train),
        (open_test(filled), small.decoded.test, small.facts.test),
    ):
        assert np.array_equal(opened.images, part.images)
        assert np.array_equal(opened.labels, part.labels)
        assert isinstance(opened.images, np.memmap)
        assert not opened.images.flags.writeable
        assert opened.labels.dtype == np.int64
        assert (opened.classes, opened.checksum) == (2, split.images_sha256)
        assert (opened.mean, opened.deviation) == (small.facts.mean, small.facts.deviation)


def test_a_cache_folder_can_be_given_and_is_used_in_place(
    filled: Path, tmp_path: Path, no_sources: None
) -> None:
    elsewhere = filled.rename(tmp_path / "elsewhere")
    assert prepare(DataConfig(path=str(elsewhere))) == elsewhere
    assert not filled.exists()


def test_fetches_when_nothing_is_there(
    small: "SmallSet", cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "fetch", lambda *_arguments: small.decoded)
    assert open_train(prepare(DataConfig())).checksum == small.facts.train.images_sha256


def test_a_wrong_path_does_not_fall_back_to_the_cache(filled: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tgz"
    broken.write_bytes(b"broken")
    with pytest.raises(InputError, match=r"broken\.tgz"):
        prepare(DataConfig(path=str(broken)))
    with pytest.raises(InputError, match="no such file or folder"):
        prepare(DataConfig(path=str(tmp_path / "none")))


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "header", "bracket", "missing", "kind"])
def test_a_corrupt_cache_names_file_and_folder(
    small: "SmallSet", filled: Path, tmp_path: Path, no_sources: None, *, name: str, damage: str
) -> None:
    path = filled / f"{name}.npy"
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[-1] ^= 0x40
        path.write_bytes(data)
    elif damage == "truncated":
        path.write_bytes(data[:-5])
    elif damage == "header":
        path.write_bytes(b"\0" * 20)
    elif damage == "bracket":
        data[10] ^= 0x10  # of the header, which NumPy then reads for a long time
        path.write_bytes(data)
    elif damage == "missing":
        path.unlink()
    else:
        np.save(path, np.zeros(3))
    with pytest.raises(InputError) as caught:
        prepare(DataConfig())
    for part in (str(path), "expected", "found", f"Delete the folder {filled}"):
        assert part in str(caught.value)
    # A path that is given mends it.
    again = small.npm_archive(tmp_path / "again.tgz")
    assert prepare(DataConfig(path=str(again))) == prepare(DataConfig()) == filled
    assert list(filled.parent.iterdir()) == [filled]


def test_two_at_once_both_get_a_whole_cache(
    small: "SmallSet", cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = small.npm_archive(tmp_path / "x.tgz")
    both_written = threading.Barrier(2, timeout=20)
    publish = cache.publish

    def publish_together(part: Path, folder: Path) -> None:
        both_written.wait()
        publish(part, folder)

    monkeypatch.setattr(cache, "publish", publish_together)
    folders: list[Path] = []

    def work() -> None:
        folders.append(prepare(DataConfig(path=str(archive))))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [cache_folder("cifar10")] * 2
    assert list(folders[0].parent.iterdir()) == [folders[0]]
    cache.check_cache(folders[0], small.facts)


def test_what_a_killed_process_left_is_removed_in_the_end(
    small: "SmallSet", cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = cache_folder("cifar10").parent
    old, new = parent / ".part-old", parent / ".part-new"
    for left in (old, new):
        left.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * cache.STALE_S,) * 2)
    monkeypatch.setattr(sources, "fetch", lambda *_arguments: small.decoded)
    prepare(DataConfig())
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_by_a_day_makes_nothing_stale(
    small: "SmallSet", cache_home: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """What another process began to write an hour ago, by the clock as it was."""
    left = cache_folder("cifar10").parent / ".part-of-another"
    left.mkdir(parents=True)
    os.utime(left, (time.time() - 3600,) * 2)
    jumped = time.time() + days * 24 * 3600
    monkeypatch.setattr(cache.time, "time", lambda: jumped)
    monkeypatch.setattr(sources, "fetch", lambda *_arguments: small.decoded)
    prepare(DataConfig())
    assert left.exists()


def test_a_cache_that_cannot_be_written_says_what_to_do(
    small: "SmallSet", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = small.npm_archive(tmp_path / "x.tgz")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written: .*set XDG_CACHE_HOME"):
        prepare(DataConfig(path=str(archive)))


def test_command(
    small: "SmallSet", cache_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = small.npm_archive(tmp_path / "x.tgz")
    assert command.main(["cifar10", "--path", str(archive)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert str(cache_folder("cifar10")) in shown
    assert "10 train and 4 test images in 2 classes" in shown
    assert command.main(["cifar10", "--path", str(tmp_path / "none")]) == 2
    shown_error = capsys.readouterr().err
    assert "no such file or folder" in shown_error
    assert "Traceback" not in shown_error


def test_importing_the_package_leaves_paddle_alone() -> None:
    program = (
        "import sys, trainers.data.batches, trainers.data.sources, trainers.data.__main__; "
        "sys.exit('paddle' in sys.modules)"
    )
    root = Path(store.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
