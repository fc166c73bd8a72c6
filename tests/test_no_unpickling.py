"""Nothing that a file says is ever run: no product file calls what could run it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("models", "trainers", "search", "reports", "benchmarks")
FILES = [ROOT / "run_search.py", *(p for name in PRODUCT for p in (ROOT / name).rglob("*.py"))]

# What stands at the end of a dotted name, whatever the module is called where it is used.
RUNS_CODE = {
    "marshal", "shelve", "joblib", "dill", "cloudpickle", "jsonpickle", "torch", "runpy",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "pickle._loads", "pickle._load",
    "pickle._Unpickler", "ray.cloudpickle",
    "pandas.read_pickle", "pandas.eval", "pandas.read_hdf",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all",
    "yaml.full_load_all", "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "yaml.CLoader",
    "tune.Tuner.restore", "os.system", "os.popen", "os.execv", "subprocess.getoutput",
    "subprocess.getstatusoutput", "paddle.jit.load", "paddle.static.load",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
# Methods, whatever they are called on.
METHODS = {"restore_from_dir", "read_pickle"}
# The one unpickler, which knows a handful of names and no code; and the peer of a benchmark, which
# restores what it has just written, with whatever Ray Tune does for that. A search that lost Ray
# begins its own command anew.
ALLOWED = {
    ("models/array_pickle.py", "pickle._Unpickler"),
    ("benchmarks/plain_tune.py", "ray.tune.Tuner.restore"),
    ("run_search.py", "os.execv"),
}


def offences(source: str, name: str = "some.py") -> Iterator[str]:
    """What `source` does that could run what a file says; `name` relative to the root."""
    tree = ast.parse(source)
    imported = _imported(tree)
    for node in ast.walk(tree):
        for found in _found(node, imported):
            if (name, found) not in ALLOWED:
                yield f"{name}:{getattr(node, 'lineno', 0)}: {found}"


def _imported(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                short = each.name if each.asname else each.name.split(".")[0]
                names[each.asname or short] = short
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                names[each.asname or each.name] = f"{node.module}.{each.name}"
    return names


def _dotted(node: ast.AST, imported: dict[str, str]) -> str:
    """`numpy.load` for `np.load`; what is called on a value begins with `?`."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, imported)}.{node.attr}"
    return imported.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def _found(node: ast.AST, imported: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names if each.name.split(".")[0] in RUNS_CODE)
    elif isinstance(node, ast.ImportFrom):
        names = [str(node.module).split(".")[0]]
        names += [f"{node.module}.{each.name}" for each in node.names]
        yield from (each for each in names if each in RUNS_CODE)
    elif isinstance(node, ast.Attribute):
        dotted = _dotted(node, imported)
        yield from {dotted} & RUNS_CODE
    elif isinstance(node, ast.Name) and node.id in BUILTINS:
        yield node.id
    elif isinstance(node, ast.Call):
        yield from _called(node, _dotted(node.func, imported))


def _called(call: ast.Call, name: str) -> Iterator[str]:
    """Calls that depend on their arguments."""
    given = {each.arg: getattr(each.value, "value", "?") for each in call.keywords}
    last = name.rpartition(".")[2]
    if name in {"numpy.load", "numpy.lib.npyio.NpzFile"} and given.get("allow_pickle") is not False:
        yield f"{name} without allow_pickle=False"
    if last == "load" and name.startswith("paddle.") and given.get("safetensors") is not True:
        yield f"{name} without safetensors=True"
    if given.get("allow_pickle", False) is not False:
        yield f"{name} with allow_pickle"
    if given.get("shell", False) is not False:
        yield f"{name} with shell"
    if last in METHODS or (last == "restore" and "tune" in name.lower()):
        yield name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_product_file_runs_what_a_file_says(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    assert list(offences(path.read_text("utf-8"), name)) == []


def test_all_product_files_are_looked_at() -> None:
    names = {str(path.relative_to(ROOT)) for path in FILES}
    assert {"run_search.py", "models/weights.py", "trainers/checkpoint.py"} <= names
    assert {"search/ledger.py", "reports/study.py", "benchmarks/recorded.py"} <= names
    assert len(names) > 150


@pytest.mark.parametrize(
    "line",
    [
        "import pickle\npickle.load(file)",
        "import pickle\npickle.loads(data)",
        "import pickle as p\np.loads(data)",
        "from pickle import loads",
        "from pickle import Unpickler as U",
        "import pickle\nclass Mine(pickle.Unpickler): ...",
        "import pickle\nclass Mine(pickle._Unpickler): ...",
        "import pickle\nread = pickle.loads",
        "import paddle\npaddle.load(path)",
        "import paddle\npaddle.load(path, safetensors=False)",
        "import paddle as pd\npd.load(path, return_numpy=True)",
        "from paddle import load\nload(path)",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, mmap_mode='r')",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=flag)",
        "import numpy as np\nnp.lib.format.read_array(file, allow_pickle=True)",
        "from numpy import load\nload(path)",
        "import torch",
        "from torch import load",
        "import joblib",
        "import shelve",
        "from marshal import loads",
        "import dill as pickle",
        "from cloudpickle import loads",
        "import pandas as pd\npd.read_pickle(path)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.load(text, yaml.UnsafeLoader)",
        "import yaml\nclass Mine(yaml.Loader): ...",
        "from yaml import unsafe_load",
        "eval(text)",
        "def f(text):\n    exec(text)",
        "run = eval",
        "__import__(name)",
        "from ray import tune\ntune.Tuner.restore(path, trainable)",
        "from ray.tune import Tuner\nTuner.restore(path, trainable)",
        "tuner.restore(path)",
        "searcher.restore_from_dir(path)",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "import subprocess\nsubprocess.Popen(text, shell=shell)",
        "import os\nos.system(text)",
        "from os import popen",
    ],
)
def test_each_would_be_seen(line: str) -> None:
    """So the test above sees what it is to see."""
    assert list(offences(line))


@pytest.mark.parametrize(
    "line",
    [
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "import numpy as np\nnp.save(path, array, allow_pickle=False)",
        "import paddle\npaddle.load(path, safetensors=True)",
        "import safetensors.numpy\nsafetensors.numpy.load(data)",
        "import pickle\nraise pickle.UnpicklingError('no')",
        "network.eval()",
        "import re\nre.compile(text)",
        "import json\njson.loads(text)",
        "state.restore(arrays)",
        "import yaml\nclass Mine(yaml.SafeLoader): ...",
        "import subprocess\nsubprocess.run(['true'], check=True)",
    ],
)
def test_what_runs_nothing_is_let_by(line: str) -> None:
    assert list(offences(line)) == []


def test_the_one_unpickler_is_allowed_where_it_is_alone() -> None:
    source = "import pickle\nclass Mine(pickle._Unpickler): ..."
    assert list(offences(source, "models/array_pickle.py")) == []
    assert list(offences(source, "trainers/array_pickle.py"))
    assert list(offences("import pickle\npickle.loads(b'')", "models/array_pickle.py"))
