"""The pictures in text: exact ones checked by hand, what shares a line, and what the sums are."""

import re
import string

import paddle
import pytest
from paddle.nn import functional as F

from models import build
from models.architecture import Architecture, Backbone, Block, Placement, Slot
from models.attention import block_names, make_block
from models.backbones import backbone_names
from models.describe import describe_architecture, describe_backbone, title, totals
from models.diagram import draw
from models.shorthand import slots_named

SIZES = {"alexnet": 128}


def architecture(placed: dict[str, Block], **backbone: object) -> Architecture:
    """Blocks at slots, named by patterns."""
    chosen = Backbone.model_validate(backbone)
    plan = build.plan(Architecture(chosen), SIZES.get(chosen.name, 32))
    placements = [
        Placement(s, block) for key, block in placed.items() for s in slots_named(key, plan)
    ]
    return Architecture(chosen, tuple(placements))


def drawn(placed: dict[str, Block], **backbone: object) -> list[str]:
    """The lines of the diagram alone, without the blanks at their ends."""
    whole = architecture(placed, **backbone)
    lines = describe_architecture(whole, SIZES.get(whole.backbone.name, 32))
    return [line.strip() for line in lines[2 : lines.index("", 2)]]


KERNELS = {1: "after_conv1", 3: "after_conv2", 5: "after_conv3", 7: "after_block"}
SE, GC = make_block("se", {"reduction": 2}), make_block("gc", {"ratio": 0.5})

# 4, 8, 16 and 32 channels. Parameters: the stem 3·4·9 + 8; stage 1 four times 4·4·9 + 8; stage 2
# (4·8 + 3·8·8)·9 + 4·16 and a shortcut of 4·8 + 16; and so on; the classifier 32·10 + 10: 44,622,
# of which 600 belong to batch norms, which keep as many statistics. MACs: 3·4·9 at 256 places, four
# times 4·4·9 there; in each later stage, with the sides halved and the channels doubled, 131,072;
# 320 of the classifier: 568,640.
# SE: 2·4·2, MACs likewise. GC: 32 + 1 to weigh the places, 32·16 + 16 and back 16·32 + 32, 2·16 of
# the layer norm; MACs (2·32 + 1)·4 and 2·32·16.
RESNET = f"""\
resnet18, cifar stem, width 0.0625, 10 classes, images 16 × 16

  image              3 × 16 × 16
  stem 3×3           4 × 16 × 16
  stage 1, block 1   4 × 16 × 16  conv1 → conv2 ─ add x →
  stage 1, block 2   4 × 16 × 16  conv1 → conv2 ─ [A] ─ add x →
  stage 2, block 1   8 ×  8 ×  8  conv1 → conv2 ─ add 1×1/2 →
  stage 2, block 2   8 ×  8 ×  8  conv1 → conv2 ─ add x →
  stage 3, block 1  16 ×  4 ×  4  conv1 → conv2 ─ add 1×1/2 →
  stage 3, block 2  16 ×  4 ×  4  conv1 → conv2 ─ add x →
  stage 4, block 1  32 ×  2 ×  2  conv1 → conv2 ─ add 1×1/2 →
  stage 4, block 2  32 ×  2 ×  2  conv1 → conv2 ─ add x → [B]
  average, linear             10

  →          a ReLU
  add x      the shortcut is the block's input
  add 1×1/2  the shortcut is a 1×1 convolution of stride 2

[A] se(bias=false, reduction=2): Squeeze-and-excitation
  stage1.block2.before_add    4 × 16 × 16         adds 16 parameters, 16 MACs

[B] gc(fusion=add, pooling=attention, ratio=0.5): Global context
  stage4.block2.after_block   32 × 2 × 2          adds 1,137 parameters, 1,284 MACs

{44_622 + 16 + 1_137:,} trained parameters
{44_622 + 16 + 1_137 + 600:,} in paddle.summary's way, batch-norm statistics included
{568_640 + 16 + 1_284:,} MACs (multiply–adds) an image
attention adds 1,153 parameters (2.58%) and 1,300 MACs (0.23%)
all 2 placements are legal at this image size
architecture id """


