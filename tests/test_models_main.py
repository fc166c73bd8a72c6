"""`python -m models FILE`: described, or refused with exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.__main__ import main
from models.attention import block_names
from models.build import plan
from search.space import load_space

ARCHITECTURE = """\
backbone: {name: resnet18, stem: cifar}
image_size: 32
placements:
  stage4.block2.before_add: {bridge: {reduction: 16}}
  stage3.block2.after_block: {se: {reduction: 16, bias: false}}
"""


def test_a_space_in_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "models", "spaces/resnet18.yaml"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "11,183,562" in done.stdout
    assert "11,173,962 trained" in done.stdout
    assert "resnet18, cifar stem, width 1, 10 classes, images 32 × 32" in done.stdout


def test_slots_and_blocks_of_a_space(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("spaces/resnet18.yaml")
    assert main([str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    planned = plan(load_space(path).baseline, 32)
    listed = [line.split() for line in lines if line.startswith("  stage")]
    assert [words[0] for words in listed] == [str(slot) for slot in planned.slots]
    assert listed[0][1:6] == ["64", "×", "32", "×", "32"]
    assert listed[-1][1:6] == ["512", "×", "4", "×", "4"]
    described = [line.split()[0] for line in lines if "arXiv:" in line]
    assert described == list(block_names())


def test_an_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(ARCHITECTURE)
    assert main([str(path)]) == 0
    out = capsys.readouterr().out
    se = 2 * 256 * 16
    bridge = 2 * (512 * 32 + 2 * 32) + 32 * 512  # a batch norm behind each of two bridges
    assert f"stage3.block2.after_block: se(bias=false, reduction=16)\n    adds {se:,} par" in out
    added = [line.split()[1] for line in out.splitlines() if line.startswith("    adds")]
    assert added == [f"{se:,}", f"{bridge:,}"]
    assert f"{11_173_962 + se + bridge:,} trained parameters" in out
    assert "architecture id " in out


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [":1:", "empty"]),
        ("backbone: {with: 1}\n", [":1: backbone.with", '"width"']),
        ("backbone: {name: resnet19}\n", ['did you mean "resnet18"']),
        ("data:\n  image_size: 4\n", [":2: data.image_size", "from 8 to 1024"]),
        ("data: {image_size: big}\n", ["data.image_size", "'big'"]),
        ("placements: {}\nother: 1\n", [":2: other", "unknown key"]),
        ("placements:\n  stage9.block1.before_add: {se: {}}\n", ["no slot stage9.block1"]),
        ("placements:\n  here: {se: {}}\n", [":2:", "'here' is no slot"]),
        ("placements:\n  stage1.block1.before_add: {see: {}}\n", [":2:", '"se"']),
        ("placements:\n  stage1.block1.before_add: {se: {ratio: 1}}\n", [":2:", "ratio"]),
        ("placements:\n  stage1.block1.before_add: {se: {}, gc: {}}\n", [":2:", "not 2"]),
        ("placements:\n  stage1.block1.after_block: {bridge: {}}\n", ["before_add"]),
        ("placements:\n  stage1.block1.before_add: {se: {reduction: 65}}\n", ["hidden unit"]),
    ],
)
def test_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, parts: list[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert main([str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    for part in parts:
        assert part in shown.err


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert "there is no such file" in capsys.readouterr().err
