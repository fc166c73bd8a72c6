"""`python -m models FILE`: described, or refused with exit code 2."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import paddle
import pytest

from models.__main__ import main
from models.architecture import Architecture, Backbone
from models.attention import block_class, block_names
from models.build import build, plan
from search.space import load_space

Said = tuple[int, list[str], str]

ARCHITECTURE = """\
backbone: {name: resnet18, stem: cifar}
image_size: 32
placements:
  stage4.block2.before_add: {bridge: {reduction: 16}}
  stage3.block2.after_block: {se: {reduction: 16, bias: false}}
"""


RECIPE = """\
recipe: 1
study: {name: mine, trial: 3}
backbone: {name: resnet18, stem: cifar}
placements:
  stage4.block2.before_add: {bridge: {reduction: 16}}
data: {image_size: 64}
training: {epochs: 30}
full_training: {seeds: [0]}
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
    listed = [line.split() for line in lines if line.startswith("  stage") and "." in line]
    assert [words[0] for words in listed] == [str(slot) for slot in planned.slots]
    assert listed[0][1:6] == ["64", "×", "32", "×", "32"]
    assert listed[-1][1:6] == ["512", "×", "4", "×", "4"]
    assert "  after_conv2 is another name of before_add" in lines
    start = lines.index("attention blocks, with their defaults:")
    headings = [line for line in lines[start + 1 :] if line[2:3].strip()]
    assert [line.split()[0] for line in headings] == list(block_names())
    for name, line in zip(block_names(), headings, strict=True):
        assert line.endswith(f"{block_class(name).title}, {block_class(name).paper}")


def test_an_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(ARCHITECTURE)
    assert main([str(path)]) == 0
    out = capsys.readouterr().out
    se = 2 * 256 * 16
    bridge = 2 * (512 * 32 + 2 * 32) + 32 * 512  # a batch norm behind each of two bridges
    assert "[A] se(bias=false, reduction=16): Squeeze-and-excitation\n  stage3.block2.after" in out
    added = [line.partition("adds ")[2] for line in out.splitlines() if line.startswith("  stage")]
    assert [text.split()[0] for text in added if text] == [f"{se:,}", f"{bridge:,}"]
    assert f"{11_173_962 + se + bridge:,} trained parameters" in out
    assert f"attention adds {se + bridge:,} parameters ({(se + bridge) / 11_173_962:.2%})" in out
    assert "all 2 placements are legal" in out
    assert "architecture id " in out
    picture = [line for line in out.splitlines() if line.startswith("  stage") and "conv1" in line]
    assert [line.partition("conv1")[2] for line in picture if "[" in line] == [
        " → conv2 ─ add x → [A]",
        " → conv2 ─ [B] ─ add x →",
    ]
    assert "  →          a ReLU\n  add x      the shortcut is the block's input\n" in out


def test_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the image size of its data; its other sections are not models' to read."""
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    assert main([str(path)]) == 0
    out = capsys.readouterr().out
    assert "images 64 × 64" in out
    assert "[A] bridge(" in out
    path.write_text(RECIPE.replace("image_size: 64", "image_size: 4"))
    assert main([str(path)]) == 2
    assert "recipe.yaml:6: image_size: 4 is not allowed" in capsys.readouterr().err


def test_candidates_of_a_space_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "backbone: {name: alexnet}\n"
        "data: {image_size: 128}\n"
        "candidates:\n"
        "  bridge: {stage3.block1.after_conv3: bridge}\n"
        "  se everywhere: {all.all.after_block: se}\n"
    )
    assert main([str(path)]) == 0
    out = capsys.readouterr().out
    backbone, first, second = out.split("\ncandidate ")
    assert "slots, in order:" in backbone
    assert "[A]" not in backbone
    assert first.startswith("bridge\nalexnet, width 1, 10 classes, images 128 × 128\n")
    assert "conv3 ─ [A] → max-pool" in first
    assert "7,529,210 trained parameters" in first
    assert second.startswith("se everywhere\n")
    assert second.count("→ [A] ─ max-pool") == 3
    assert "all 3 placements are legal at this image size" in second
    for text in (first, second):
        assert "architecture id " in text