def test_a_small_resnet_18_with_two_placements() -> None:
    backbone = Backbone(width=0.0625)
    placements = (
        Placement(Slot(4, 2, "after_block"), GC),
        Placement(Slot(1, 2, "before_add"), SE),
    )
    placed = Architecture(backbone, placements)
    assert describe_architecture(placed, 16) == (RESNET + placed.architecture_id).splitlines()


# Sides: (128 + 2·5 − 11) // 4 + 1 = 32, pooled (32 − 3) // 2 + 1 = 15, 7, 3. Parameters: 3·48·121,
# 48·128·25, (128 + 192)·192·9, 192·128·9, 9·128·2048, 2048², 20480 and the biases: 7,524,042. MACs:
# the first at 1024 places, the second at 225, three at 49, the linear ones once: 96,909,312.
# Bridge: eight hidden units, (192 + 192 + 128)·8 in, 8·128 out, three batch norms of 8.
ALEXNET = f"""\
alexnet, width 1, 10 classes, images 128 × 128

  image              3 × 128 × 128
  stage 1, block 1    48 × 15 × 15  conv1 → max-pool
  stage 2, block 1   128 ×  7 ×  7  conv1 → max-pool
  stage 3, block 1   128 ×  3 ×  3  conv1 → conv2 → conv3 ─ [A] → max-pool
  linear                      2048
  linear                      2048
  linear                        10

  →  a ReLU

[A] bridge(activation=relu, reduction=16): Bridge attention (BA-Net)
  stage3.block1.after_conv3   128 × 7 × 7         adds 5,168 parameters, 5,120 MACs

{7_524_042 + 5_168:,} trained parameters
{7_524_042 + 5_168 + 48:,} in paddle.summary's way, batch-norm statistics included
{96_909_312 + 5_120:,} MACs (multiply–adds) an image
attention adds 5,168 parameters (0.07%) and 5,120 MACs (0.01%)
the placement is legal at this image size
architecture id """


def test_alexnet_with_bridge_attention() -> None:
    placed = architecture({"last.last.after_conv3": make_block("bridge", {})}, name="alexnet")
    assert describe_architecture(placed, 128) == (ALEXNET + placed.architecture_id).splitlines()


def test_without_placements_nothing_is_said_of_attention() -> None:
    lines = describe_architecture(Architecture(Backbone(width=0.0625)), 16)
    text = "\n".join(lines)
    assert "attention adds" not in text
    assert "legal" not in text
    assert "[" not in text
    assert "44,622 trained parameters" in lines
    assert "568,640 MACs (multiply–adds) an image" in lines


@pytest.mark.parametrize(
    ("placed", "lines"),
    [
        # The first block has another shortcut than the others.
        ({}, ["block 1 … add 1×1/2 →", "blocks 2–6 … add x →"]),
        (
            {"stage3.all.before_add": SE},
            ["block 1 … [A] ─ add 1×1/2 →", "blocks 2–6 … [A] ─ add x →"],
        ),
        (
            {"stage3.last.before_add": SE},
            ["block 1 … add 1×1/2 →", "blocks 2–5 … add x →", "block 6 … [A] ─ add x →"],
        ),
        (
            {"stage3.block3.after_block": SE, "stage3.block4.after_block": SE},
            [
                "block 1 … add 1×1/2 →",
                "block 2 … add x →",
                "blocks 3–4 … add x → [A]",
                "blocks 5–6 … add x →",
            ],
        ),
        (
            {"stage3.every_second.before_add": SE},
            [
                "block 1 … [A] ─ add 1×1/2 →",
                "block 2 … add x →",
                "block 3 … [A] ─ add x →",
                "block 4 … add x →",
                "block 5 … [A] ─ add x →",
                "block 6 … add x →",
            ],
        ),
        # Alike are blocks with the same attention at the same place only.
        (
            {"stage3.block2.before_add": SE, "stage3.block3.before_add": GC},
            [
                "block 1 … add 1×1/2 →",
                "block 2 … [A] ─ add x →",
                "block 3 … [B] ─ add x →",
                "blocks 4–6 … add x →",
            ],
        ),
        (
            {"stage3.block2.before_add": SE, "stage3.block3.after_block": SE},
            [
                "block 1 … add 1×1/2 →",
                "block 2 … [A] ─ add x →",
                "block 3 … add x → [A]",
                "blocks 4–6 … add x →",
            ],
        ),
    ],
)
def test_neighbours_that_are_alike_share_a_line(placed: dict[str, Block], lines: list[str]) -> None:
    shown = [line for line in drawn(placed, name="resnet34") if line.startswith("stage 3")]
    chain = "256 ×  8 ×  8  conv1 → conv2 ─ "
    found = [re.sub(r"\s+" + re.escape(chain), " … ", line) for line in shown]
    assert found == [f"stage 3, {line}" for line in lines]


