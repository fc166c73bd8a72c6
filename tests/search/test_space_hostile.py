"""Space files, paths and `-o` that were made to do harm, or that fuzzing found (`tests/fuzz`)."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_space_malformed import LINES, Case, at, whole
from test_space_malformed import test_refused as refused_in_time

from models.errors import InputError
from models.yaml_input import MAX_BYTES
from search.space import Space, load_space

LONG = "k" * 20_000
START = "training.start"
EXTENT = ", ".join(map(str, range(1, 65)))
CASES = {
    "a character past the last": whole('a: "\\U00110000"\n', 1, "not valid YAML", "not exist"),
    "a character far past it": whole('a: 1\nb: "\\UFFFFFFFF"\n', 2, "not valid YAML", "not exist"),
    "a version of 5000 digits": whole(f"%YAML 1.{'1' * 5000}\n---\na: 1\n", 1, "not valid YAML"),
    "half a character": at(2, 'data: {path: "\\ud800"}', "half a character"),
    "half a character as key": at(9, 'training: {"\\udfff": 1}', "half a character"),
    "an escape in a tag": at(9, "training: !%1b%5b2J {}", r"tags such as !\x1b[2J", "remove it"),
    "a long tag": at(9, f"training: !{LONG} {{}}", "tags such as", "remove it"),
    "a long word": at(12, f"  sampler: {LONG}", "'kkk", "must be 'ehvi'"),
    "a long key": at(12, f"  {LONG[:1000]}: 1", "search.kkk", "unknown key; allowed: sampler"),
    "a long backbone": at(1, f"backbone: {{name: {LONG}}}", "'kkk", "resnet18"),
    "a long block": at(
        7, f"    {LONG[:1000]}: {{}}", "placement.attention.kkk", "allowed: bat, bottleneck"
    ),
    "a long number": at(9, f"training: {{epochs: -{'9' * 4300}}}", "-999", "greater than 0"),
    "infinity in capitals": at(9, "training: {learning_rate: .INF}", "learning_rate", "finite"),
    "minus infinity": at(9, "training: {learning_rate: -.INF}", "learning_rate", "finite"),
    "no number in capitals": at(9, "training: {learning_rate: .NAN}", "learning_rate", "finite"),
    "a position of 5000 digits": at(
        4, f"  positions: [after_conv{'9' * 5000}]", "positions.0", 'did you mean "before_add"'
    ),
    "too many combinations": at(
        8,
        f"    bat: {{s: [{EXTENT}], k: [{EXTENT}], r: [{EXTENT}]}}",
        "placement.attention.bat",
        "262,144 combinations of options; at most 1,000",
    ),
    "weights of a long name": at(
        9, f"training: {{start: {'a' * 300}.pdparams}}", START, "cannot be read: File name too long"
    ),
    "weights with an escape": at(
        9, 'training: {start: "a\\e[2J\\n.pdparams"}', START, r"no file a\x1b[2J\n.pdparams"
    ),
    "weights with a zero byte": at(
        9, 'training: {start: "a\\0.pdparams"}', START, r"no file a\x00.pdparams"
    ),
    "UTF-16": whole(LINES.encode("utf-16"), None, "not UTF-8", "save it as UTF-8"),
    "Latin-1": whole("data: {path: é}\n".encode("latin-1"), None, "not UTF-8", "byte 13"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_fuzzing_found_is_refused(load: Callable[..., Space], case: Case) -> None:
    refused_in_time(load, case)
    with pytest.raises(InputError) as caught:
        load(case.file)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    ["\ufeff" + LINES, LINES.replace("\n", "\r\n"), "---\n" + LINES, LINES + "...\n"],
    ids=["byte-order mark", "Windows", "begin of a document", "end of a document"],
)
def test_what_editors_add_is_read_over(load: Callable[..., Space], text: str) -> None:
    assert load(text).file == load(LINES).file


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"pipe\.yaml: is a pipe or a device"):
        load_space(path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/null"])
def test_devices_are_not_read(device: str) -> None:
    with pytest.raises(InputError, match=f"^{device}: is a pipe or a device; write it to a file"):
        load_space(Path(device))


def test_a_large_file_is_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match=r"1,099,511,627,776 bytes; at most 32,768 are read"):
        load_space(path)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    link = tmp_path / "space.yaml"
    link.symlink_to("gone.yaml")
    with pytest.raises(InputError, match=r"space\.yaml: is a link to gone\.yaml, which does not"):
        load_space(link)
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(InputError, match=r"space\.yaml: cannot be read: Too many levels"):
        load_space(link)
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        load_space(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="cannot be read: Not a directory"):
        load_space(Path(__file__) / "space.yaml")
    with pytest.raises(InputError, match="null"):
        load_space(tmp_path / "a\0b")


def test_a_path_that_cannot_be_printed_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[2J ü.yaml"
    path.write_text("search: {}\n")
    for each in (path, path.with_suffix(".yml"), tmp_path / "\udcff"):
        with pytest.raises(InputError) as caught:
            load_space(each)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["search.trials=1\nsearch: 2"], r"-o search.trials=1\nsearch: 2: sets more than one key"),
        (["training={epochs: 1, epochs: 2}"], "training.epochs: given again in the same value"),
        (["search.trials=["], "-o search.trials=[: is not valid YAML"),
        (["search.trials=\x01"], r"-o search.trials=\x01: the character #x0001 is not allowed"),
        (["search.sampler=\udcff"], r"-o search.sampler=\udcff: the character #xdcff"),
        (["\udcff=1"], r"-o \udcff=1: write -o key=value"),
        (["\x1b[2J=1"], r"-o \x1b[2J=1: write -o key=value"),
        (["a." * 21 + "a=1"], "write -o key=value"),
        (["a." * 20_000 + "a=1"], "at most 1,000 of them are read, and 32,768 characters"),
        (["a=" + "[" * 40_000], "at most 1,000 of them are read, and 32,768 characters"),
        ([f"a{n}=1" for n in range(1001)], "at most 1,000 of them are read"),
        (["search.trials=" + "9" * 5000], "a number of 5000 digits is not read"),
        (["search=" + "{a: " * 21], "nested more than 20 levels deep"),
        (["search.trials=!x 1"], "tags such as !x are not read"),
        (["search.trials=1", "search.trials.x=1"], "trials is a value, not a group of keys"),
        (["search.trails=1"], "search.trails: unknown key; allowed: sampler, min_gain"),
    ],
)
def test_odd_assignments_are_refused(
    load: Callable[..., Space], given: list[str], message: str
) -> None:
    began = time.process_time()
    with pytest.raises(InputError) as caught:
        load(LINES, *given)
    assert time.process_time() - began < 2
    assert str(caught.value).startswith("-o ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert message in str(caught.value)


def test_many_options_of_many_slots_are_checked_in_time(load: Callable[..., Space]) -> None:
    """15,000 blocks in 132 slots took a minute; 160 candidates over each other's slots, seconds."""
    shares = ", ".join(f"{n / 1000}" for n in range(500, 660))
    large = f"""\
backbone: {{name: resnet101}}
placement:
  attention:
    gc: {{ratio: [{shares}], pooling: [attention, average], fusion: [add, mul, mul+add]}}
    se: {{reduction: [{EXTENT}], bias: [true, false]}}
objectives: {{max_params: 1000000000}}
"""
    listed = "".join(f"  n{n}: {{last.last.before_add: {{gc: {{ratio: 0.{n}}}}}}}\n"
                     for n in range(100, 700))  # fmt: skip
    few = "search: {trials: 2}\nbackbone: {name: resnet101}\ncandidates:\n" + listed
    for text in (large, few):
        assert len(text) < MAX_BYTES
        began = time.process_time()
        load(text)
        assert time.process_time() - began < 2


def test_types_are_checked_before_paddle_is_loaded(tmp_path: Path) -> None:
    """Its import takes a second, and a typo is to be answered at once."""
    path = tmp_path / "space.yaml"
    path.write_text(LINES.replace("at_most", "at_mots"))
    code = f"""
import sys
from run_search import main
code = main(["--space", {str(path)!r}])
loaded = {{"paddle", "ray", "optuna", "pandas"}} & sys.modules.keys()
raise SystemExit(f"{{code}} {{loaded}}")
"""
    done = subprocess.run([sys.executable, "-c", code], text=True, check=False, capture_output=True)
    error, end = done.stderr.splitlines()
    assert error.endswith('attention; did you mean "at_most"?')
    assert end == "2 set()"
