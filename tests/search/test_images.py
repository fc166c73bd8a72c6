"""Spaces and studies of a folder of images: what follows from it, and that it stays the same."""

import os
from pathlib import Path

import pytest
from image_folders import COLOURS, encoded, picture, write_folder

import run_search
from models.errors import InputError
from models.interruption import Interruption
from models.yaml_input import parse_yaml
from search.images import FILE, agree_on_images, explain_changes
from search.ledger import Ledger
from search.space import Space, check_space, settled
from trainers.data.folder.parts import Row, read_rows, write_rows
from trainers.data.store import facts_of, prepare

SPACE = """\
backbone: {{width: 0.0625{classes}}}
data: {{name: folder, path: "{path}", image_size: 16{data}}}
placement: {{stages: [4], attention: {{se: {{reduction: 2}}}}}}
training: {{epochs: 1, batch_size: {batch}}}
"""


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_folder(tmp_path / "pets", {"bird": 20, "cat": 20, "dog": 20})


def text(path: Path, classes: str = "", data: str = "", batch: int = 8) -> str:
    return SPACE.format(path=path, classes=classes, data=data, batch=batch)


def checked(path: Path, **more: object) -> Space:
    return check_space(parse_yaml(text(path, **more), "mine.yaml"))  # type: ignore[arg-type]


def whole(path: Path, **more: object) -> Space:
    document = parse_yaml(text(path, **more), "mine.yaml")  # type: ignore[arg-type]
    space = check_space(document)
    data = space.file.data
    return settled(document, space, facts_of("folder", prepare(data)))


def test_classes_are_counted(pets: Path) -> None:
    assert checked(pets).file.backbone.classes == 3
    assert checked(pets).baseline.backbone.classes == 3
    assert checked(pets, classes=", classes: 3").file == checked(pets).file
    why = r"mine.yaml:1: backbone.classes: 10 .* pets has 3 classes; write 3, or leave it out"
    with pytest.raises(InputError, match=why):
        checked(pets, classes=", classes: 10")


def test_validation_images_are_settled_by_the_images_that_can_be_used(pets: Path) -> None:
    assert checked(pets).file.data.validation_images is None
    space = whole(pets)
    assert space.file.data.validation_images == 48 // 5
    assert space.file.fingerprint["data"]["validation_images"] == 48 // 5
    for n in range(10):
        (pets / "cat" / f"{n:03}.png").write_bytes(b"x")
    assert whole(pets, data=", unusable: skip").file.data.validation_images == 40 // 5
    assert whole(pets, data=", unusable: skip, validation_images: 4").file.data.judges == 4


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"batch": 64}, r"training.batch_size: 64 is more than the 39 training images"),
        ({"data": ", validation_images: 48"}, "48 leave nothing to train on of the 48 images of"),
        ({"data": ", train_images: 40"}, "40 and 9 validation images .* at most 39"),
        ({"data": ", augmentation: {cutout: 16}"}, "pets has 16 pixels a side; allowed: 0 to 15"),
        ({"data": ", test_share: 1.0"}, "mine.yaml:2: data.test_share: 1.0 is not allowed"),
        ({"data": ", unusable: eat"}, "mine.yaml:2: data.unusable: 'eat' is not allowed"),
    ],
)
def test_what_does_not_fit_is_told_before_a_picture_is_read(
    pets: Path, more: dict[str, object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=why):
        checked(pets, **more)


def test_what_only_the_pictures_tell(pets: Path) -> None:
    for n in range(18):
        (pets / "cat" / f"{n + 1:03}.png").write_bytes((pets / "cat" / "000.png").read_bytes())
    (pets / "cat" / "x.png").write_bytes(encoded(picture(COLOURS[1], 9999)))
    assert checked(pets, batch=30)
    with pytest.raises(InputError, match=r"training.batch_size: 30 is more than the 28 training"):
        whole(pets, batch=30)


def test_a_missing_folder_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine.yaml:2: data.path: .*nothing does not exist"):
        checked(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"mine.yaml:1: data.path: is missing: say where"):
        check_space(
            parse_yaml("data: {name: folder}\nplacement: {attention: {se: {}}}", "mine.yaml")
        )


# The study.


ROWS = [Row(f"cat/{n}.png", "cat", "train", str(n)) for n in range(6)]


def explained(folder: Path, rows: list[Row]) -> str:
    def refuse() -> None:
        raise InputError("another space")

    with pytest.raises(InputError) as caught, explain_changes(folder, rows):
        refuse()
    return str(caught.value)


def test_what_has_changed_is_named(tmp_path: Path) -> None:
    assert explained(tmp_path, ROWS) == "another space"
    write_rows(tmp_path / FILE, ROWS)
    assert explained(tmp_path, ROWS) == "another space"
    assert explained(tmp_path, ROWS[::-1]) == "another space"
    assert explained(tmp_path, []) == "another space", "of a published data set"
    new = [Row(f"dog/{n}.png", "dog", "test", f"d{n}") for n in range(5)]
    other = Row("cat/5.png", "cat", "train", "another")
    unusable = Row("cat/6.png", "cat", "unusable", "u", "is damaged")
    told = explained(tmp_path, [*ROWS[1:5], other, *new, unusable])
    assert told.startswith(
        "data.path: the images have changed since this study began (new: dog/0.png, dog/1.png, "
        "dog/2.png and 2 more; gone: cat/0.png; other images now: cat/5.png)"
    )
    assert "--study NAME" in told
    assert "--fresh" in told


@pytest.mark.parametrize("content", [b"", b"\xff", b"a,b\n1,2\n"])
def test_a_list_that_is_none_explains_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert explained(tmp_path, ROWS) == "another space"


class Noted:
    """What `agree_on_images` asks a ledger."""

    def __init__(self, noted: object, trials: int = 1) -> None:
        self.noted, self.count = noted, trials

    def facts(self, key: str) -> object:
        return {"data": self.noted}[key]

    def trials(self) -> list[int]:
        return [0] * self.count


def agree(ledger: Noted, folder: Path, rows: list[Row]) -> None:
    agree_on_images(ledger, {"set_checksum": "b"}, folder, rows)  # type: ignore[arg-type]


def test_a_study_of_the_same_images_goes_on(tmp_path: Path) -> None:
    for noted in ({"set_checksum": "b"}, None, {}, "rubbish", {"checksum": "of an old version"}):
        agree(Noted(noted), tmp_path, ROWS)
        assert read_rows(tmp_path / FILE) == ROWS
        (tmp_path / FILE).unlink()
    agree(Noted({"set_checksum": "a"}, trials=0), tmp_path, [])
    assert not (tmp_path / FILE).exists()


def test_a_study_of_others_does_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"SHA-256 a, now b.*version of Pillow.*--study NAME"):
        agree(Noted({"set_checksum": "a"}), tmp_path, ROWS)
    assert not (tmp_path / FILE).exists()
    write_rows(tmp_path / FILE, ROWS[:4])
    with pytest.raises(InputError, match=r"new: cat/4.png, cat/5.png\)"):
        agree(Noted({"set_checksum": "a"}), tmp_path, ROWS)
    assert read_rows(tmp_path / FILE) == ROWS[:4]