def test_blocks_of_two_stages_do_not_share_a_line() -> None:
    """Not even where shapes are the same, as those of single pixels in a thin network would be."""
    lines = drawn({"all.all.after_block": make_block("eca", {})}, name="resnet34")
    titles = [line.partition(" ×")[0].rsplit(" ", 1)[0].strip() for line in lines[2:-1]]
    assert titles == [
        "stage 1, blocks 1–3",
        *(f"stage {stage}, {blocks}" for stage, last in ((2, 4), (3, 6), (4, 3))
          for blocks in ("block 1", f"blocks 2–{last}")),
    ]  # fmt: skip


BLOCKS = re.compile(r"  stage (\d), blocks? (\d+)(?:–(\d+))? ")


def pieces(lines: list[str]) -> dict[tuple[int, int], str]:
    """What is drawn of each block of each stage, without attention."""
    found: dict[tuple[int, int], str] = {}
    for line in lines[: lines.index("")]:
        if match := BLOCKS.match(line):
            stage, first, last = int(match[1]), int(match[2]), int(match[3] or match[2])
            chain = line[line.index("conv1") :]
            found |= {(stage, block): chain for block in range(first, last + 1)}
    return found


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_shortcuts_are_those_of_the_network(name: str, stem: str) -> None:
    plain = Architecture(Backbone.model_validate({"name": name, "stem": stem, "width": 0.0625}))
    found = pieces(draw(build.plan(plain, 64), 64, {}))
    blocks = list(build.build(plain, 64, seed=0).blocks)
    assert len(blocks) == len(found)
    for block, ((stage, number), chain) in zip(blocks, found.items(), strict=True):
        stride = 2 if stage > 1 and number == 1 else 1
        shortcut = "x" if block.shortcut is None else "1×1/2" if stride == 2 else "1×1"
        if block.shortcut is not None:
            assert list(block.shortcut[0]._stride) == [stride, stride]
        convolutions = " → ".join(f"conv{i}" for i in range(1, len(block.convs) + 1))
        assert chain == f"{convolutions} ─ add {shortcut} →"


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "alexnet"])
def test_as_many_relus_are_drawn_as_there_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    size = SIZES.get(name, 16)
    plain = Architecture(Backbone(name=name, width=0.0625))
    calls = []
    relu = F.relu
    monkeypatch.setattr(F, "relu", lambda x, *given: calls.append(1) or relu(x, *given))
    network = build.build(plain, size, seed=0)
    network.eval()
    network(paddle.zeros([1, 3, size, size]))
    beside = 2 if name == "alexnet" else len(network.stem.sublayers()[2:])  # hidden layers; stem
    drawn_ones = "".join(pieces(draw(build.plan(plain, size), size, {})).values()).count("→")
    assert drawn_ones == len(calls) - beside


