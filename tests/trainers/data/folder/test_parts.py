"""Who trains and who tests: by class, by chance, the same bytes never on both sides."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InputError
from trainers.data.folder.decoding import Read
from trainers.data.folder.listing import ListedFile, Listing
from trainers.data.folder.parts import Row, divide, read_rows, refuse_few, write_rows

NAMES = ("ant", "bee", "cow")
some = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def listed(contents: list[list[str]]) -> tuple[Listing, list[Read]]:
    """A folder whose classes hold files of these checksums; an empty one is of a broken file."""
    files = [
        (ListedFile(label, f"{n}.png", 1, 0, 0), content)
        for label, of_class in enumerate(contents)
        for n, content in enumerate(of_class)
    ]
    listing = Listing(Path("/x"), NAMES, NAMES, tuple(file for file, _ in files), ())
    return listing, [Read(file, content, "" if content else "broken") for file, content in files]


def parts(contents: list[list[str]], seed: int = 0, share: float = 0.2) -> list[Row]:
    return divide(*listed(contents), seed, share)


def plain(*counts: int) -> list[list[str]]:
    return [[f"{label}-{n}" for n in range(count)] for label, count in enumerate(counts)]


@some
@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.01, 0.9),
)
def test_every_class_is_divided_alike(counts: list[int], seed: int, share: float) -> None:
    rows = parts(plain(*counts), seed, share)
    found = Counter((row.class_name, row.part) for row in rows)
    for name, count in zip(NAMES, counts, strict=False):
        tested, trained = found[name, "test"], found[name, "train"]
        assert tested + trained == count
        assert tested >= 1
        assert trained >= 2
        assert abs(tested - share * count) <= 1 or trained == 2
    assert rows == parts(plain(*counts), seed, share)


def test_eight_to_two() -> None:
    rows = parts(plain(100, 50, 1000))
    assert Counter((r.class_name, r.part) for r in rows) == {
        ("ant", "train"): 80, ("ant", "test"): 20, ("bee", "train"): 40, ("bee", "test"): 10,
        ("cow", "train"): 800, ("cow", "test"): 200,
    }  # fmt: skip


def drawn(rows: list[Row]) -> set[str]:
    return {row.sha256 for row in rows if row.part == "test"}


def test_other_seeds_draw_others_by_chance() -> None:
    draws = [drawn(parts(plain(100, 100), seed)) for seed in range(50)]
    assert len(set(map(frozenset, draws))) == 50
    often = Counter(image for draw in draws for image in draw)
    assert len(often) > 190
    assert max(often.values()) < 25


def test_names_and_order_do_not_matter_and_new_images_move_few() -> None:
    before = drawn(parts(plain(100, 100)))
    assert drawn(parts([of_class[::-1] for of_class in plain(100, 100)])) == before
    more = drawn(parts(plain(110, 100)))
    assert len(before - more) <= 3
    assert {image for image in more if image.startswith("1-")} == {
        image for image in before if image.startswith("1-")
    }


@some
@given(
    contents=st.lists(
        st.lists(st.sampled_from(["", *"abcdefgh"]), max_size=12), min_size=2, max_size=3
    )
)
def test_the_same_bytes_are_in_one_part_once_and_in_one_class(contents: list[list[str]]) -> None:
    rows = parts(contents)
    assert len(rows) == sum(map(len, contents))
    used = [row for row in rows if row.part in {"train", "test"}]
    assert len({row.sha256 for row in used}) == len(used)
    for row in rows:
        classes = {other.class_name for other in rows if other.sha256 == row.sha256}
        if not row.sha256:
            assert (row.part, row.note) == ("unusable", "broken")
        elif len(classes) > 1:
            assert row.part == "unusable"
            assert "which is of another class" in row.note
        elif row.part == "duplicate":
            assert row.note.startswith("the same bytes as ")
        else:
            assert row.part in {"train", "test"}
            assert not row.note


def test_duplicates_and_contradictions_name_the_other_file() -> None:
    rows = parts([["a", "b", "a", "c", "d"], ["e", "f", "g", "b"]])
    notes = {row.file: row.note for row in rows if row.note}
    assert notes == {
        "ant/2.png": "the same bytes as ant/0.png",
        "ant/1.png": "is the same image as bee/3.png, which is of another class",
        "bee/3.png": "is the same image as ant/1.png, which is of another class",
    }


def test_too_few_images() -> None:
    rows = parts(plain(5, 2))
    refuse_few(Path("/x"), ["ant"], rows)
    with pytest.raises(InputError, match="class 'bee' has 2 images that can be used; at least 3"):
        refuse_few(Path("/x"), ["ant", "bee"], rows)
    with pytest.raises(InputError, match="class 'cow' has 0"):
        refuse_few(Path("/x"), NAMES[::2], rows)


@some
@given(
    rows=st.lists(
        st.builds(
            Row,
            *[st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=9)] * 5,
        )
    )
)
def test_rows_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "split.csv"
    write_rows(path, rows)
    assert read_rows(path) == rows


def test_no_text_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    write_rows(path, [Row("=1+1/a.png", "=1+1", "train", "", "@x")])
    header, line = path.read_text().splitlines()
    assert header == "file,class,part,sha256,note"
    assert line == "'=1+1/a.png,'=1+1,train,,'@x"


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n", b"\xff\xfe", b"file,class,part,sha256,note\nx\n"]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "split.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read_rows(path)
    path.write_bytes(b'file,class,part,sha256,note\n"' + b"x" * 200_000)
    with pytest.raises(ValueError, match="field"):
        read_rows(path)
