"""What lies in a folder, before any picture is read; what is no folder of classes."""

import os
import socket
from pathlib import Path

import pytest
from image_folders import write_folder

from models.errors import InputError
from trainers.data.folder import listing as listings
from trainers.data.folder.listing import list_folder, looks_like_classes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pets", {"dog": 3, "cat": 2})


def why(folder: Path) -> dict[str, str]:
    return {each.path: each.why for each in list_folder(str(folder)).unusable}


def test_classes_and_files_are_in_order(folder: Path) -> None:
    found = list_folder(str(folder))
    assert found.class_names == found.folders == ("cat", "dog")
    assert [found.shown(file) for file in found.files] == [
        "cat/000.png", "cat/001.png", "dog/000.png", "dog/001.png", "dog/002.png",
    ]  # fmt: skip
    assert found.unusable == ()


def test_what_systems_leave_is_passed_by(folder: Path) -> None:
    before = list_folder(str(folder))
    for name in (".DS_Store", "._000.png", "Thumbs.db", "desktop.ini", "Desktop.ini"):
        (folder / "cat" / name).write_bytes(b"x")
        (folder / name).write_bytes(b"x")
    for name in (".git", "__MACOSX", "@eaDir"):
        (folder / name).mkdir()
        (folder / "dog" / name).mkdir()
    (folder / "README.txt").write_text("notes")
    (folder / "labels.csv").write_text("notes")
    assert list_folder(str(folder)) == before


def test_what_is_no_plain_file_is_named_and_never_opened(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"x")
    (folder / "cat" / "out.png").symlink_to(secret)
    (folder / "cat" / "in.png").symlink_to(folder / "dog" / "000.png")
    (folder / "cat" / "loop.png").symlink_to("loop.png")
    (folder / "cat" / "nowhere.png").symlink_to("nothing")
    (folder / "cat" / "up").symlink_to("..")
    os.mkfifo(folder / "cat" / "pipe.png")
    (folder / "cat" / "deeper").mkdir()
    (folder / "linked").symlink_to(folder / "dog")
    (folder / "stray.JPG").write_bytes(b"x")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "cat" / "socket"))
        found = why(folder)
    link = "is a link, and links are not followed; put the file itself here"
    assert found == {
        **dict.fromkeys(["cat/in.png", "cat/loop.png", "cat/nowhere.png", "cat/out.png"], link),
        **dict.fromkeys(["cat/up", "linked"], link),
        "cat/pipe.png": "is a pipe",
        "cat/socket": "is a socket",
        "cat/deeper": "is a folder; images lie directly in the folder of their class",
        "stray.JPG": "lies beside the folders of the classes and belongs to none",
    }
    assert len(list_folder(str(folder)).files) == 5


def test_the_folder_itself_may_be_a_link_or_at_home(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "link", "~/pets", "pets"):
        assert list_folder(str(path)) == list_folder(str(folder))


def test_names_of_files_may_be_anything(folder: Path) -> None:
    for name in (b"\xff\xfe.png", b"a\nb\x1b[31m.png", "é.png".encode(), b"=1+1.png", b" .png"):
        (folder / os.fsdecode(b"cat/" + name)).write_bytes(b"x")
    found = list_folder(str(folder))
    shown = [found.shown(file) for file in found.files]
    assert all(text.isprintable() and text.encode() for text in shown)
    assert r"cat/a\nb\x1b[31m.png" in shown
    assert r"cat/\udcff\udcfe.png" in shown


@pytest.mark.parametrize("name", [b"\xff", b"a\nb", b"\x1b[31m", "\u202etac".encode(), b"   "])
def test_names_of_classes_must_be_texts(folder: Path, name: bytes) -> None:
    (folder / os.fsdecode(name)).mkdir()
    with pytest.raises(InputError, match="cannot be the name of a class") as caught:
        list_folder(str(folder))
    assert str(caught.value).isprintable()