@pytest.mark.parametrize("size", [32, 224])
@pytest.mark.parametrize("backbone", backbone_names())
@pytest.mark.parametrize("where", [(), ("before_add",), tuple(KERNELS.values())])
def test_pictures_fit_eighty_columns(backbone: str, where: tuple[str, ...], size: int) -> None:
    plan = build.plan(Architecture(Backbone(name=backbone)), max(size, SIZES.get(backbone, 0)))
    names = [plan.aliases.get(position, position) for position in where]
    marks = {slot: "[A2]" for slot in plan.slots if slot.position in names and slot.block % 2}
    lines = draw(plan, size, marks)
    assert max(map(len, lines)) <= 80
    assert ("[A2]" in "".join(lines)) == bool(marks)
    assert all(line.strip() not in {"→", "─"} for line in lines)


def test_what_is_too_long_goes_on_in_the_next_line() -> None:
    plan = build.plan(Architecture(Backbone(name="resnet50")), 32)
    marks = {slot: "[A]" for slot in plan.slots if (slot.stage, slot.block) == (4, 1)}
    lines = draw(plan, 32, marks)
    (at,) = [n for n, line in enumerate(lines) if "stage 4, block 1 " in line]
    start = lines[at].index("conv1")
    assert lines[at][start:] == "conv1 ─ [A] → conv2 ─ [A] → conv3 ─ [A]"
    assert lines[at + 1] == " " * start + "─ add 1×1/2 → [A]"


@pytest.mark.parametrize(
    ("backbone", "stage", "chain"),
    [
        ("resnet50", 1, "conv1 ─ [1] → conv2 ─ [3] → conv3 ─ [5] ─ add x → [7]"),
        ("alexnet", 3, "conv1 ─ [1] → conv2 ─ [3] → conv3 ─ [5] → [7] ─ max-pool"),
    ],
)
def test_every_position_is_drawn_where_it_is(backbone: str, stage: int, chain: str) -> None:
    eca = {k: make_block("eca", {"kernel": k}) for k in KERNELS}
    placed = architecture(
        {f"stage{stage}.all.{p}": eca[k] for k, p in KERNELS.items()}, name=backbone
    )
    text = "\n".join(describe_architecture(placed, SIZES.get(backbone, 32)))
    letters = dict(re.findall(r"\[(\w)\] eca\(kernel=(\d)\): ", text))
    assert sorted(letters.values()) == ["1", "3", "5", "7"]
    picture, *_ = text.partition("\n\n[")
    picture = re.sub(r"\n +(?=[─→] )", " ", picture)
    assert chain in re.sub(r"\[(\w)\]", lambda found: f"[{letters[found[1]]}]", picture)


def test_the_imagenet_stem_is_drawn() -> None:
    lines = drawn({}, name="resnet50", stem="imagenet")
    assert lines[0] == "image                   3 × 32 × 32"
    assert lines[1] == "stem 7×7, max-pool     64 ×  8 ×  8"
    assert lines[-1].split() == ["average,", "linear", "10"]


def test_letters_are_given_in_the_order_data_pass() -> None:
    placed = architecture({"last.last.after_block": SE, "stage1.block1.after_conv1": GC})
    lines = describe_architecture(placed, 32)
    assert [line[:6] for line in lines if line.startswith("[")] == ["[A] gc", "[B] se"]


def test_letters_of_one_block_are_given_in_the_order_data_pass() -> None:
    """`after_block` comes before `before_add` in the alphabet alone."""
    placed = {"stage1.block1.after_block": SE, "stage1.block1.before_add": GC}
    (line,) = [line for line in drawn(placed) if "[A]" in line]
    assert line.endswith("conv2 ─ [A] ─ add x → [B]")


def test_more_different_blocks_than_letters() -> None:
    deep = Backbone(name="resnet101")
    slots = slots_named("all.all.before_add", build.plan(Architecture(deep), 32))[:30]
    blocks = [make_block("se", {"reduction": 1 + n}) for n in range(len(slots))]
    lines = describe_architecture(Architecture(deep, tuple(map(Placement, slots, blocks))), 32)
    names = [*string.ascii_uppercase, "A2", "B2", "C2", "D2"]
    headings = [line for line in lines if line.startswith("[")]
    assert [line.partition(": ")[0] for line in headings] == [
        f"[{name}] {block}" for name, block in zip(names, blocks, strict=True)
    ]
    picture = lines[2 : lines.index("", 2)]
    assert re.findall(r"\[(\w+)\]", "\n".join(picture)) == names, "each once, in order"
    assert "all 30 placements are legal at this image size" in lines


