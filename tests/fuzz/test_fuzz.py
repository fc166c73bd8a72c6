"""Parsers under files and arguments that nobody would write; see `targets`."""

import json
import random

import mutations
import pytest
import seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import TARGETS

quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)
long = settings(max_examples=1500, deadline=None)

TREES = [mutations.parse(text) for text in (*seeds.spaces(), seeds.ARCHITECTURE)]
FILES = ("space", "architecture_file", "described")
ODD = "\t\n\r #'\"\\,:[]{}&*!|>%@`~-?.=\x00\x1b\x85\ufeff\u2028\ud800é٣"


def nearly_valid(most: int = 6) -> st.SearchStrategy[bytes]:
    """Files of `seeds`, with up to so many things wrong."""

    def build(tree: mutations.Tree, rng: random.Random, times: int, block: int) -> bytes:
        text = mutations.write(mutations.mutated(tree, rng, times), block=block)
        return text.encode("utf-8", "surrogatepass")

    return st.builds(
        build,
        st.sampled_from(TREES),
        st.randoms(use_true_random=False),
        st.integers(0, most),
        st.integers(0, 3),
    )


def spliced(known: list[bytes]) -> st.SearchStrategy[bytes]:
    """Known inputs, with some bytes in the middle replaced."""

    def build(text: bytes, place: float, gone: int, new: bytes) -> bytes:
        at = int(place * len(text))
        return text[:at] + new + text[at + gone :]

    odd = st.text(st.sampled_from(ODD), max_size=8).map(
        lambda s: s.encode("utf-8", "surrogatepass")
    )
    new = st.one_of(odd, st.binary(max_size=8), st.sampled_from(known))
    return st.builds(build, st.sampled_from(known), st.floats(0, 1), st.integers(0, 20), new)


def assignments() -> st.SearchStrategy[bytes]:
    """`-o`: known and odd keys, with values as odd."""
    parts = st.sampled_from([*mutations.KEYS, "", " ", "é", "\x1b", "last", "a" * 400])
    keys = st.lists(parts, min_size=1, max_size=25).map(".".join)
    values = st.one_of(
        st.sampled_from([*mutations.ODD_SCALARS, *mutations.VALUES]),
        st.builds(
            lambda tree, rng: mutations.write(mutations.mutated(tree, rng, 2), block=0),
            st.sampled_from(TREES),
            st.randoms(use_true_random=False),
        ),
    )
    pairs = st.tuples(keys, st.sampled_from(["=", " = ", "", ":"]), values).map("".join)
    lists = st.lists(pairs, min_size=1, max_size=4)
    return lists.map(lambda given: "\0".join(given).encode("utf-8", "surrogatepass"))


def written_json() -> st.SearchStrategy[bytes]:
    """The JSON of architectures with some values replaced by any other JSON."""
    leaf = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**400)
    )
    anything = st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
    )
    known = [json.loads(text) for text in seeds.architectures()]

    def build(value: object, path: list[int], new: object) -> bytes:
        return json.dumps(_replaced(value, path, new)).encode()

    paths = st.lists(st.integers(0, 5), max_size=5)
    return st.builds(build, st.sampled_from(known), paths, anything)


def _replaced(value: object, path: list[int], new: object) -> object:
    if not path or not isinstance(value, dict | list) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    items = dict(value) if isinstance(value, dict) else list(value)
    items[key] = _replaced(value[key], path[1:], new)
    return items


STRATEGIES: dict[str, list[st.SearchStrategy[bytes]]] = {
    **{name: [nearly_valid(), spliced(seeds.of(name)), st.binary()] for name in FILES},
    "overrides": [assignments(), spliced(seeds.of("overrides"))],
    "study": [st.text().map(str.encode), st.binary(), spliced(seeds.of("study"))],
    "architecture_json": [written_json(), spliced(seeds.of("architecture_json"))],
    "slots": [spliced(seeds.of("slots"))],
}


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    for seed in seeds.of(target):
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
@quick
def test_a_few(target: str, data: st.DataObject) -> None:
    for strategy in STRATEGIES[target]:
        TARGETS[target](data.draw(strategy))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
@long
def test_many(target: str, data: st.DataObject) -> None:
    for strategy in STRATEGIES[target]:
        TARGETS[target](data.draw(strategy))


def test_most_that_is_nearly_valid_gets_past_the_reader() -> None:
    """The strategy finds little if its files fail at the first line."""
    rng = random.Random(0)
    texts = [mutations.write(mutations.mutated(rng.choice(TREES), rng, 1)) for _ in range(200)]
    loaded = sum(_loads(text) for text in texts)
    assert loaded > 20
    assert len(texts) - loaded > 20


def _loads(text: str) -> bool:
    from targets import FILE

    from models.errors import InputError
    from search.space import load_space

    FILE.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_space(FILE)
    except InputError:
        return False
    return True