def test_classes_may_have_names_of_any_language(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", {"cafe\u0301": 1, "猫": 1, "=cmd": 1, "a 'b' ,c": 1})
    assert list_folder(str(folder)).class_names == ("=cmd", "a 'b' ,c", "caf\u00e9", "猫")
    (folder / "caf\u00e9").mkdir()
    with pytest.raises(InputError, match="two folders are called 'café'"):
        list_folder(str(folder))


# Other layouts.


def refused(path: Path | str | None) -> str:
    with pytest.raises(InputError) as caught:
        list_folder(None if path is None else str(path))
    told = str(caught.value)
    assert told.startswith("data.path: ")
    assert told.isprintable()
    return told


def test_no_folder(folder: Path, tmp_path: Path) -> None:
    assert "-o data.path=FOLDER" in refused(None)
    assert "does not exist" in refused(tmp_path / "none")
    assert "Unpack the archive first" in refused(folder / "cat" / "000.png")
    assert "is no folder" in refused("/dev/null")
    assert "cannot be read" in refused("x" * 5000)
    assert "does not exist" in refused("a\0b")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert str(loop) in refused(loop)
    assert "FOLDER/CLASS/IMAGE" in refused(tmp_path / "none")


def test_empty_and_flat_folders(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no sub-folders of images" in refused(tmp_path / "empty")
    assert "images, but no sub-folder for each class" in refused(folder / "cat")


def test_an_empty_class(folder: Path) -> None:
    (folder / "bird").mkdir()
    (folder / "bird" / ".DS_Store").write_bytes(b"x")
    assert "the class 'bird' is an empty folder" in refused(folder)


def test_a_single_class(tmp_path: Path) -> None:
    assert "one class only (cat)" in refused(write_folder(tmp_path / "x", {"cat": 5}))


@pytest.mark.parametrize("parts", [("train", "val", "test"), ("Train", "Test"), ("train", "valid")])
def test_parts_instead_of_classes(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        write_folder(tmp_path / "x" / part, {"cat": 2, "dog": 2})
    told = refused(tmp_path / "x")
    assert "holds parts" in told
    assert f"such as {tmp_path / 'x' / min(parts)}" in told


def test_classes_one_level_deeper(tmp_path: Path) -> None:
    inner = write_folder(tmp_path / "archive" / "raw-img", {"cat": 2, "dog": 2})
    (tmp_path / "archive" / "translate.py").write_text("")
    assert f"Should it be {inner}?" in refused(tmp_path / "archive")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "vehicles", {"train": 2, "test": 2})
    assert list_folder(str(folder)).class_names == ("test", "train")


def test_too_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "MAX_FILES", 4)
    assert "holds 5 files; at most 4" in refused(folder)
    monkeypatch.setattr(listings, "MAX_CLASSES", 1)
    assert "holds 2 sub-folders; at most 1" in refused(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_class_that_may_not_be_read(folder: Path) -> None:
    (folder / "cat").chmod(0)
    try:
        assert "cannot be read: Permission denied" in refused(folder)
    finally:
        (folder / "cat").chmod(0o755)


def test_a_class_that_vanishes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def slow(path: Path | str) -> object:
        if str(path).endswith("dog"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", slow)
    assert "dog cannot be read: No such file" in refused(folder)


# What tells states of a folder apart.


def test_the_checksum_is_of_names_sizes_and_times(folder: Path, tmp_path: Path) -> None:
    first = list_folder(str(folder)).checksum
    assert list_folder(str(folder)).checksum == first
    moved = folder.rename(tmp_path / "moved")
    assert list_folder(str(moved)).checksum == first
    file = moved / "cat" / "000.png"
    file.write_bytes(file.read_bytes()[::-1])  # as long as it was
    os.utime(file, ns=(0, 0))
    seen = {first, list_folder(str(moved)).checksum}
    os.utime(file, ns=(0, 1))
    seen.add(list_folder(str(moved)).checksum)
    file.rename(file.with_name("x.png"))
    seen.add(list_folder(str(moved)).checksum)
    (moved / "dog" / "link").symlink_to("000.png")
    seen.add(list_folder(str(moved)).checksum)
    assert len(seen) == 5


def test_folders_of_images_are_known_by_their_look(folder: Path, tmp_path: Path) -> None:
    assert looks_like_classes(folder)
    assert not looks_like_classes(folder / "cat")
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"x")
    assert not looks_like_classes(tmp_path / "cifar-10-batches-py")
    assert not looks_like_classes(tmp_path)
