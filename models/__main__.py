"""`python -m models FILE`: a space's slots, blocks and candidates, or an architecture, drawn."""

import argparse
import io
import sys
from pathlib import Path

from pydantic import Field

from models import build
from models.architecture import Architecture, Backbone
from models.backbone import Plan
from models.command import leave, run_command, speak_to_nobody
from models.describe import describe_architecture, describe_backbone
from models.errors import InputError
from models.explicit import read_architecture, read_candidates, read_plan
from models.options import did_you_mean
from models.sections import Section
from models.weights import load_weights, published_weights
from models.written import Candidates
from models.yaml_input import Document, read_yaml, validate

PUBLISHED = "paddle"
# The sections of a space file, which are search's to read; here only their names are looked at.
_SPACE_KEYS = (
    "backbone", "data", "placement", "candidates", "training", "latency", "objectives", "search",
    "finalists",
)  # fmt: skip


class _CandidatesOnly(Section):
    candidates: Candidates = Field(default_factory=dict)


def main(arguments: list[str] | None = None) -> int:
    """Prints the description; the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_command(lambda _: _draw(words), debug="--debug" in words, stopped="stopped")


def _draw(words: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("file", type=Path, help="a space file, or a file that lists placements")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="also load a .safetensors or .pdparams file into the architecture and say what it "
        f"filled; {PUBLISHED!r} fetches the weights that Paddle publishes",
    )
    parser.add_argument(
        "--new-classifier", action="store_true", help="leave the file's last layer out"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(words)
    if given.new_classifier and not given.weights:
        raise InputError("--new-classifier says how --weights are loaded; give these too")
    document = read_yaml(given.file)
    _say(_describe(document))
    if given.weights is not None:
        _say(_load(document, given.weights, new_classifier=given.new_classifier))


def _say(lines: list[str]) -> None:
    """Prints, with `?` for signs that the terminal's encoding lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print("\n".join(lines), flush=True)


def _describe(document: Document) -> list[str]:
    if "placements" in document.values:
        return describe_architecture(*read_architecture(_of_recipe(document)))
    _refuse_unknown(document)
    backbone, image_size = _backbone(document)
    plan = read_plan(document, backbone, image_size)
    lines = describe_backbone(backbone, image_size)
    for name, architecture in _candidates(document, backbone, plan).items():
        lines += ["", f"candidate {name}", *describe_architecture(architecture, image_size)]
    return lines


def _of_recipe(document: Document) -> Document:
    """The architecture of a recipe (`trainers.recipe`), which is not models' to read."""
    if "recipe" not in document.values:
        return document
    known: dict[str, object] = {
        key: document.values[key] for key in ("backbone", "placements") if key in document.values
    }
    data, places = document.values.get("data"), dict(document.places)
    if isinstance(data, dict) and "image_size" in data:
        known["image_size"] = data["image_size"]
        places["image_size",] = document.place(("data", "image_size"))
    return Document(document.source, known, places, document.has_lines)


def _refuse_unknown(document: Document) -> None:
    """A misspelt key must not turn an architecture into a plain backbone."""
    placement = document.values.get("placement")
    if isinstance(placement, dict) and any("." in key for key in placement):
        message = 'holds no slots, but what a search may choose; did you mean "placements"?'
        raise InputError(document.problem(("placement",), message))
    known = (*_SPACE_KEYS, "placements")
    for key in document.values:
        if key not in known:
            message = f"unknown key; allowed: {', '.join(known)}{did_you_mean(key, known)}"
            raise InputError(document.problem((key,), message))


def _backbone(document: Document) -> tuple[Backbone, int]:
    backbone = Backbone()
    if "backbone" in document.values:
        backbone = validate(document, Backbone, ("backbone",))
    data = document.values.get("data")
    image_size = data.get("image_size", 32) if isinstance(data, dict) else 32
    if type(image_size) is not int or not 8 <= image_size <= 1024:
        message = f"{image_size!r} is not allowed: must be an integer from 8 to 1024"
        raise InputError(document.problem(("data", "image_size"), message))
    return backbone, image_size


def _candidates(document: Document, backbone: Backbone, plan: Plan) -> dict[str, Architecture]:
    key = "candidates"
    values = {key: document.values[key]} if key in document.values else {}
    part = Document(document.source, values, document.places)
    return read_candidates(part, validate(part, _CandidatesOnly).candidates, backbone, plan)


def _load(document: Document, weights: str, *, new_classifier: bool) -> list[str]:
    if "placements" not in document.values:
        raise InputError(f"{document.source}: --weights needs a file that lists placements")
    architecture, image_size = read_architecture(_of_recipe(document))
    network = build.build(architecture, image_size, seed=0)
    published = weights == PUBLISHED
    path = published_weights(architecture.backbone) if published else Path(weights)
    left = load_weights(network, path, new_classifier=new_classifier)
    return [f"{path} fits; not from it: {', '.join(left) or 'nothing'}"]


if __name__ == "__main__":
    speak_to_nobody()
    leave(main())
