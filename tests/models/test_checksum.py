"""Files with their SHA-256 beside them: one flipped bit is found."""

import subprocess
from pathlib import Path

import pytest

from models.architecture import Architecture, Backbone
from models.build import build
from models.checksum import refuse_damaged, sha256, write_with_checksum
from models.errors import InputError
from models.weights import read_weights
from trainers.start import save_start


def test_what_is_written_is_what_sha256sum_checks(tmp_path: Path) -> None:
    path = tmp_path / "some weights.safetensors"
    checksum = write_with_checksum(path, lambda temporary: temporary.write_bytes(b"abc"))
    assert checksum == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(path) == checksum
    done = subprocess.run(["sha256sum", "--check", f"{path.name}.sha256"], cwd=tmp_path, check=True)
    assert done.returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, f"{path.name}.sha256"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    write_with_checksum(path, lambda temporary: temporary.write_bytes(b"old"))

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write_with_checksum(path, fail)
    assert path.read_bytes() == b"old"
    refuse_damaged(path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("position", [0, 200, -1])
def test_one_flipped_bit_is_refused(tmp_path: Path, position: int) -> None:
    path = tmp_path / "w.safetensors"
    save_start(build(Architecture(Backbone(width=0.0625)), 16, 0), path)
    assert read_weights(path)
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"w\.safetensors: its SHA-256 is not the one in w\.safet"):
        read_weights(path)


def test_without_a_checksum_nothing_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"abc")
    refuse_damaged(path)
    path.with_name("w.bin.sha256").write_text("")
    with pytest.raises(InputError):
        refuse_damaged(path)
