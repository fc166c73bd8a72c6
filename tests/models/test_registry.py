"""A folder is a registry: a file dropped into it is an entry, with no other edit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paddle
import pytest

import models
from models import attention, backbones
from models.architecture import Architecture, Backbone, Placement, Slot
from models.build import build, cost
from models.registry import UnknownEntryError

ZOOM = '''
"""A block that nothing else knows."""

import paddle

from models.block import AttentionBlock
from models.cost import Cost
from models.options import Option


class Zoom(AttentionBlock):
    """`x·w` with one weight a channel."""

    title = "Zoom"
    paper = "arXiv:0000.00000"
    options = (Option("power", 1, low=1, high=2, meaning="of the weights"),)
    params_formula = "C"
    macs_formula = "0"
    insertion = "the identity: the weights are ones"

    def __init__(self, shape, *, power):
        super().__init__()
        self.power = power
        self.weight = self.create_parameter((shape.channels, 1, 1))

    @classmethod
    def cost(cls, shape, options):
        return Cost(params=shape.channels)

    def attend(self, x, *bridged):
        return x * self.weight**self.power

    def make_identity(self):
        self.weight.set_value(paddle.ones_like(self.weight))
'''

SHALLOW = '''
"""A backbone that nothing else knows."""

from models.residual_block import BASIC
from models.residual_network import ResidualNetwork


class ResNet10(ResidualNetwork):
    """Four stages of one block."""

    kind = BASIC
    depths = (1, 1, 1, 1)
'''

USE = """
from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_class, block_names, make_block
from models.build import build, cost

placement = Placement(Slot(2, 1, "before_add"), make_block("zoom", {}))
architecture = Architecture(Backbone(width=0.25), (placement,))
network = build(architecture, 16, seed=0)
print(block_names(), block_class("zoom").__name__)
print(cost(architecture, 16).params - cost(Architecture(Backbone(width=0.25)), 16).params)
print(sum(type(layer).__name__ == "Zoom" for layer in network.sublayers()))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that both registries look into as well."""
    before = set(sys.modules)
    for package in (attention, backbones):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith((attention.__name__, backbones.__name__)):
            del sys.modules[name]
    attention.block_class.cache_clear()
    backbones.backbone_class.cache_clear()


def test_a_block_file_is_a_block(folder: Path) -> None:
    assert "zoom" not in attention.block_names()
    (folder / "zoom.py").write_text(ZOOM)
    assert "zoom" in attention.block_names()
    assert list(attention.block_names()) == sorted(attention.block_names())
    block = attention.make_block("zoom", {"power": 2})
    plain = Architecture(Backbone(width=0.25))
    placed = Architecture(plain.backbone, (Placement(Slot(3, 2, "after_block"), block),))
    assert cost(placed, 16).params == cost(plain, 16).params + 64
    network = build(placed, 16, seed=0)
    assert [type(x).__name__ for x in network.sublayers()].count("Zoom") == 1
    assert network(paddle.ones((1, 3, 16, 16))).shape == [1, 10]


def test_a_backbone_file_is_a_backbone(folder: Path) -> None:
    (folder / "resnet10.py").write_text(SHALLOW)
    assert "resnet10" in backbones.backbone_names()
    block = attention.make_block("se", {"reduction": 4})
    placement = Placement(Slot(4, 1, "before_add"), block)
    architecture = Architecture(Backbone(name="resnet10", width=0.25), (placement,))
    network = build(architecture, 16, seed=0)
    assert network(paddle.ones((1, 3, 16, 16))).shape == [1, 10]
    trained = sum(p.size for p in network.parameters() if p.trainable)
    assert cost(architecture, 16).params == trained


def test_an_unknown_name_has_a_suggestion() -> None:
    with pytest.raises(UnknownEntryError, match=r"'nonlocl' is unknown.*did you mean \"nonlocal\""):
        attention.block_class("nonlocl")
    with pytest.raises(UnknownEntryError, match=r"allowed: .*resnet18.*did you mean \"resnet18\""):
        backbones.backbone_class("resnet_18")
    with pytest.raises(UnknownEntryError) as raised:
        attention.make_block("xyz", {})
    assert "did you mean" not in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("name", ["../se", "se.py", "__init__", "", "SE", "os"])
def test_a_name_that_is_no_file_of_the_folder_is_unknown(name: str) -> None:
    with pytest.raises(UnknownEntryError, match="is unknown"):
        attention.block_class(name)


def test_a_file_without_a_block_is_a_type_error(folder: Path) -> None:
    (folder / "hollow.py").write_text("from models.block import AttentionBlock\n")
    with pytest.raises(TypeError, match=r"hollow must define one AttentionBlock, not 0"):
        attention.block_class("hollow")


def test_a_file_with_two_blocks_is_a_type_error(folder: Path) -> None:
    (folder / "twins.py").write_text(ZOOM + "\n\nclass Zoom2(Zoom):\n    pass\n")
    with pytest.raises(TypeError, match=r"twins must define one AttentionBlock, not 2"):
        attention.block_class("twins")


@pytest.mark.slow
def test_a_file_dropped_into_a_copy_of_the_package_works(tmp_path: Path) -> None:
    source = Path(models.__file__).parent
    shutil.copytree(source, tmp_path / "models", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "models" / "attention" / "zoom.py").write_text(ZOOM)
    command = [sys.executable, "-W", "ignore", "-c", USE]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    listed, added, layers = done.stdout.splitlines()
    assert "'zoom'" in listed
    assert listed.endswith("Zoom")
    assert (added, layers) == ("32", "1")