def test_candidates_beside_a_placement_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "placement: {attention: {se: {}}}\n"
        "candidates: {all but one: {all.all.before_add: se}, plain: {}}\n"
    )
    assert main([str(path)]) == 0
    out = capsys.readouterr().out
    assert "\ncandidate all but one\nresnet18, cifar stem" in out
    assert "\ncandidate plain\nresnet18, cifar stem" in out


GROUP = "must be a group of `key: value`"
NO_MAPS = (
    "bridge(activation=relu, reduction=16) cannot sit at stage1.block1.after_block: "
    "needs earlier feature maps of the same block, and there are none\n"
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [":1:", "empty"]),
        ("backbone: {with: 1}\n", [":1: backbone.with", '"width"']),
        ("backbone: {name: resnet19}\n", ['did you mean "resnet18"']),
        ("data:\n  image_size: 4\n", [":2: data.image_size", "from 8 to 1024"]),
        ("data: {image_size: big}\n", ["data.image_size", "'big'"]),
        ("placements: {}\nother: 1\n", [":2: other", "unknown key"]),
        ("image_size: 64\n", [":1: image_size", "unknown key"]),
        ("backbone: {}\nplacments: {}\n", [":2: placments", 'did you mean "placements"']),
        ("candidats: {}\n", [":1: candidats", 'did you mean "candidates"']),
        (
            "image_size: 32\nplacement: {stage1.block1.after_block: se}\n",
            [":2: placement", 'did you mean "placements"'],
        ),
        ("placements:\n  all.all.before_add:\n", [":2:", "None", "must be a block, as `se`"]),
        (
            "placements:\n  all.all.before_add: {nonlocal: {mode: gaussian, scale: true}}\n",
            [":2:", "nonlocal.scale: has no effect"],
        ),
        (
            "placements:\n  stage9.block1.before_add: {se: {}}\n",
            [":2:", "there is no stage9 in this backbone: stages 1 to 4"],
        ),
        (
            "placements:\n  stage2.block1.after_conv3: {se: {}}\n",
            [":2:", "before_add (also called after_conv2)", '"stage2.block1.before_add"'],
        ),
        ("placements:\n  all.all.before_add: {none: {a: 1}}\n", [":2:", "write none alone"]),
        ("placements:\n  here: {se: {}}\n", [":2:", "'here' names no slot"]),
        ("placements:\n  stage1.block1.before_add: {see: {}}\n", [":2:", '"se"']),
        ("placements:\n  all.all.before_add: se\n  all.all.after_conv2: se\n", [":3:", "already"]),
        ("candidates:\n  a: {here: se}\n", [":2: candidates.a.here", "names no slot"]),
        ("candidates:\n  a: {}\n  b: {}\n", [":3: candidates.b", "the same network as a"]),
        ("candidates: se\n", [":1: candidates", "'se' is not allowed", GROUP]),
        ("placements:\n  stage1.block1.before_add: {se: {ratio: 1}}\n", [":2:", "ratio"]),
        (
            "placements:\n  stage1.block1.before_add: {se: {}, gc: {}}\n",
            [":2:", "one block sits in a slot, not 2\n"],
        ),
        ("placements:\n  stage1.block1.after_block: {bridge: {}}\n", [":2:", NO_MAPS]),
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


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """As in `… | head`: the pipe is closed before anything is written."""
    path = tmp_path / "mine.yaml"
    path.write_text("placements: {}\n")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-W", "ignore", "-m", "models", str(path)]
    with os.fdopen(writing, "w") as stream:
        done = subprocess.run(command, check=False, stdout=stream, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_without_our_signs_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("placements: {all.all.before_add: se}\n")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main([str(path)]) == 0
    assert b"conv1 ? conv2 ? [A] ? add x ?" in written.getvalue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backbone: {name: resnet19}\n", "backbone.name: 'resnet19' is unknown"),
        ("backbone: {name: alexnet}\n", "images of 32 pixels a side leave nothing behind alexnet"),
        ("backbone: {width: 0.3}\n", "backbone.width 0.3: 64·width must be a whole number"),
    ],
)
def test_a_backbone_that_cannot_be_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"# a comment\n{text}")
    assert main([str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}:2: {message}")


FILE = "backbone: {{width: {width}, stem: imagenet, classes: {classes}}}\nplacements: {placed}\n"
PLACED = "{stage4.block2.before_add: {se: {reduction: 4}}}"


THIN = 0.0625


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of a thin plain network of seven classes."""
    return saved(tmp_path, THIN)


def saved(folder: Path, width: float) -> Path:
    architecture = Architecture(Backbone(width=width, stem="imagenet", classes=7))
    path = folder / "weights.safetensors"
    paddle.save(build(architecture, 32, 0).state_dict(), str(path), safetensors=True)
    return path


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the command on an architecture: its exit code, and what it printed."""

    def run(
        weights: object, *more: str, width: float = THIN, classes: int = 7, placed: str = "{}"
    ) -> Said:
        path = tmp_path / "mine.yaml"
        path.write_text(FILE.format(width=width, classes=classes, placed=placed))
        code = main([str(path), "--weights", str(weights), *more])
        shown = capsys.readouterr()
        assert shown.out.startswith(f"resnet18, imagenet stem, width {width:g}"), (
            "drawn in any case"
        )
        return code, shown.out.splitlines(), shown.err

    return run


@pytest.mark.parametrize(
    ("classes", "placed", "options", "left"),
    [
        (7, "{}", [], "nothing"),
        (7, PLACED, [], "blocks.7.attention.before_add"),
        (7, "{}", ["--new-classifier"], "classifier"),
        (5, PLACED, ["--new-classifier"], "blocks.7.attention.before_add, classifier"),
    ],
)
def test_weights_that_fit(
    command: Callable[..., Said],
    weights: Path,
    *,
    classes: int,
    placed: str,
    options: list[str],
    left: str,
) -> None:
    code, lines, error = command(weights, *options, classes=classes, placed=placed)
    assert (code, error) == (0, "")
    assert lines[-1] == f"{weights} fits; not from it: {left}"
    assert lines[-2].startswith("architecture id ")


def test_weights_that_do_not_fit(command: Callable[..., Said], weights: Path) -> None:
    code, _, error = command(weights, classes=5)
    assert code == 2
    assert error.startswith(f"error: {weights}: the weights do not fit the network; ")
    assert error.endswith("; for other classes than the file's: --new-classifier\n")
    code, _, error = command(weights.with_name("none.pdparams"))
    assert (code, error) == (2, f"error: {weights.parent}/none.pdparams: there is no such file\n")


def test_weights_that_paddle_publishes(
    command: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = saved(tmp_path, width=1)
    monkeypatch.setattr("models.weights.get_weights_path_from_url", lambda *_: str(weights))
    code, lines, _ = command("paddle", "--new-classifier", width=1, classes=5)
    assert (code, lines[-1]) == (0, f"{weights} fits; not from it: classifier")

    def fail(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("models.weights.get_weights_path_from_url", fail)
    code, _, error = command("paddle", width=1)
    assert code == 2
    assert error.startswith("error: https://")
    assert "resnet18.pdparams cannot be fetched (no route to host)" in error
    code, _, error = command("paddle")
    assert (code, "has the 7×7 stem and width 1" in error) == (2, True)


def test_weights_need_an_architecture(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("backbone: {width: 0.0625}\ncandidates: {plain: {}}\n")
    assert main([str(path), "--weights", str(weights)]) == 2
    assert capsys.readouterr().err == (
        f"error: {path}: --weights needs a file that lists placements\n"
    )


@pytest.mark.parametrize("text", [ARCHITECTURE, "placement: {attention: {se: {}}}\n"])
def test_a_new_classifier_needs_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert main([str(path), "--new-classifier"]) == 2
    assert capsys.readouterr().err == (
        "error: --new-classifier says how --weights are loaded; give these too\n"
    )


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_every_section_of_a_space_file_is_known() -> None:
    from models.__main__ import _SPACE_KEYS
    from search.space_file import SpaceFile

    assert set(_SPACE_KEYS) == set(SpaceFile.model_fields)