# The command.


@pytest.fixture
def command(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> object:
    """`run_search.py` without trials: what it says, and its exit code."""
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    for name in ("_run", "_report", "_refuse_all_failed"):
        monkeypatch.setattr(run_search, name, lambda *_: None)
    monkeypatch.chdir(tmp_path)
    space = tmp_path / "mine.yaml"
    space.write_text(text(pets))

    def run(*more: str) -> tuple[int, str]:
        code = run_search.main(["--space", str(space), "--no-estimate", *more])
        out, err = capsys.readouterr()
        return code, out + err

    return run


def test_a_study_notes_and_lists_its_images(command: object, tmp_path: Path) -> None:
    assert callable(command)
    code, said = command()
    assert code == 0
    assert "decoding 60 files" in said
    folder = tmp_path / "runs" / "mine"
    noted = Ledger.read(folder).facts("data")
    assert noted["class_names"] == ["bird", "cat", "dog"]
    assert (noted["title"], noted["test_images"], noted["validation_images"]) == ("pets", 12, 9)
    assert Ledger.read(folder).space["data"]["validation_images"] == 9
    assert "path" not in Ledger.read(folder).space["data"]
    parts = [row.part for row in read_rows(folder / FILE)]
    assert {part: parts.count(part) for part in parts} == {"train": 39, "validation": 9, "test": 12}


def test_a_study_whose_folder_changed_is_refused(
    command: object, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(command)
    assert command()[0] == 0
    monkeypatch.setattr(Ledger, "trials", lambda _: [0])  # as if it held one
    assert command()[0] == 0
    os.utime(pets / "cat" / "000.png", (0, 0))
    assert command()[0] == 0, "the same bytes at another time"
    before = (tmp_path / "runs" / "mine" / FILE).read_bytes()

    (pets / "cat" / "000.png").write_bytes(encoded(picture(COLOURS[1], 4242)))
    code, said = command()
    assert code == 2
    assert "the images have changed since this study began (other images now: cat/000.png)" in said
    (pets / "fish").mkdir()
    for n in range(3):
        (pets / "fish" / f"{n}.png").write_bytes(encoded(picture(COLOURS[4], n)))
    code, said = command()
    assert code == 2
    assert "(new: fish/0" in said
    assert (tmp_path / "runs" / "mine" / FILE).read_bytes() == before


def test_unusable_images_end_it_before_a_study_begins(
    command: object, pets: Path, tmp_path: Path
) -> None:
    assert callable(command)
    (pets / "cat" / "x.txt").write_text("x")
    code, said = command()
    assert code == 2
    assert "1 of 61 files cannot be used" in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs" / "mine" / "study.db").exists()
    code, said = command("-o", "data.unusable=skip")
    assert code == 0
    assert "1 file is left out" in said
