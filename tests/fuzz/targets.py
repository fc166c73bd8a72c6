"""Fuzz targets: whatever bytes come in, a parser returns a sound value or says what is wrong.

Each target takes bytes, so that Hypothesis (`test_fuzz.py`) and a coverage-guided fuzzer
(`coverage_guided.py`) drive the same ones. It returns in silence where the parser kept its promise,
and raises whatever shows that it did not: `BrokenPromiseError`, or the parser's own exception.
"""

import contextlib
import io
import itertools
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from models import build
from models.__main__ import main as describe
from models.architecture import Architecture, Backbone
from models.errors import InputError
from models.explicit import read_architecture
from models.shorthand import slots_named
from models.yaml_input import read_yaml
from search.run_folder import study_name
from search.space import Space, load_space

SECONDS = 2.0
MOST_IN_A_LINE = 800  # the longest list of what is allowed, and values and keys cut short
MOST_LINES = 21

BASE = b"""\
backbone: {width: 0.25}
placement:
  stages: [3, 4]
  attention: {se: {reduction: 4}, gc: {fusion: [add, mul]}}
candidates: {mine: {last.last.before_add: se}}
training: {epochs: 3}
"""

_folder = tempfile.TemporaryDirectory(prefix="fuzz-")
FILE = Path(_folder.name) / "space.yaml"


class BrokenPromiseError(AssertionError):
    """A parser returned what is not sound, or refused in words that nobody can use."""


def _hold(condition: object, what: str) -> None:
    if not condition:
        raise BrokenPromiseError(what)


@contextlib.contextmanager
def _kept(*names: str, value: str = "") -> Iterator[None]:
    """The body ends in time, without a warning, and at most with a message that is of use.

    `names`: one of them begins each line, so that it is known where to look. `value`: what was
    given, where that is so little that messages show the whole.
    """
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    except InputError as error:
        check_message(str(error), names or ("",), len(repr(value)))
    took = time.process_time() - began
    _hold(took < SECONDS, f"took {took:.1f} s")


def check_message(message: str, names: tuple[str, ...], shown: int = 0) -> None:
    """Raises BrokenPromiseError unless a person can read the message and act on it."""
    lines = message.split("\n")
    _hold(len(lines) <= MOST_LINES, f"{len(lines)} lines")
    for line in lines:
        _hold(line.strip() and line.isprintable(), f"cannot be printed: {line!r}")
        _hold(line.startswith(names), f"does not say where: {line!r}")
        most = MOST_IN_A_LINE + len(str(FILE)) + shown
        _hold(len(line) <= most, f"{len(line)} characters: {line!r}")


def space(data: bytes) -> None:
    """A space file."""
    FILE.write_bytes(data)
    with _kept(str(FILE)):
        found = load_space(FILE)
        check_space(found)
        _hold(load_space(FILE) == found, "read twice, it is not the same")


def overrides(data: bytes) -> None:
    """`-o KEY=VALUE`, as often as there are zero bytes in between, as Python has its arguments."""
    FILE.write_bytes(BASE)
    given = [each.decode("utf-8", "surrogateescape") for each in data.split(b"\0")]
    with _kept("-o ", str(FILE)):
        check_space(load_space(FILE, given))


def study(data: bytes) -> None:
    """The name of a study, from `--study` and from a file's name."""
    text = data.decode("utf-8", "surrogateescape")
    for path, given in ((FILE, text), (Path("folder") / text, None)):
        with _kept(value=text):
            name = study_name(path, given)
            _hold(0 < len(name) <= 100 and name.isascii() and name.isprintable(), repr(name))
            _hold("/" not in name and not name.startswith("."), repr(name))


def architecture_file(data: bytes) -> None:
    """A file that lists placements."""
    FILE.write_bytes(data)
    with _kept(str(FILE)):
        found, image_size = read_architecture(read_yaml(FILE))
        build.check(found, image_size)
        _check_json(found)


def described(data: bytes) -> None:
    """`python -m models FILE`."""
    FILE.write_bytes(data)
    out, err = io.StringIO(), io.StringIO()
    with _kept(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = describe([str(FILE)])
    _hold(code == (2 if err.getvalue() else 0), f"exit code {code}: {err.getvalue()}")
    if code:
        check_message(err.getvalue().removeprefix("error: ").removesuffix("\n"), (str(FILE),))
    _hold(out.getvalue().replace("\n", "").isprintable(), repr(out.getvalue()))


def architecture_json(data: bytes) -> None:
    """What a study notes of an architecture."""
    with _kept():
        _check_json(Architecture.from_json(data.decode("utf-8", "surrogateescape")))


def slots(data: bytes) -> None:
    """A text that names slots."""
    planned = build.plan(Architecture(Backbone()), 32)
    text = data.decode("utf-8", "surrogateescape")
    with _kept(value=text):
        found = slots_named(text, planned)
        _hold(found and set(found) <= set(planned.slots), f"no slots: {found}")
        _hold(list(found) == sorted(set(found), key=list(planned.slots).index), "out of order")


def check_space(found: Space) -> None:
    """Raises unless the space is what its class promises."""
    fingerprint = found.file.fingerprint
    _hold(json.loads(json.dumps(fingerprint, allow_nan=False)) == fingerprint, "no JSON")
    size = found.file.data.image_size
    for architecture in found.fixed:
        build.check(architecture, size)
        _check_json(architecture)
    planned = build.plan(found.baseline, size)
    _hold(found.trials >= 1, f"{found.trials} trials")
    if found.slots:
        _hold(1 <= found.at_most <= len(found.slots), f"at most {found.at_most}")
    for slot, choices in found.choices_at.items():
        _hold(choices, f"nothing may sit at {slot}")
        for variant in itertools.islice((v for c in choices for v in c.variants()), 20):
            _hold(build.refuse_at(slot, variant, planned) is None, f"{variant} at {slot}")


def _check_json(architecture: Architecture) -> None:
    text = architecture.to_json()
    again = Architecture.from_json(text)
    _hold(again == architecture and hash(again) == hash(architecture), f"another one: {text}")
    _hold(again.to_json() == text, f"another text: {text}")
    _hold(architecture.describe().isprintable(), f"cannot be printed: {text!r}")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "space": space,
    "overrides": overrides,
    "study": study,
    "architecture_file": architecture_file,
    "described": described,
    "architecture_json": architecture_json,
    "slots": slots,
}
