"""YAML files as plain values that remember where they stood, read safely.

YAML 1.2's scalars: `1e-3` is a number, `no` and `on` are words, only `true` and `false` are
booleans. Tags, anchors and aliases are refused, so a file can neither make objects nor grow.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from yaml.reader import ReaderError

from models.errors import InputError
from models.options import did_you_mean
from models.sections import Section

MAX_BYTES = 32 * 1024  # PyYAML reads some 30 KB a second
MAX_DEPTH = 20
MAX_PROBLEMS = 20

KeyPath = tuple[str | int, ...]
_FOR_PEOPLE = {
    "tuple_type": "must be a list",
    "dict_type": "must be a group of `key: value`",
    "model_type": "must be a group of `key: value`",
}
AnySection = TypeVar("AnySection", bound=Section)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way


_RESOLVERS = (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|", ["~", "n", ""]),
)
for _tag, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first)
    )


@dataclass
class Document:
    """The values of a YAML file, and where each came from (`file:line` or `-o key=value`)."""

    source: str
    values: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Where the value at `path`, or the nearest thing around it, was written."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return f"{self.source}:1"

    def given(self, path: KeyPath) -> object:
        """The value at `path`; None where there is none."""
        value: Any = self.values
        for key in path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def problem(self, path: KeyPath, message: str) -> str:
        """One line: place, key, and what is wrong with it."""
        return f"{self.place(path)}: {key_text(path)}: {message}"


def key_text(path: KeyPath) -> str:
    """`("search", "trials")` as `search.trials`."""
    shown = (str(part) if str(part).isprintable() else repr(part) for part in path)
    return ".".join(shown) or "the file"


def read_yaml(path: Path) -> Document:
    """The mapping in the file `path`. Raises InputError naming file and line for anything else."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.yaml")])
        raise InputError(f"{path}: there is no such file{near}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Document:
    """The mapping that `text` holds; see `read_yaml`. `source` names it in messages."""
    document = Document(source, {})
    try:
        _refuse_hostile(text, source)
        root = yaml.compose(text, Loader=_Loader)
        value = None if root is None else _construct(root, (), document)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character #x{ord(text[error.position]):04x} is not allowed in YAML"
        raise InputError(f"{source}:{line}: {message}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{_yaml_place(error, source)}: {_yaml_message(error)}") from None
    if not isinstance(value, dict):
        what = "is empty" if value is None else "holds no mapping"
        raise InputError(f"{source}:1: the file {what}; it must consist of `key: value` lines")
    document.values = value
    return document


def _refuse_hostile(text: str, source: str) -> None:
    """Checks events, which need no recursion, before anything recursive touches the text."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        place = f"{source}:{event.start_mark.line + 1}" if event.start_mark else source
        if getattr(event, "anchor", None) is not None:
            raise InputError(f"{place}: anchors and aliases are not read; write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise InputError(f"{place}: tags such as {tag} are not read; remove it")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise InputError(f"{place}: nested more than {MAX_DEPTH} levels deep")


def _construct(node: yaml.Node, path: KeyPath, document: Document) -> Any:
    place = f"{document.source}:{node.start_mark.line + 1}"
    document.places.setdefault(path, place)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*path, i), document) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(node, path, document)
    try:
        return _scalar(node)
    except ValueError:  # Python reads integers of up to 4300 digits
        raise InputError(f"{place}: a number of {len(node.value)} digits is not read") from None


def _construct_mapping(node: yaml.MappingNode, path: KeyPath, document: Document) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _construct(key_node, (), document) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            given = repr(key) if isinstance(key_node, yaml.ScalarNode) else f"a {key_node.id}"
            raise InputError(f"{document.source}:{line}: keys must be words, not {given}")
        if key in values:
            raise InputError(f"{document.problem((*path, key), f'given again in line {line}')}")
        document.places[(*path, key)] = f"{document.source}:{line}"
        values[key] = _construct(value_node, (*path, key), document)
    return values


def _scalar(node: yaml.Node) -> Any:
    kind = node.tag.rsplit(":", 1)[-1]
    if kind == "int":
        return int(node.value)
    if kind == "float":
        return float(node.value.replace(".inf", "inf").replace(".nan", "nan").lower())
    return {"bool": node.value == "true", "null": None}.get(kind, node.value)


def _yaml_place(error: Exception, source: str) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{source}:{mark.line + 1}" if mark else source


def _yaml_message(error: Exception) -> str:
    problem = getattr(error, "problem", None) or str(error)
    if re.search(r"\\t|\btab\b", problem):
        return f"{problem}; YAML is indented with spaces"
    return f"is not valid YAML: {problem}"


def override(document: Document, assignments: Iterable[str]) -> None:
    """Sets `a.b.c=value` assignments in `document`, the value read as YAML.

    Raises InputError for an assignment that is none, or whose key leads through a plain value.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        label = f"-o {assignment}"
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            raise InputError(f"{label}: write -o key=value, e.g. -o search.trials=10")
        value = parse_yaml(f"value: {text}", label).values["value"]
        _set(document, path, value, label)


def _set(document: Document, path: tuple[str, ...], value: object, label: str) -> None:
    target: dict[str, Any] = document.values
    for depth, key in enumerate(path[:-1], 1):
        if key not in target:
            document.places[path[:depth]] = label
        inner = target.setdefault(key, {})
        if not isinstance(inner, dict):
            raise InputError(f"{label}: {key} is a value, not a group of keys")
        target = inner
    target[path[-1]] = value
    for known in [place for place in document.places if place[: len(path)] == path]:
        del document.places[known]
    document.places[path] = label


def validate(document: Document, section: type[AnySection], path: KeyPath = ()) -> AnySection:
    """The typed value of the part of `document` at `path`.

    Raises InputError with one line for each problem: place, key, value, what is allowed.
    """
    try:
        return section.model_validate(document.given(path) if path else document.values)
    except ValidationError as error:
        items = _first_causes(error.errors())
        lines = [_explain(document, section, path, dict(i)) for i in items[:MAX_PROBLEMS]]
        if len(items) > MAX_PROBLEMS:
            lines.append(f"{document.source}: and {len(items) - MAX_PROBLEMS} more problems")
        raise InputError("\n".join(dict.fromkeys(lines))) from None


def _first_causes(items: list[Any]) -> list[Any]:
    """Without "too short" of lists whose items were refused."""
    places = [item["loc"] for item in items]
    return [
        item
        for item in items
        if item["type"] != "too_short"
        or not any(p != item["loc"] and p[: len(item["loc"])] == item["loc"] for p in places)
    ]


def _explain(
    document: Document, section: type[Section], path: KeyPath, item: Mapping[str, Any]
) -> str:
    local = _written(document, path, item)
    where = (*path, *local)
    context = item.get("ctx", {})
    if item["type"] == "extra_forbidden":
        allowed = _keys(section, local[:-1])
        hint = did_you_mean(str(local[-1]), allowed)
        return document.problem(where, f"unknown key; allowed: {', '.join(allowed)}{hint}")
    if item["type"] == "missing":
        return document.problem(where, "is missing and has no default")
    message = _FOR_PEOPLE.get(item["type"]) or str(item["msg"]).replace(
        "Input should be", "must be"
    ).replace("Value error, ", "")
    given = item["input"]
    shown = f"{given!r}" if not isinstance(given, dict | list) else "this"
    hint = did_you_mean(str(given), re.findall(r"'([^']+)'", str(context.get("expected", ""))))
    return document.problem(where, f"{shown} is not allowed: {message}{hint or _habit(item)}")


def _written(document: Document, path: KeyPath, item: Mapping[str, Any]) -> KeyPath:
    """Where the problem is, in the file's own keys.

    Pydantic adds the names of a union's branches to its paths, and `[key]` where a key is wrong.
    """
    local: KeyPath = ()
    for number, part in enumerate(item["loc"], 1):
        around = document.given((*path, *local))
        is_key = isinstance(part, int) or (isinstance(around, dict) and part in around)
        if is_key or (item["type"] == "missing" and number == len(item["loc"])):
            local = (*local, part)
    return local


def _habit(item: Mapping[str, Any]) -> str:
    """A hint for habits from other dialects of YAML."""
    given, kind = item["input"], str(item["type"])
    if "bool" in kind and str(given).lower() in {"yes", "no", "on", "off"}:
        return "; write true or false"
    is_number = isinstance(given, str) and re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?", given)
    if is_number and kind in {"int_type", "float_type"}:
        return "; write the number without quotes"
    return ""


def _keys(section: type[Section], path: KeyPath) -> list[str]:
    for key in path:
        annotation = section.model_fields[str(key)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, Section)):
            return []
        section = annotation
    return list(section.model_fields)
