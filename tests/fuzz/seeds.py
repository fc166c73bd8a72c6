"""What fuzzing begins with: the files of `spaces/`, the malformed cases of the tests, examples."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_names, make_block

ROOT = Path(__file__).resolve().parents[2]

CANDIDATES = """
candidates:
  mine: {all.all.before_add: se, stage4.block2.before_add: none}
  late and small:
    stage4.last.before_add: {gc: {ratio: 0.25, fusion: add}}
  B-2: {stage2.every_second.after_block: {bat: {s: 4, k: 4}}}
"""
ARCHITECTURE = """\
backbone: {name: resnet50, stem: imagenet, width: 0.5, classes: 7}
image_size: 64
placements:
  stage3.last.before_add: {gc: {ratio: 0.25, fusion: add}}
  all.block1.after_conv2: se
  stage4.block1.after_block: nonlocal
"""
OVERRIDES = (
    b"search.trials=3",
    b"training.epochs=3\0placement.stages=[3, 4]",
    b"search={trials: 3, sampler: random}\0candidates.a=",
    b"placement.attention.se.reduction=[1, 2]\0backbone.name=alexnet\0data.image_size=128",
    b"data.path=/tmp/a b#c\0training.start=baseline\0search.gpus_per_trial=0.5",
)


def spaces() -> list[str]:
    """Valid space files."""
    files = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "spaces").glob("*.yaml"))]
    return [*files, files[0] + CANDIDATES, files[-1] + CANDIDATES]


@cache
def malformed() -> tuple[bytes, ...]:
    """The cases of tests/search/test_space_malformed.py that are not huge."""
    sys.path.insert(0, str(ROOT / "tests" / "search"))
    from test_space_malformed import CASES

    files = [case.file for case in CASES.values()]
    raw = [file.encode() if isinstance(file, str) else file for file in files]
    return tuple(each for each in raw if len(each) < 10_000)


def architectures() -> Iterator[str]:
    """The JSON of architectures, one for each block."""
    yield Architecture(Backbone()).to_json()
    for block in block_names():
        placed = Placement(Slot(3, 2, "before_add"), make_block(block, {}))
        yield Architecture(Backbone(name="resnet50", width=0.5), (placed,)).to_json()


def of(target: str) -> list[bytes]:
    """The seeds of a target of `targets.TARGETS`."""
    files = [text.encode() for text in (*spaces(), ARCHITECTURE)]
    return {
        "space": [*files, *malformed()],
        "described": [*files, *malformed()],
        "architecture_file": [ARCHITECTURE.encode(), *malformed()],
        "overrides": [*OVERRIDES],
        "study": [b"resnet18", b"../x", b"a b", "ü".encode()],
        "architecture_json": [text.encode() for text in architectures()],
        "slots": [b"stage3.block2.before_add", b"all.every_second.after_conv2", b"last.last.x"],
    }[target]
