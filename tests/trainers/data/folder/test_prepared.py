"""A folder of images in its cache: filled once for each of its states, whole, verified."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_folders import COLOURS, encoded, picture
from PIL import Image

from models.errors import InputError
from trainers.config import DataConfig
from trainers.data import cache
from trainers.data.facts import images_checksum, labels_checksum
from trainers.data.folder import decoding, prepared
from trainers.data.folder.parts import read_rows
from trainers.data.folder.picture import decode
from trainers.data.held_out import held_out_batches
from trainers.data.search_split import describe_split
from trainers.data.store import facts_of, open_test, open_train, prepare

Of = Callable[..., DataConfig]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that pictures are decoded: how many."""
    counts: list[int] = []
    inner = prepared.decode_all

    def spy(listing: prepared.Listing, *rest: object) -> object:
        counts.append(len(listing.files))
        return inner(listing, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(prepared, "decode_all", spy)
    return counts


def fail(_line: str) -> None:
    pytest.fail(f"nothing is to be said: {_line}")


def test_the_arrays_are_the_pictures(of: Of, pets: Path) -> None:
    folder = prepare(of())
    facts = facts_of("folder", folder)
    assert (facts.title, facts.class_names, facts.image_size) == ("pets", ("cat", "dog"), 8)
    assert (facts.train.class_counts, facts.test.class_counts) == ((8, 8), (2, 2))
    rows = read_rows(folder / "split.csv")
    for opened, split in ((open_train(folder, "folder"), facts.train),
                          (open_test(folder, "folder"), facts.test)):  # fmt: skip
        mine = [row for row in rows if row.part == split.name]
        expected = np.stack([decode((pets / row.file).read_bytes(), 8) for row in mine])
        assert np.array_equal(opened.images, expected)
        assert opened.labels.tolist() == [facts.class_names.index(row.class_name) for row in mine]
        assert isinstance(opened.images, np.memmap)
        assert opened.checksum == split.images_sha256 == images_checksum(expected)
        assert split.labels_sha256 == labels_checksum(opened.labels)
        assert (opened.classes, opened.mean) == (2, facts.mean)
    assert sorted(path.name for path in folder.iterdir()) == [
        "facts.json", "split.csv", "test_images.npy", "test_labels.npy",
        "train_images.npy", "train_labels.npy",
    ]  # fmt: skip
    assert list(folder.parent.iterdir()) == [folder]


def test_mean_and_deviation_are_the_training_images_alone(of: Of) -> None:
    folder = prepare(of())
    facts = facts_of("folder", folder)
    pixels = open_train(folder, "folder").images.reshape(-1, 3) / 255
    assert facts.mean == pytest.approx(pixels.mean(axis=0), abs=1e-6)
    assert facts.deviation == pytest.approx(pixels.std(axis=0), abs=1e-6)


def test_black_images_can_be_normalised(tmp_path: Path, cache_home: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "x" / name).mkdir(parents=True)
        for n in range(4):
            content = encoded(Image.new("RGB", (9 + n, 9 + ord(name))))
            (tmp_path / "x" / name / f"{n}.png").write_bytes(content)
    data = DataConfig(name="folder", path=str(tmp_path / "x"), image_size=8)
    (pixels, _), *_ = held_out_batches(data, prepare(data))
    assert np.isfinite(pixels).all()


def test_a_folder_that_did_not_change_is_not_decoded_again(
    of: Of, pets: Path, tmp_path: Path, decoded: list[int]
) -> None:
    folder = prepare(of())
    assert prepare(of(), fail) == folder
    (pets / ".DS_Store").write_bytes(b"x")
    (pets / "README.md").write_text("x")
    away = tmp_path / "elsewhere" / "pets"
    away.parent.mkdir()
    pets.rename(away)
    assert prepare(of(path=str(away)), fail) == folder
    assert decoded == [20]


def test_anything_else_has_a_cache_of_its_own(of: Of, pets: Path, decoded: list[int]) -> None:
    known = {prepare(of())}
    for settings in ({"image_size": 9}, {"split_seed": 1}, {"test_share": 0.3}):
        known.add(prepare(of(**settings)))
    (pets / "cat" / "new.png").write_bytes(encoded(picture(COLOURS[0], 77)))
    known.add(prepare(of()))
    (pets / "cat" / "new.png").unlink()
    (pets / "dog" / "000.png").write_bytes(encoded(picture(COLOURS[1], 78)))
    known.add(prepare(of()))
    assert len(known) == 6
    assert decoded == [20, 20, 20, 20, 21, 20]
    for settings in ({"train_images": 5}, {"validation_images": 3}, {"unusable": "skip"}):
        assert prepare(of(**settings), fail) in known


def test_touched_files_give_the_same_checksum(of: Of, pets: Path) -> None:
    first = prepare(of())
    os.utime(pets / "cat" / "000.png", (0, 0))
    again = prepare(of())
    assert again != first
    checksums = [facts_of("folder", folder).checksum for folder in (first, again)]
    assert checksums[0] == checksums[1]


def test_a_class_of_another_name_is_another_set(of: Of, pets: Path) -> None:
    before = facts_of("folder", prepare(of())).checksum
    (pets / "dog").rename(pets / "wolf")
    assert facts_of("folder", prepare(of())).checksum != before


# Files that are no images.


@pytest.fixture
def odd(pets: Path) -> Path:
    """`pets` with six files that cannot be used, and a duplicate."""
    whole = (pets / "cat" / "000.png").read_bytes()
    (pets / "cat" / "cut.png").write_bytes(whole[:-60])
    (pets / "cat" / "notes.txt").write_text("no image")
    (pets / "cat" / "same.png").write_bytes(whole)
    (pets / "cat" / "dog.png").write_bytes((pets / "dog" / "003.png").read_bytes())
    (pets / "dog" / "link.png").symlink_to("000.png")
    os.mkfifo(pets / "dog" / "pipe")
    return pets


def test_unusable_files_are_refused_by_name(of: Of, odd: Path, decoded: list[int]) -> None:
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            prepare(of())
        first, *lines, last = str(caught.value).splitlines()
        assert first == f"data.path: {odd}: 6 of 26 files cannot be used:"
        assert len(lines) == 6
        assert "  cat/notes.txt is no picture of a known format (JPEG, " in lines[2]
        assert "  cat/dog.png is the same image as dog/003.png, which is of another class" in lines
        assert lines[0].startswith("  cat/cut.png is damaged: OSError: ")
        assert "-o data.unusable=skip" in last
        listed = Path(last.split("All are listed in ")[1].split(". Mend")[0])
        assert sum(row.part == "unusable" for row in read_rows(listed)) == 6
    assert decoded == [24], "and none of them twice"


def test_or_skipped_and_counted(of: Of, odd: Path, decoded: list[int]) -> None:
    with pytest.raises(InputError):
        prepare(of())
    said: list[str] = []
    folder = prepare(of(unusable="skip"), said.append)
    assert said == [f"6 files are left out, which {folder / 'split.csv'} lists"]
    facts = facts_of("folder", folder)
    assert (facts.train.images, facts.test.images) == (15, 4)  # of 20 less a pair that contradicts
    assert decoded == [24]
    noted = describe_split(of(unusable="skip"), folder)
    assert (noted["unusable"], noted["duplicates"]) == (6, 1)
    assert noted["class_names"] == ["cat", "dog"]


def test_only_the_first_are_in_the_message(of: Of, pets: Path) -> None:
    for n in range(30):
        (pets / "dog" / f"{n}.bad").write_bytes(b"\x1b]0;x\x07" * n)
    with pytest.raises(InputError) as caught:
        prepare(of())
    lines = str(caught.value).splitlines()
    assert len(lines) == 13
    assert lines[-2] == "  and 20 more"


def test_too_few_is_told_with_what_cannot_be_used(of: Of, pets: Path) -> None:
    for file in sorted((pets / "dog").iterdir())[2:]:
        file.write_bytes(b"x")
    for choice in ("skip", "refuse"):
        with pytest.raises(InputError) as caught:
            prepare(of(unusable=choice))
        told = str(caught.value)
        assert "the class 'dog' has 2 images that can be used; at least 3" in told
        assert "dog/002.png is no picture" in told
    assert list(cache.cache_folder("x").parent.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(of: Of, pets: Path) -> None:
    (pets / "cat" / "000.png").chmod(0)
    with pytest.raises(InputError, match=r"cat/000\.png cannot be read: Permission denied"):
        prepare(of())


def test_what_comes_into_a_files_place_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that was a file when the folder was listed; a link; a device."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    with pytest.raises(decoding.NoPictureError, match="no plain file"):
        decoding.read_plain(pipe)
    with pytest.raises(OSError, match="symbolic links"):
        decoding.read_plain(link)
    with pytest.raises(decoding.NoPictureError, match="no plain file"):
        decoding.read_plain(Path("/dev/zero"))


def test_huge_files_are_not_read(of: Of, pets: Path) -> None:
    with (pets / "cat" / "huge.png").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(InputError, match=r"cat/huge.png has 953,674 MB; at most 256 are read"):
        prepare(of())


def test_a_folder_that_changes_meanwhile(
    of: Of, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = prepared.decode_all

    def disturbed(*given: object) -> object:
        done = inner(*given)  # type: ignore[arg-type]
        (pets / "cat" / "late.png").write_bytes(b"x")
        return done

    monkeypatch.setattr(prepared, "decode_all", disturbed)
    with pytest.raises(InputError, match="changed while it was read"):
        prepare(of())
    assert list(cache.cache_folder("x").parent.iterdir()) == []


# The cache.


@pytest.mark.parametrize("name", ["train_images.npy", "test_labels.npy", "facts.json", "split.csv"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_a_damaged_cache_is_made_anew(
    of: Of, decoded: list[int], *, name: str, damage: str
) -> None:
    folder = prepare(of())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    path = folder / name
    data = bytearray(path.read_bytes())
    data[-5] ^= 0x01
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flipped" else data[: len(data) // 2])
    said: list[str] = []
    assert prepare(of(), said.append) == folder
    assert said[0].startswith("the cache is damaged and made anew: ")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert decoded == [20, 20]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": "", "facts": {}}', "[" * 100_000])
def test_facts_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "facts.json").write_text(text)
    with pytest.raises(InputError, match=r"facts\.json: not the facts .* Delete the folder"):
        open_train(tmp_path, "folder")


def test_two_at_once_both_get_a_whole_cache(of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    both_written = threading.Barrier(2, timeout=20)
    publish = cache.publish

    def publish_together(part: Path, folder: Path) -> None:
        both_written.wait()
        publish(part, folder)

    monkeypatch.setattr(cache, "publish", publish_together)
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(prepare(of()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 2
    assert len(set(folders)) == 1
    assert list(folders[0].parent.iterdir()) == [folders[0]]
    assert prepare(of(), fail) == folders[0]


def test_a_full_disk_says_what_to_do(of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 5)
    with pytest.raises(InputError, match=r"No space left on device.*set XDG_CACHE_HOME"):
        prepare(of())
    assert list(cache.cache_folder("x").parent.iterdir()) == []


def test_stopping_leaves_nothing(of: Of, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(decoding.Lines, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare(of())
    assert list(cache.cache_folder("x").parent.iterdir()) == []
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


# Progress.


def test_progress_is_told_every_few_seconds() -> None:
    said: list[str] = []
    now = [0.0]
    told = decoding.Lines(said.append, clock=lambda: now[0])
    for done in range(1, 1001):
        now[0] += 1 / 32
        told(done, 1000)
    assert len(said) == 6
    assert said[2] == "  █████████··········· 480 of 1,000 images decoded, about 16 s left"


def test_whoever_is_told_is_told_of_every_image(of: Of) -> None:
    told: list[tuple[int, int]] = []
    prepare(of(), told=lambda done, total: told.append((done, total)))
    assert told == [(n, 20) for n in range(1, 21)]


def test_what_is_done_is_said_before_it_is(of: Of) -> None:
    said: list[str] = []
    folder = prepare(of(), said.append)
    (line,) = said
    assert line.startswith("decoding 20 files of ")
    assert line.endswith(f"to 8 × 8 pixels, once; they are kept in {folder}")


def test_several_threads_decode(of: Of, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow pictures take as long as with so many threads as there are cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(10)))
    inner = decoding.decode

    def slow(content: bytes, side: int) -> np.ndarray:
        time.sleep(0.1)
        return inner(content, side)

    monkeypatch.setattr(decoding, "decode", slow)
    began = time.monotonic()
    prepare(of())
    assert time.monotonic() - began < 1.5
