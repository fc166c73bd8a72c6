"""Malformed space files: one line with file, line, key, value and what is allowed, in no time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from models.errors import InputError
from search.space import Space

LINES = """\
backbone: {width: 0.25}
data: {image_size: 32}
placement:
  stages: [3, 4]
  at_most: 2
  attention:
    se: {reduction: 4}
    gc: {fusion: [add, mul]}
training: {epochs: 3}
objectives: {minimize: [params]}
search:
  trials: 8
"""


@dataclass(frozen=True)
class Case:
    """`content`, or line `line` of `LINES` replaced by it; the message holds `parts`."""

    content: str | bytes
    line: int | None
    parts: tuple[str, ...]
    whole: bool = False

    @property
    def file(self) -> str | bytes:
        if self.whole or self.line is None or isinstance(self.content, bytes):
            return self.content
        lines = LINES.splitlines()
        lines[self.line - 1] = self.content
        return "\n".join(lines)


def whole(content: str | bytes, line: int | None, *parts: str) -> Case:
    return Case(content, line, parts, whole=True)


def at(line: int, content: str, *parts: str) -> Case:
    return Case(content, line, parts)


NAME = "'a/b' is not allowed: 1 to 40 letters, digits, spaces and . _ + -, a letter or digit first"


def candidate(content: str, *parts: str) -> Case:
    """A file that lists a candidate, in line 14, whose placements are `content`."""
    text = f"{LINES}candidates:\n  mine: {{{content}}}\n"
    return whole(text, 14, "candidates.mine", *parts)


EPOCHS = "training.epochs"
GROUP = "is not allowed: must be a group of `key: value`"
LIST = "is not allowed: must be a list"
CASES = {
    "empty": whole("", 1, "empty"),
    "comments only": whole("# nothing\n\n", 1, "empty"),
    "list at top": whole("- placement\n", 1, "no mapping", "key: value"),
    "word at top": whole("placement\n", 1, "no mapping"),
    "binary": whole(bytes(range(128, 256)), None, "not UTF-8", "byte 0"),
    "zero bytes": whole("search: {}\nplacement: \x00\n", 2, "#x0000", "not allowed"),
    "too large": whole("# " + "x" * 300_000, None, "300,002 bytes", "at most"),
    "two documents": whole("a: 1\n---\nb: 1\n", 2, "not valid YAML"),
    "tabs": at(4, "\tstages: [3]", "spaces"),
    "open bracket": whole("placement:\n  stages: [1, 2\n", 3, "not valid YAML"),
    "alias bomb": whole("a: &a [1]\nb: [*a, *a]\n", 1, "anchors and aliases"),
    "alias": whole("a: 1\nb: *a\n", 2, "aliases"),
    "tag": at(9, "training: !!python/object:os.system {}", "tags", "python/object"),
    "merge key": whole("placement:\n  <<: {at_most: 1}\n  attention: {se: {}}\n", 2, "unknown key"),
    "deep flow": whole("a: " + "[" * 10_000, 1, "more than 20 levels"),
    "deep maps": whole("".join(f"{' ' * n}a:\n" for n in range(150)), 21, "more than 20 levels"),
    "deep sequence": whole("a:\n" + "- " * 10_000, 2, "more than 20 levels"),
    "duplicate key": at(12, "  trials: 8\n  trials: 9", "search.trials", "given again in line 13"),
    "duplicate section": whole(LINES + "data: {}\n", 2, "data", "given again in line 13"),
    "number as key": at(12, "  3: 8", "keys must be words", "3"),
    "true as key": at(12, "  true: 8", "keys must be words"),
    "list as key": at(12, "  ? [trials]\n  : 8", "keys must be words, not a sequence"),
    "no placement": whole("search: {}\n", 1, "placement", "is missing"),
    "no attention": whole("search: {}\nplacement:\n  stages: [1]\n", 2, "attention", "is missing"),
    "no sections": whole("placement:\n", 1, "placement", "is missing"),
    "placement is a word": whole("placement: se\n", 1, "placement", "'se'", GROUP),
    "section is list": at(9, "training: [1]", "training: ", GROUP),
    "unknown section": at(9, "trainin: {}", "trainin", 'did you mean "training"', "objectives"),
    "unknown key": at(12, "  trails: 8", "search.trails", 'did you mean "trials"', "sampler"),
    "unknown backbone key": at(1, "backbone: {with: 1}", "backbone.with", '"width"'),
    "unknown placement key": at(5, "  at_mots: 2", "placement.at_mots", '"at_most"', "positions"),
    "unknown deep key": at(
        12, "  early_stopping: {patiense: 1}", "early_stopping.patiense", '"patience"'
    ),
    "unknown augmentation": at(2, "data: {augmentation: {flips: true}}", '"flip"', "cutout"),
    "word for number": at(9, "training: {epochs: three}", EPOCHS, "'three'", "integer"),
    "quoted number": at(9, "training: {epochs: '3'}", EPOCHS, "'3'", "without quotes"),
    "quoted exponent": at(
        9, 'training: {learning_rate: "1e-3"}', "learning_rate", "'1e-3'", "without quotes"
    ),
    "fraction for integer": at(9, "training: {epochs: 2.5}", EPOCHS, "2.5", "integer"),
    "null for number": at(9, "training: {epochs: }", EPOCHS, "None"),
    "list for number": at(9, "training: {epochs: [3]}", EPOCHS, "integer"),
    "zero": at(9, "training: {epochs: 0}", EPOCHS, "greater than 0"),
    "negative": at(9, "training: {epochs: -3}", EPOCHS, "-3", "greater than 0"),
    "huge": at(9, f"training: {{epochs: {10**18}}}", EPOCHS, str(10**18), "1000000000"),
    "huge data": at(2, f"data: {{train_images: {10**18}}}", "data.train_images", "1000000000"),
    "five thousand digits": at(9, f"training: {{epochs: {'9' * 5000}}}", "digits"),
    "not a number": at(9, "training: {learning_rate: .nan}", "learning_rate", "nan", "finite"),
    "infinite": at(9, "training: {learning_rate: .inf}", "learning_rate", "inf", "finite"),
    "overflow": at(9, "training: {learning_rate: 1e999}", "learning_rate", "inf"),
    "negative rate": at(9, "training: {learning_rate: -0.1}", "learning_rate", "greater than 0"),
    "momentum one": at(9, "training: {momentum: 1}", "training.momentum", "less than 1"),
    "yes": at(9, "training: {nesterov: yes}", "nesterov", "'yes'", "write true or false"),
    "on": at(9, "training: {nesterov: on}", "nesterov", "'on'", "write true or false"),
    "no": at(2, "data: {augmentation: {flip: no}}", "flip", "'no'", "write true or false"),
    "one as boolean": at(9, "training: {nesterov: 1}", "nesterov", "boolean"),
    "true as number": at(9, "training: {epochs: true}", EPOCHS, "integer"),
    "unknown sampler": at(12, "  sampler: tpee", "search.sampler", "'random'", '"tpe"'),
    "unknown objective": at(
        10, "objectives: {minimize: [parms]}", "minimize.0", "'latency_ms'", '"params"'
    ),
    "objective twice": at(10, "objectives: {minimize: [macs, macs]}", "objectives", "twice"),
    "no objectives": at(10, "objectives: {minimize: []}", "minimize", "at least 1"),
    "unknown backbone": at(1, "backbone: {name: resnet19}", "backbone.name", '"resnet18"'),
    "width off the grid": at(1, "backbone: {width: 0.3}", "0.3", "multiples of 1/64"),
    "no width": at(1, "backbone: {width: 0.0}", "backbone.width", "greater than 0"),
    "unknown stem": at(1, "backbone: {stem: cifra}", "backbone.stem", '"cifar"', "'imagenet'"),
    "tiny images": at(2, "data: {image_size: 4}", "image_size", "greater than or equal to 8"),
    "no validation images": at(
        2, "data: {validation_images: 0}", "validation_images", "tells candidates apart"
    ),
    "nothing but validation": at(
        2, "data: {validation_images: 50000}", "validation_images", "leave nothing to train on"
    ),
    "less than a pixel": at(
        2, "data: {augmentation: {resized_crop: 0.0001}}", "resized_crop", "could be left"
    ),
    "more images than there are": at(
        2, "data: {train_images: 45001}", "data.train_images", "45,001", "5,000 validation images"
    ),
    "batch larger than the data": whole(
        "data: {train_images: 100}\ntraining: {batch_size: 101}\nplacement: {attention: {eca: }}\n",
        2,
        "training.batch_size",
        "101 is more than the 100 training images",
    ),
    "mixup of single images": at(
        9, "training: {batch_size: 1, mixup: 0.2}", "training.batch_size", "another one", "mixup: 0"
    ),
    "crop beside the image": at(
        2, "data: {augmentation: {crop_padding: 32}}", "augmentation.crop_padding", "0 to 31"
    ),
    "cutout of the image": at(
        2, "data: {image_size: 64, augmentation: {cutout: 32}}", "augmentation.cutout", "0 to 31"
    ),
    "unknown precision": at(9, "training: {precision: float16}", "precision", "'bfloat16'"),
    "bfloat16 on the CPU": at(
        9, "training: {precision: bfloat16}", "training.precision", "gpus_per_trial", "auto"
    ),
    "no stage 5": at(4, "  stages: [3, 5]", "placement.stages.1", "5", "allowed: 1, 2, 3, 4"),
    "stage 0": at(4, "  stages: [0]", "placement.stages.0", "greater than or equal to 1"),
    "stages empty": at(4, "  stages: []", "placement.stages", "at least 1"),
    "stages no list": at(4, "  stages: 3", "placement.stages", f"3 {LIST}"),
    "stages empty word": at(4, "  stages: ''", "placement.stages", "'every_second'"),
    "stages misspelt": at(
        4, "  stages: evry_second", "placement.stages", '"every_second"', "'all'"
    ),
    "stages in capitals": at(4, "  stages: ALL", "placement.stages", "'ALL'", '"all"'),
    "stages another word": at(4, "  stages: first", "placement.stages", "'first'", "'last'"),
    "stages two words": at(4, "  stages: all, last", "placement.stages", "'all, last'"),
    "stages mapping": at(4, "  stages: {all: 1}", "placement.stages", "is not allowed"),
    "stages true": at(4, "  stages: true", "placement.stages", "True is not allowed"),
    "stages fraction": at(4, "  stages: 1.5", "placement.stages", "1.5 is not allowed"),
    "stages huge": at(4, f"  stages: [{10**18}]", "stages.0", "less than or equal to 1000"),
    "word among stages": at(4, "  stages: [last]", "stages.0", "'last'", "integer"),
    "word beside stages": at(4, "  stages: [3, every_second]", "stages.1", "'every_second'"),
    "quoted stage": at(4, "  stages: ['3']", "stages.0", "'3'", "without quotes"),
    "nested stages": at(4, "  stages: [[3]]", "placement.stages.0", "integer"),
    "blocks misspelt": at(4, "  blocks: lastt", "placement.blocks", '"last"', "'all'"),
    "blocks no list": at(4, "  blocks: 2", "placement.blocks", f"2 {LIST}"),
    "blocks a pattern": at(4, "  blocks: stage3.all.before_add", "placement.blocks", "'last'"),
    "no block 3": at(4, "  blocks: [3]", "placement.blocks.0", "allowed: 1, 2"),
    "unknown position": at(
        4, "  positions: [before_ad]", "positions.0", '"before_add"', "after_block"
    ),
    "position of a bottleneck": at(
        4,
        "  positions: [after_conv3]",
        "positions.0",
        "allowed: after_conv1, before_add (also called after_conv2), after_block",
        'did you mean "before_add"',
    ),
    "positions by a word": at(4, "  positions: all", "placement.positions", f"'all' {LIST}"),
    "positions by a word in a list": at(4, "  positions: [last]", "positions.0", "after_conv1"),
    "no slot left": whole(
        "backbone: {name: alexnet}\ndata: {image_size: 128}\nplacement:\n  stages: [1]\n"
        "  positions: [after_conv3]\n  attention: {eca: {}}\n",
        3,
        "placement",
        "together leave no slot",
    ),
    "at_most 0": at(5, "  at_most: 0", "placement.at_most", "greater than or equal to 1"),
    "at_most over slots": at(5, "  at_most: 13", "placement.at_most", "13", "12 slots"),
    "no attention blocks": whole("placement:\n  attention: {}\n", 2, "attention", "at least 1"),
    "unknown block": at(7, "    see: {}", "placement.attention.see", '"se"', "nonlocal"),
    "block no mapping": at(7, "    se: 4", "placement.attention.se", f"4 {GROUP}"),
    "unknown option": at(7, "    se: {reductoin: 4}", "se.reductoin", '"reduction"', "bias"),
    "option of another block": at(7, "    se: {fusion: add}", "se.fusion", "allowed: reduction"),
    "option out of range": at(7, "    se: {reduction: 0}", "se.reduction", "0", "from 1 to 1024"),
    "option in list": at(7, "    se: {reduction: [4, -4]}", "se.reduction", "-4", "1 to 1024"),
    "option not a number": at(8, "    gc: {ratio: .nan}", "gc.ratio", "nan", "0.001 to 4"),
    "option huge": at(7, f"    se: {{reduction: {10**18}}}", "se.reduction", "1 to 1024"),
    "option very huge": at(7, f"    se: {{reduction: {10**400}}}", "se.reduction", "1 to 1024"),
    "ratio very huge": at(8, f"    gc: {{ratio: {10**400}}}", "gc.ratio", "0.001 to 4"),
    "option quoted": at(8, "    gc: {ratio: '0.5'}", "gc.ratio", "'0.5'"),
    "option yes": at(7, "    se: {bias: [yes, no]}", "se.bias", "'yes'", "true or false"),
    "option choice": at(8, "    gc: {fusion: [addd]}", "gc.fusion", '"add"', "mul+add"),
    "option empty": at(8, "    gc: {fusion: []}", "gc.fusion", "at least one value"),
    "option null": at(8, "    gc: {fusion: }", "gc.fusion", "one of add"),
    "option twice": at(8, "    gc: {fusion: [add, add]}", "gc.fusion", "twice"),
    "option nested": at(8, "    gc: {fusion: [[add]]}", "gc.fusion", "one of add"),
    "option mapping": at(8, "    gc: {fusion: {a: 1}}", "gc.fusion", "one of add"),
    "ratio too small here": at(
        8, "    gc: {ratio: 0.03}", "attention.gc", "stage3.block1.after_conv1", "fewer than 2"
    ),
    "no hidden unit": at(7, "    se: {reduction: 128}", "attention.se", "stage3", "hidden unit"),
    "bridge after blocks": whole(
        "placement:\n  positions: [after_block]\n  attention:\n    bridge: {}\n",
        4,
        "attention.bridge",
        "cannot sit in any allowed slot: it reads earlier feature maps of the same block; "
        "allow before_add",
    ),
    "candidates empty": whole("search: {}\ncandidates: {}\n", 1, "placement", "`candidates`"),
    "candidates null": whole(LINES + "candidates:\n", 13, "candidates", f"None {GROUP}"),
    "candidates list": whole(LINES + "candidates: [se]\n", 13, "candidates", GROUP),
    "candidate list": whole(LINES + "candidates:\n  a: [se]\n", 14, "candidates.a", GROUP),
    "candidate without a block": candidate("stage1.block1.before_add: {}", "not 0"),
    "candidate of two blocks": candidate(
        "last.last.before_add: {se: {}, gc: {}}", "before_add: one block sits in a slot, not 2"
    ),
    "candidate in no slot": candidate("stage1.block3.before_add: se", '"stage1.block2.before_add"'),
    "candidate in no position": candidate(
        "all.all.befor_add: se", '"all.all.before_add"', "after_conv1"
    ),
    "candidate nowhere": candidate("everywhere: se", "'everywhere' names no slot"),
    "candidate of none with options": candidate(
        "last.last.before_add: {none: {a: 1}}", "before_add.none", "write none alone"
    ),
    "candidate of no block": candidate("last.last.before_add: see", "see", '"se"'),
    "candidate of an old option": candidate("last.last.before_add: {se: {r: 4}}", "se.r", "bias"),
    "candidate of a range": candidate(
        "last.last.before_add: {se: {reduction: [4, 8]}}", "se.reduction", "[4, 8]"
    ),
    "candidate that does not fit": candidate(
        "stage1.block1.after_conv1: {se: {reduction: 32}}", "cannot sit at", "hidden unit"
    ),
    "candidate of two in one slot": whole(
        LINES + "candidates:\n  a:\n    all.all.before_add: se\n    last.last.after_conv2: se\n",
        16,
        "candidates.a.last.last.after_conv2",
        "stage4.block2.before_add is given already, by all.all.before_add",
    ),
    "two names of one network": whole(
        LINES + "candidates:\n  a: {}\n  b: {all.all.before_add: none}\n",
        15,
        "candidates.b",
        "is the same network as a",
    ),
    "candidate given twice": whole(
        LINES + "candidates:\n  a: {}\n  a: {}\n", 14, "candidates.a", "given again in line 15"
    ),
    "unspeakable name": whole(LINES + "candidates:\n  a/b: {}\n", 14, "candidates.a/b", NAME),
    "too few parameters": at(10, "objectives: {max_params: 9}", "max_params", "9", "701,466"),
    "negative budget": at(10, "objectives: {max_latency_ms: -1}", "max_latency_ms", "than 0"),
    "no such control": at(
        12, "  control_slot: stage4.block3.before_add", "control_slot", '"stage4.block2.before_add"'
    ),
    "control in many slots": at(
        12, "  control_slot: all.last.before_add", "control_slot", "names 4 slots", "in one"
    ),
    "control nowhere": at(12, "  control_slot: here", "control_slot", "'here' names no slot"),
    "control a number": at(12, "  control_slot: 4", "control_slot", "4", "valid string"),
    "negative seed": at(12, "  seed: -1", "search.seed", "greater than or equal to 0"),
    "no workers": at(12, "  workers: 0", "search.workers", "greater than or equal to 1"),
    "endless budget": at(10, "objectives: {max_latency_ms: 1.0e+300}", "max_latency_ms", "1e"),
    "no time": at(12, "  timeout_minutes: 0", "search.timeout_minutes", "greater than 0"),
    "for ever": at(12, "  timeout_minutes: .inf", "search.timeout_minutes", "finite"),
}


def test_without_a_fault_the_file_loads(load: Callable[..., Space]) -> None:
    assert len(load(LINES).slots) == 2 * 2 * 3


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_refused(load: Callable[..., Space], case: Case) -> None:
    began = time.perf_counter()
    with pytest.raises(InputError) as caught:
        load(case.file)
    assert time.perf_counter() - began < 2
    message = str(caught.value)
    place = "space.yaml:" if case.line is None else f"space.yaml:{case.line}: "
    line = next((line for line in message.splitlines() if place in line), None)
    assert line is not None, message
    for part in case.parts:
        assert part in line


@pytest.mark.parametrize("name", ["word", "numbers", "tuple"])
@pytest.mark.parametrize(
    ("line", "content", "key"),
    [(9, "{name}: {{}}", "{name}"), (9, "training: {{{name}: 1}}", "training.{name}")],
    ids=["section", "key"],
)
def test_unknown_keys_of_any_name_are_refused(
    load: Callable[..., Space], line: int, content: str, key: str, name: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(at(line, content.format(name=name)).file)
    place, shown, *_ = str(caught.value).split(": ")
    assert place.endswith(f"space.yaml:{line}")
    assert shown == key.format(name=name)
    assert "unknown key; allowed: " in str(caught.value)


def test_a_word_among_numbers_is_said_once_and_without_a_wrong_hint(
    load: Callable[..., Space],
) -> None:
    with pytest.raises(InputError) as caught:
        load(at(4, "  stages: [all]").file)
    message = str(caught.value)
    assert "\n" not in message
    assert "without quotes" not in message


def test_what_is_wrong_in_a_list_and_beside_it_is_said(load: Callable[..., Space]) -> None:
    """A list is not too short for its wrong items; another list of nothing is."""
    with pytest.raises(InputError) as caught:
        load(at(4, "  stages: [last, '3']\n  blocks: []").file)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "placement.stages.0",
        "placement.stages.1",
        "placement.blocks",
    ]
    assert "at least 1" in lines[2]


def test_keys_that_cannot_be_printed_are_shown_and_leave_lines_whole(
    load: Callable[..., Space],
) -> None:
    for key, shown in (("a\\tb", r"'a\tb'"), ("a\\nb", r"'a\nb'"), ("\\e[2J", r"'\x1b[2J'")):
        with pytest.raises(InputError) as caught:
            load(at(9, f'training: {{"{key}": 1}}').file)
        message = str(caught.value)
        assert message.isprintable()
        assert f"space.yaml:9: training.{shown}: unknown key" in message


def test_every_problem_gets_a_line(load: Callable[..., Space]) -> None:
    with pytest.raises(InputError) as caught:
        load(LINES.replace("epochs: 3", "epochs: 0, momentum: 2").replace("trials: 8", "trial: 8"))
    lines = str(caught.value).splitlines()
    assert {line.split(": ")[1] for line in lines} == {
        "training.epochs",
        "training.momentum",
        "search.trial",
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [" + "1," * 125_000 + "]",
        LINES + "".join(f"key{n}: 1\n" for n in range(20_000)),
        "placement:\n  stages: [" + "a," * 10_000 + "]\n  blocks: []\n",
    ],
    ids=["long list", "many keys", "many wrong items"],
)
def test_what_is_long_is_refused_in_time_and_in_short(
    load: Callable[..., Space], text: str
) -> None:
    began = time.process_time()
    with pytest.raises(InputError) as caught:
        load(text)
    assert time.process_time() - began < 2
    assert len(str(caught.value)) < 20_000