def number(lines: list[str], words: str) -> int:
    (line,) = [line for line in lines if words in line]
    return int(line.split()[0].replace(",", ""))


@pytest.mark.parametrize("backbone", backbone_names())
@pytest.mark.parametrize("block", ["eca", "residual", "simam"])
def test_sums_are_those_of_build(backbone: str, block: str) -> None:
    """And what each placement adds, summed, is what attention adds."""
    placed = architecture({"all.last.after_block": make_block(block, {})}, name=backbone)
    size = SIZES.get(backbone, 32)
    lines = describe_architecture(placed, size)
    total = build.cost(placed, size)
    plain = build.plan(placed, size).cost
    assert number(lines, "trained parameters") == total.params
    assert number(lines, "paddle.summary's way") == total.summary_params
    assert number(lines, "MACs (multiply–adds) an image") == total.macs
    added = [re.findall(r"[\d,]+(?= parameters|  ?MACs| MACs)", line.partition("adds ")[2])
             for line in lines if line.startswith("  stage") and "adds" in line]  # fmt: skip
    sums = [
        sum(int(each.replace(",", "")) for each in column) for column in zip(*added, strict=True)
    ]
    assert sums == [total.params - plain.params, total.macs - plain.macs]
    (line,) = [line for line in lines if line.startswith("attention adds")]
    assert line.startswith(f"attention adds {sums[0]:,} parameters ({sums[0] / plain.params:.2%}) ")
    assert line.endswith(f"and {sums[1]:,} MACs ({sums[1] / plain.macs:.2%})")


@pytest.mark.parametrize("backbone", backbone_names())
def test_a_backbone_is_described_with_all_its_slots(backbone: str) -> None:
    size = SIZES.get(backbone, 32)
    chosen = Backbone(name=backbone)
    plan = build.plan(Architecture(chosen), size)
    lines = describe_backbone(chosen, size)
    assert lines[0] == title(chosen, size)
    assert all(line in lines for line in draw(plan, size, {}))
    assert all(line in lines for line in totals(plan.cost))
    listed = [line.split() for line in lines if re.match(r"  stage\d\.", line)]
    assert [words[0] for words in listed] == [str(slot) for slot in plan.slots]
    for words, shape in zip(listed, plan.slots.values(), strict=True):
        assert words[1:6] == [str(shape.channels), "×", str(shape.height), "×", str(shape.width)]
        seen = " ".join(words[6:]).removeprefix("earlier maps: ")
        assert seen == ", ".join(map(str, shape.bridged))
    aliases = [line.strip() for line in lines if "is another name of" in line]
    assert aliases == [f"{a} is another name of {p}" for a, p in plan.aliases.items()]
    assert len(aliases) == (0 if backbone == "alexnet" else 1)
    described = [
        line.split()[0] for line in lines if re.match(rf"  ({'|'.join(block_names())}) ", line)
    ]
    assert described == list(block_names())


def test_a_backbone_says_where_a_block_does_not_fit() -> None:
    lines = describe_backbone(Backbone(width=0.25), 32)
    (bridge,) = [line for line in lines if "needs earlier feature maps" in line]
    # Eight slots have earlier maps; the first that has none is the first there is.
    assert bridge.strip().startswith("fits 8 of 24 slots; stage1.block1.after_conv1: needs earlier")
    nonlocal_ = lines.index(next(line for line in lines if line.startswith("  nonlocal ")))
    assert "mode = embedded_gaussian: one of embedded_gaussian" in lines[nonlocal_ + 1]


def test_titles() -> None:
    assert title(Backbone(name="alexnet"), 128) == (
        "alexnet, width 1, 10 classes, images 128 × 128"
    )
    assert title(Backbone(name="resnet50", stem="imagenet", width=0.5, classes=1000), 224) == (
        "resnet50, imagenet stem, width 0.5, 1000 classes, images 224 × 224"
    )
