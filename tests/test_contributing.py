"""The block that CONTRIBUTING.md shows is clean and works, and the files it names are there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paddle
import pytest

from models import attention
from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_class, block_names, make_block
from models.build import build, cost
from models.insertion import inherit

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
NAME = "simplest"
SHOWN_AS = f"models/attention/{NAME}.py"
(SAMPLE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SIDE = 16


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sample in a folder that the registry looks into as well."""
    (tmp_path / f"{NAME}.py").write_text(SAMPLE)
    monkeypatch.setattr(attention, "__path__", [*attention.__path__, str(tmp_path)])
    yield
    sys.modules.pop(f"{attention.__name__}.{NAME}", None)
    vars(attention).pop(NAME, None)
    block_class.cache_clear()


def test_the_page_says_where_the_sample_goes() -> None:
    assert f"`{SHOWN_AS}`" in PAGE
    assert NAME not in block_names()


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_has_nothing_against_the_sample(command: tuple[str, ...]) -> None:
    given = [sys.executable, "-m", "ruff", *command, "--no-cache", "--stdin-filename", SHOWN_AS]
    done = subprocess.run(
        [*given, "-"], cwd=ROOT, input=SAMPLE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_has_nothing_against_the_sample(tmp_path: Path) -> None:
    file = tmp_path / f"{NAME}.py"
    file.write_text(SAMPLE)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*command, file], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("given", "added"), [({}, 32), ({"bias": True}, 64)])
def test_the_sample_is_a_block(dropped: None, given: dict[str, object], added: int) -> None:
    """In a slot of 32 channels; its formula gives what is counted."""
    assert NAME in block_names()
    plain = Architecture(Backbone(width=0.25))
    placement = Placement(Slot(2, 1, "before_add"), make_block(NAME, given))
    placed = Architecture(plain.backbone, (placement,))
    network, without = (build(each, SIDE, seed=0) for each in (placed, plain))
    counted, before = (
        sum(p.size for p in each.parameters() if p.trainable) for each in (network, without)
    )
    assert counted - before == added
    assert (cost(placed, SIDE).params, cost(plain, SIDE).params) == (counted, before)
    images = paddle.ones((2, 3, SIDE, SIDE))
    assert network(images).shape == [2, 10]


def test_the_sample_goes_in_as_an_identity(dropped: None) -> None:
    """And a gate of ½ is none."""
    plain = Architecture(Backbone(width=0.25))
    placement = Placement(Slot(2, 1, "before_add"), make_block(NAME, {"bias": True}))
    without = build(plain, SIDE, seed=0)
    network = build(Architecture(plain.backbone, (placement,)), SIDE, seed=1)
    without.eval()
    network.eval()
    images = paddle.randn((2, 3, SIDE, SIDE))
    layer = "blocks.2.attention.before_add"
    assert inherit(network, without.state_dict()) == (layer,)
    assert paddle.allclose(network(images), without(images)).item()
    gate = dict(network.named_sublayers())[layer]
    gate.gain.set_value(paddle.ones([1]))
    assert not paddle.allclose(network(images), without(images)).item()


def test_the_files_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`([\w/]+\.(?:py|md|toml|yaml))`", PAGE))
    places = {name for name in named if "NAME" in name} | {SHOWN_AS}
    assert {"models/attention/NAME.py", "mutants_NAME.py"} <= places
    folders = (ROOT, ROOT / "tests" / "models")
    lost = [n for n in named - places if not any((folder / n).is_file() for folder in folders)]
    assert lost == []
    assert len(named - places) > 10
