"""`python -m trainers.data folder`, and image folders given where they are not expected."""

import shlex
from pathlib import Path

import pytest

from models.errors import InputError
from trainers.config import DataConfig
from trainers.data import __main__ as command
from trainers.data.cache import cache_folder
from trainers.data.store import foresee, prepare


def test_it_prepares_and_counts(
    pets: Path, cache_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["folder", "--path", str(pets), "--image-size", "16", "--test-share", "0.3"]
    assert command.main(words) == 0
    first = capsys.readouterr()
    data = DataConfig(name="folder", path=str(pets), image_size=16, test_share=0.3)
    assert first.out.splitlines() == [
        f"pets: {prepare(data)}: 14 train and 6 test images in 2 classes, verified",
        "  cat        7 train        3 test",
        "  dog        7 train        3 test",
    ]
    assert "decoding 20 files" in first.err
    assert command.main(words) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (first.out, "")


def test_it_refuses_and_skips(
    pets: Path, cache_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pets / "cat" / "x\x1b]0;owned\x07.png").write_bytes(b"x")
    assert command.main(["folder", "--path", str(pets)]) == 2
    told = capsys.readouterr().err
    assert r"cat/x\x1b]0;owned\x07.png is no picture" in told
    assert "\x1b" not in told
    assert "Traceback" not in told
    assert command.main(["folder", "--path", str(pets), "--unusable", "skip"]) == 0
    found = capsys.readouterr()
    assert "1 file is left out" in found.err
    assert "16 train and 4 test" in found.out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["folder"], "say where your images lie"),
        (["folder", "--path", "none"], "'none' does not exist|none does not exist"),
        (["folder", "--path", ".", "--image-size", "4"], "8 to 1024"),
        (["folder", "--path", ".", "--test-share", "1"], "up to 0.9"),
        (["folder", "--path", ".", "--unusable", "eat"], "invalid choice"),
        (["cifar10", "--image-size", "64"], "cifar10 takes --path alone"),
    ],
)
def test_what_it_cannot_do(
    words: list[str], why: str, cache_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = command.main(words)
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 2
    told = capsys.readouterr().err
    assert any(each in told for each in why.split("|"))
    assert "Traceback" not in told


def test_cifar_pointed_at_images_says_how_to_use_them(pets: Path, cache_home: Path) -> None:
    with pytest.raises(InputError, match="is a folder of images, not CIFAR-10") as caught:
        prepare(DataConfig(path=str(pets)))
    assert f"--space spaces/folder.yaml -o data.path={shlex.quote(str(pets))}" in str(caught.value)
    with pytest.raises(InputError, match="data_batch_1: missing"):
        prepare(DataConfig(path=str(pets / "cat")))


def test_a_folder_pointed_at_cifar(tmp_path: Path, cache_home: Path) -> None:
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(b"x")
    for ask in (prepare, foresee):
        with pytest.raises(InputError, match=r"is no folder. Unpack the archive first"):
            ask(DataConfig(name="folder", path=str(archive)))
    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    (batches / "data_batch_1").write_bytes(b"x")
    with pytest.raises(InputError, match="no sub-folders of images"):
        prepare(DataConfig(name="folder", path=str(batches)))
    assert not cache_folder("x").parent.exists()
