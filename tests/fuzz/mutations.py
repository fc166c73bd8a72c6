"""Space files that are nearly right: a valid one, taken apart and put together a little wrong."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from pydantic import BaseModel

from models.attention import block_class, block_names
from models.backbones import backbone_names
from search.space_file import SpaceFile


@dataclass
class Map:
    """A mapping as it is written: keys may come twice, and be anything."""

    items: list[tuple[str, "Tree"]] = field(default_factory=list)


@dataclass
class Seq:
    items: list["Tree"] = field(default_factory=list)


Tree = Map | Seq | str
"""A text stands for a scalar as it is written, quotes, tags and all."""

Random = random.Random
WORDS = ("all", "last", "every_second")
POSITIONS = ("after_conv1", "after_conv2", "after_conv3", "before_add", "after_block")
ODD_SCALARS = (
    *("", "~", "null", "true", "false", "yes", "no", "on", "off", "True", "TRUE"),
    *("0", "1", "-1", "2", "3", "5", "64", "1000", "1001", "4294967296", "-0", "+1", "010", "0x10"),
    *("1" + "0" * 18, "-1" + "0" * 18, "9" * 400, "9" * 4301, "-" + "9" * 4300, "1_000", "1,000"),
    *("0.0", "-0.0", "0.5", "1.0", "1e-3", "'1e-3'", "1e999", "-1e999", "5e-324", "1.", ".5", "1e"),
    *(".nan", ".NaN", ".NAN", ".inf", "-.inf", ".INF", "+.Inf", "nan", "inf", "Infinity"),
    *("2026-10-01", "12:30:45", "0o17", "=", "<<", "?", "-", ":", "@", "`", "%", "|", ">", "*a"),
    *(
        "&a 1",
        "*a",
        "!!int 3",
        "!x",
        "!!python/name:os.system",
        "! 3",
        "'",
        '"',
        "[",
        "]",
        "{",
        "}",
    ),
    *("''", '" "', '"\\ud800"', '"\\U00110000"', '"\\0"', '"\\e[2J"', '"\\n"', '"\\u202e"'),
    *(
        "é",
        "ñandú",
        "\u0661",
        "\u00a0",
        "\u2028",
        "\u200b",
        "\ufeff",
        "\x85",
        "\U0001f600",
        "\uffff",
    ),
    *("\t", "\x00", "\x1b", "a\tb", "a\rb", "a\nb", "../x", "/dev/zero", "a" * 300, "k" * 3000),
    *("'3'", '"0.5"', "resnet101", "resnet19", "imagenet", "baseline", "paddle", "x.pdparams"),
    *("/x/" + "a" * 300 + ".pdparams", '"a\\0.safetensors"', "None", "#", "a #b", "a: b", "- a"),
)


def _keys_and_values() -> tuple[tuple[str, ...], tuple[str, ...]]:
    keys: list[str] = []
    values: list[str] = [*WORDS, *POSITIONS, *block_names(), *backbone_names(), "none"]

    def collect(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, known in annotation.model_fields.items():
                keys.append(name)
                collect(known.annotation)
        for inner in getattr(annotation, "__args__", ()):
            values.append(inner) if isinstance(inner, str) else collect(inner)

    collect(SpaceFile)
    for block in block_names():
        for option in block_class(block).options:
            keys.append(option.name)
            values.extend(str(choice) for choice in (option.default, *option.choices))
    return tuple(dict.fromkeys([*keys, *block_names()])), tuple(dict.fromkeys(values))


KEYS, VALUES = _keys_and_values()


def parse(text: str) -> Tree:
    """A valid file as it is written."""
    return _tree(yaml.compose(text, Loader=yaml.SafeLoader), text)


def _tree(node: Any, text: str) -> Tree:
    if isinstance(node, yaml.MappingNode):
        return Map([(_tree(k, text), _tree(v, text)) for k, v in node.value])  # type: ignore[misc]
    if isinstance(node, yaml.SequenceNode):
        return Seq([_tree(item, text) for item in node.value])
    return text[node.start_mark.index : node.end_mark.index]


def write(tree: Tree, depth: int = 0, *, block: int = 2) -> str:
    """YAML for it: `block` levels of mappings in lines of their own, flow style within."""
    if isinstance(tree, str):
        return tree
    if isinstance(tree, Seq):
        return f"[{', '.join(write(item, 99) for item in tree.items)}]"
    if depth < block and tree.items:
        lines = [f"{'  ' * depth}{k}: {write(v, depth + 1, block=block)}" for k, v in tree.items]
        return ("\n" if depth else "") + "\n".join(lines)
    return f"{{{', '.join(f'{k}: {write(v, 99)}' for k, v in tree.items)}}}"


def mutated(tree: Tree, rng: Random, times: int) -> Tree:
    """It, after `times` random changes."""
    for _ in range(times):
        places = list(_places(tree))
        if not places:
            return rng.choice(ODD_SCALARS)
        path = rng.choice(places)
        tree = _changed(tree, path, rng.choice(CHANGES), rng)
    return tree


def _places(tree: Tree, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """The paths of all containers that hold something."""
    if isinstance(tree, str) or not tree.items:
        return
    yield path
    for i, item in enumerate(tree.items):
        yield from _places(item[1] if isinstance(item, tuple) else item, (*path, i))


def _changed(tree: Tree, path: tuple[int, ...], change: "Change", rng: Random) -> Tree:
    """A copy in which `change` was made to the items of the container at `path`."""
    if isinstance(tree, str):
        return tree
    items: list[Any] = list(tree.items)
    if not path:
        change(items, rng)
    elif isinstance(tree, Map):
        items[path[0]] = (items[path[0]][0], _changed(items[path[0]][1], path[1:], change, rng))
    else:
        items[path[0]] = _changed(items[path[0]], path[1:], change, rng)
    return replace(tree, items=items)


def _slot(rng: Random) -> str:
    stage = rng.choice([*WORDS, *(f"stage{n}" for n in (0, 1, 3, 4, 5, 999, "1" * 5000))])
    block = rng.choice([*WORDS, *(f"block{n}" for n in (0, 1, 2, 3, 1000))])
    return f"{stage}.{block}.{rng.choice([*POSITIONS, 'after', 'after_conv' + '9' * 4400])}"


def _scalar(rng: Random) -> str:
    kind = rng.randrange(6)
    if kind == 0:
        return str(rng.choice([rng.randrange(-3, 40), round(rng.uniform(0, 2), 3)]))
    return _slot(rng) if kind == 1 else rng.choice(VALUES if kind < 4 else ODD_SCALARS)


def _key(rng: Random) -> str:
    kind = rng.randrange(6)
    if kind == 0:
        return _slot(rng)
    return rng.choice(ODD_SCALARS if kind == 1 else VALUES if kind == 2 else KEYS)


def _any(rng: Random, depth: int = 0) -> Tree:
    kind = rng.randrange(8) if depth < 3 else 0
    if kind == 7:
        deep: Tree = _scalar(rng)
        for _ in range(rng.choice([1, 2, 19, 25])):
            deep = Seq([deep]) if rng.random() < 0.5 else Map([(_key(rng), deep)])
        return deep
    count = rng.choice([0, 1, 2, 2, 3, 40])
    if kind == 5:
        return Seq([_any(rng, depth + 1) for _ in range(count)])
    if kind == 6:
        return Map([(_key(rng), _any(rng, depth + 1)) for _ in range(count)])
    return _scalar(rng)


def _delete(items: list[Any], rng: Random) -> None:
    del items[rng.randrange(len(items))]


def _duplicate(items: list[Any], rng: Random) -> None:
    items.insert(rng.randrange(len(items) + 1), rng.choice(items))


def _rename(items: list[Any], rng: Random) -> None:
    i = rng.randrange(len(items))
    if not isinstance(items[i], tuple):
        items[i] = _any(rng)
        return
    key = items[i][0]
    cut = rng.randrange(len(key) + 1)
    near = key[:cut] + rng.choice("aeX_. é") + key[cut + rng.randrange(2) :]
    items[i] = (rng.choice([_key(rng), near, key.upper()]), items[i][1])


def _set_value(items: list[Any], rng: Random) -> None:
    i, value = rng.randrange(len(items)), _any(rng)
    items[i] = (items[i][0], value) if isinstance(items[i], tuple) else value


def _set_scalar(items: list[Any], rng: Random) -> None:
    i, value = rng.randrange(len(items)), _scalar(rng)
    items[i] = (items[i][0], value) if isinstance(items[i], tuple) else value


def _wrap(items: list[Any], rng: Random) -> None:
    i = rng.randrange(len(items))
    key, value = items[i] if isinstance(items[i], tuple) else ("", items[i])
    inner: Tree = Seq([value]) if rng.random() < 0.5 else Map([(_key(rng), value)])
    items[i] = (key, inner) if isinstance(items[i], tuple) else inner


def _insert(items: list[Any], rng: Random) -> None:
    pair = isinstance(items[0], tuple)
    items.insert(rng.randrange(len(items) + 1), (_key(rng), _any(rng)) if pair else _any(rng))


def _swap(items: list[Any], rng: Random) -> None:
    i, j = rng.randrange(len(items)), rng.randrange(len(items))
    if isinstance(items[0], tuple):
        items[i], items[j] = (items[i][0], items[j][1]), (items[j][0], items[i][1])
    else:
        items[i], items[j] = items[j], items[i]


Change = Callable[[list[Any], Random], None]
CHANGES: tuple[Change, ...] = (
    *(_delete, _duplicate, _rename, _set_value, _set_scalar, _set_scalar, _wrap, _insert, _swap),
)
