"""The fuzz targets under a coverage-guided fuzzer, atheris (libFuzzer).

python tests/fuzz/coverage_guided.py space --minutes 5

Inputs that reach new code are kept in a folder (`--corpus`), and the next run begins with them.
What breaks a promise ends the run with a traceback, exit code 77 and the input in a file
`TARGET-crash-…` beside them; `--replay FILE` runs the target once on such a file.
"""

import argparse
import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fuzz")]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["models", "search", "trainers.config", "yaml"]):
    import mutations
    import seeds
    import targets

_WRITTEN = {"space", "described", "architecture_file"}
_TREES = [mutations.parse(text) for text in (*seeds.spaces(), seeds.ARCHITECTURE)]


def _mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """As a person might get it wrong, every other time; libFuzzer's own way otherwise."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        return bytes(atheris.Mutate(data, max_size))
    try:
        tree = mutations.parse(data.decode())
    except Exception:  # what cannot be taken apart: begin with something that can
        tree = rng.choice(_TREES)
    tree = mutations.mutated(tree, rng, rng.choice([1, 1, 2, 3, 6]))
    text = mutations.write(tree, block=rng.choice([0, 1, 2, 3]))
    return text.encode("utf-8", "surrogatepass")[:max_size]


def main() -> None:
    """Runs a target until the time is up or a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=targets.TARGETS)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--corpus", type=Path, default=Path(".hypothesis/atheris"))
    parser.add_argument("--replay", type=Path, metavar="FILE")
    given = parser.parse_args()
    target = targets.TARGETS[given.target]
    if given.replay:
        target(given.replay.read_bytes())
        return
    corpus = given.corpus / given.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds.of(given.target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = given.corpus / "words"
    known = dict.fromkeys((*mutations.KEYS, *mutations.VALUES))
    words.write_text("".join(f'"{word}"\n' for word in known if word.isidentifier()))
    targets.SECONDS *= 3  # code that is watched is slow
    options = [
        f"-max_total_time={round(given.minutes * 60)}",
        f"-artifact_prefix={given.corpus}/{given.target}-",
        f"-dict={words}",
        "-timeout=20",
        "-rss_limit_mb=3000",
        "-max_len=33000" if given.target in _WRITTEN else "-max_len=4096",
        "-print_final_stats=1",
    ]
    own = {"custom_mutator": _mutate} if given.target in _WRITTEN else {}
    atheris.Setup([sys.argv[0], *options, str(corpus)], target, **own)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
