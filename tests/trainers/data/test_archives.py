import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import InputError
from trainers.data.archives import DamagedArchiveError, first_member, read_members
from trainers.data.cifar10 import FOLDER, decode_archive

LIMITS = {"folder/wanted": 1000}


def member(name: str, size: int = 0, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def archive(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as writer:
        for info in members:
            writer.addfile(info, io.BytesIO(bytes(info.size)))
    return path


GOOD = member("folder/wanted", 5)
HOSTILE = {
    "parent": member("../escaped", 3),
    "inner parent": member("folder/../../escaped", 3),
    "absolute": member("/escaped-by-test", 3),
    "windows": member("..\\escaped", 3),
    "symlink": member("folder/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "wanted symlink": member("folder/wanted", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hardlink": member("folder/link", type=tarfile.LNKTYPE, linkname="folder/wanted"),
    "character device": member("folder/wanted", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
    "block device": member("folder/disk", type=tarfile.BLKTYPE),
    "pipe": member("folder/wanted", type=tarfile.FIFOTYPE),
    "oversized": member("folder/wanted", 1001),
    "oversized other": member("folder/other", (1 << 20) + 1),
}


def tree(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("first", [True, False])
def test_hostile_members_are_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, first: bool
) -> None:
    work = tmp_path / "deep" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    members = [HOSTILE[kind], member("folder/more", 2)]
    path = archive(work / "evil.tar.gz", *(members if first else members[::-1]))
    before = tree(tmp_path)
    with pytest.raises(InputError, match="refused, and nothing was extracted"):
        dict(read_members(path, LIMITS))
    assert tree(tmp_path) == before
    assert not Path("/escaped-by-test").exists()


def test_a_hostile_archive_is_refused_by_the_decoder_too(tmp_path: Path) -> None:
    path = archive(tmp_path / "evil.tar.gz", member(f"{FOLDER}/x", 1), HOSTILE["symlink"])
    with pytest.raises(InputError, match=r"evil\.tar\.gz: member .*is a link"):
        decode_archive(path)


def test_a_bomb_in_a_header_is_refused(tmp_path: Path) -> None:
    bomb = member("folder/other", 1, pax_headers={"comment": "0" * (40 << 20)})
    path = archive(tmp_path / "bomb.tar.gz", bomb)
    assert path.stat().st_size < 1 << 20
    for read in (lambda: dict(read_members(path, LIMITS)), lambda: first_member(path)):
        with pytest.raises(InputError, match="unpacks to more than"):
            read()


def test_a_bomb_behind_the_end_is_refused(
    tmp_path: Path, rezip: Callable[[Path, bytes], Path]
) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as writer:
        writer.addfile(GOOD, io.BytesIO(bytes(5)))
    path = rezip(tmp_path / "bomb.tar.gz", stream.getvalue() + bytes(40 << 20))
    with pytest.raises(InputError, match="unpacks to more than"):
        dict(read_members(path, LIMITS))


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "many.tar.gz", *(member(f"folder/{n}") for n in range(1001)))
    with pytest.raises(InputError, match="more than 1000 members"):
        dict(read_members(path, LIMITS))


def test_twice_and_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 'folder/wanted' twice"):
        dict(read_members(archive(tmp_path / "twice.tar.gz", GOOD, GOOD), LIMITS))
    with pytest.raises(InputError, match="lacks folder/wanted"):
        dict(read_members(archive(tmp_path / "none.tar.gz", member("folder/x")), LIMITS))


def test_reads_the_wanted_member_only(tmp_path: Path) -> None:
    directory = member("folder", type=tarfile.DIRTYPE)
    path = archive(tmp_path / "good.tar.gz", directory, member("folder/other", 9), GOOD)
    assert dict(read_members(path, LIMITS)) == {"folder/wanted": bytes(5)}
    assert first_member(path) == "folder"


def test_every_truncation_is_found(tmp_path: Path) -> None:
    noise = os.urandom(900)
    path = tmp_path / "good.tar.gz"
    with tarfile.open(path, "w:gz") as writer:
        writer.addfile(member("folder/wanted", 900), io.BytesIO(noise))
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises((DamagedArchiveError, InputError)):
            dict(read_members(path, LIMITS))
