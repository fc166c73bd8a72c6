"""Damaged, missing and hostile images through `run_search.py`: exit 2, one line, nothing begun."""

import io
import os
import pickle
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from malicious_pickle import Payload

import run_search
from models.checksum import sha256
from models.interruption import Interruption
from trainers.config import DataConfig
from trainers.data import sources, store
from trainers.data.cifar10 import FOLDER

if TYPE_CHECKING:
    from conftest import SmallSet

SPACE = """\
backbone: {width: 0.0625, classes: 2}
data: {image_size: 16, train_images: 4, validation_images: 2, augmentation: {crop_padding: 0}}
placement: {stages: [4], attention: {se: {reduction: 2}}}
training: {epochs: 1, batch_size: 2}
"""
Refused = Callable[..., str]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.fixture
def refused(
    small: "SmallSet",
    cache_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Refused]:
    """What the command says as it refuses; it writes nothing but the study's empty folder."""
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    monkeypatch.setattr(sources, "fetch", lambda *_: pytest.fail("it was to be fetched"))
    for name in ("_estimate", "_run"):
        monkeypatch.setattr(run_search, name, lambda *_: pytest.fail("the search went on"))
    work = tmp_path / "deep" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    (tmp_path / "small.yaml").write_text(SPACE)

    def say(path: Path | str | None = None) -> str:
        before = tree(tmp_path)
        given = [] if path is None else ["-o", f"data.path={path}"]
        code = run_search.main(["--space", str(tmp_path / "small.yaml"), "--runs", "runs", *given])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert "Traceback" not in err
        assert "defect" not in err
        new = tree(tmp_path).keys() - before.keys()
        study = work / "runs" / "small"
        allowed = {study, study.parent, study / "lock", study / "lock.holder", cache_home}
        assert new <= set(map(str, allowed)), "and no study has begun"
        assert before.items() <= tree(tmp_path).items()
        return err

    yield say
    assert not Path("/escaped-by-test").exists()


# What `data.path` names.


@pytest.mark.parametrize("form", ["python_archive", "npm_archive"])
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_archive(
    small: "SmallSet", refused: Refused, tmp_path: Path, form: str, damage: str
) -> None:
    path = getattr(small, form)(tmp_path / "images.tgz")
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[: len(data) * 2 // 3]
    else:
        data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    published = small.facts.npm_sha256 if form == "npm_archive" else small.facts.python_sha256
    said = refused(path)
    assert str(path) in said
    assert published in said
    assert f", found {sha256(path)}. Fetch it again" in said


def test_one_wrong_pixel_in_a_sound_archive(
    small: "SmallSet", refused: Refused, tmp_path: Path
) -> None:
    small.decoded.train.images[3, 1, 1, 1] ^= 1
    path = small.python_archive(tmp_path / "changed.tar.gz")
    said = refused(path)
    assert f"{path}: not the train split" in said
    assert f"SHA-256 of the images: expected {small.facts.train.images_sha256}, found" in said


@pytest.mark.parametrize("name", ["none.tar.gz", "none/deep", "x" * 300])
def test_a_path_that_is_not_there(refused: Refused, tmp_path: Path, name: str) -> None:
    said = refused(tmp_path / name)
    assert said.startswith("error: data.path: ")
    assert name in said


def test_an_empty_folder_and_a_folder_without_one_batch(
    small: "SmallSet", refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty' / 'data_batch_1'}: missing" in refused(tmp_path / "empty")
    folder = small.extracted(tmp_path)
    (folder / "test_batch").unlink()
    assert f"{folder / 'test_batch'}: missing" in refused(folder)


def test_a_batch_that_is_cut_off(small: "SmallSet", refused: Refused, tmp_path: Path) -> None:
    folder = small.extracted(tmp_path)
    batch = folder / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-40])
    assert f"{folder}: data_batch_3: refused as a CIFAR batch: EOFError" in refused(folder)


# The cache.


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "header", "missing"])
def test_a_damaged_cache(
    small: "SmallSet", refused: Refused, tmp_path: Path, name: str, damage: str
) -> None:
    folder = store.prepare(DataConfig(path=str(small.npm_archive(tmp_path / "x.tgz"))))
    path = folder / f"{name}.npy"
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "missing":
        path.unlink()
    else:
        data[12 if damage == "header" else -1] ^= 0x10  # the bracket that opens the header
        path.write_bytes(data)
    said = refused()
    split = small.facts.train if name.startswith("train") else small.facts.test
    assert str(path) in said
    assert (split.images_sha256 if name.endswith("images") else split.labels_sha256) in said or (
        damage == "flipped" and "images per class" in said
    )
    assert f"Delete the folder {folder}" in said


# What somebody means harm with.


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


BOMB = {"comment": "0" * (60 << 20)}
HOSTILE = {
    "parent": (member(f"{FOLDER}/../../escaped"), "is named outside the archive"),
    "absolute": (member("/escaped-by-test"), "is named outside the archive"),
    "renamed": (
        member(f"{FOLDER}/x", pax_headers={"path": "../../escaped"}),
        "is named outside the archive",
    ),
    "symlink": (member(f"{FOLDER}/data_batch_1", tarfile.SYMTYPE, linkname="/etc"), "is a link"),
    "hardlink": (member(f"{FOLDER}/data_batch_1", tarfile.LNKTYPE, linkname="/etc"), "is a link"),
    "device": (member(f"{FOLDER}/data_batch_1", tarfile.CHRTYPE), "is a link, a device"),
    "pipe": (member(f"{FOLDER}/data_batch_1", tarfile.FIFOTYPE), "is a link, a device"),
    "bomb": (member(f"{FOLDER}/x", pax_headers=BOMB), "unpacks to more than"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive(small: "SmallSet", refused: Refused, tmp_path: Path, kind: str) -> None:
    info, why = HOSTILE[kind]
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, data in ({f"{FOLDER}/readme.html": b"x"} | small.python_members()).items():
            good = member(name)
            good.size = len(data)
            archive.addfile(good, io.BytesIO(data))
        archive.addfile(info)
    said = refused(path)
    assert str(path) in said
    assert why in said


@pytest.mark.parametrize("where", ["archive", "folder"])
def test_a_malicious_batch(
    small: "SmallSet",
    refused: Refused,
    tar_writer: Callable[[Path, dict[str, bytes]], Path],
    tmp_path: Path,
    where: str,
) -> None:
    mark = tmp_path / "ran"
    evil = pickle.dumps({b"data": Payload(os.system, f"touch {mark}")}, 4)
    if where == "archive":
        members = small.python_members() | {f"{FOLDER}/data_batch_2": evil}
        path = tar_writer(tmp_path / "evil.tar.gz", members)
    else:
        path = small.extracted(tmp_path)
        (path / "data_batch_2").write_bytes(evil)
    said = refused(path)
    assert "data_batch_2: refused as a CIFAR batch: UnpicklingError: it names posix.system" in said
    assert not mark.exists()
