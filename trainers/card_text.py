"""`card.md`: the facts of a card for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.printable import printable
from trainers.recipe import to_yaml

USE = """\
```
python -m trainers {recipe} --predict IMAGE…
```

or, without this program, as docs/export.md of it shows in ten lines each for ONNX Runtime and
Paddle Inference: images are RGB, {resizing}; `(grey level / 255 - mean) / deviation` by channel,
with `input.mean` and `input.deviation` of `card.json`; `[N, 3, {size}, {size}]` float32 go in,
and logits `[N, {classes}]` come out, in the order of `class_names`."""


def card_text(facts: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    parts = (
        _head(facts), _numbers(facts), _data(facts), _files(facts), _speed(facts), _use(facts),
        _recipe(facts), _made(facts), _limits(facts),
    )  # fmt: skip
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(facts: Mapping[str, Any]) -> Iterator[str]:
    architecture, results = facts["architecture"], facts["results"]
    backbone = architecture["backbone"]
    blocks = ", ".join(block["name"] for block in facts["blocks"]) or "no attention"
    yield f"# {backbone['name']} with {blocks}, for {prose(facts['data']['title'])}"
    yield ""
    low, high = (percent(end) for end in results["test_interval"])
    right = percent(results["test_accuracy"])
    yield (
        f"A classifier of {len(facts['class_names'])} classes: **{right}** of "
        f"{results['test_images']:,} test images right (95 % interval {low} to {high}), with "
        f"{facts['params']:,} parameters and {facts['macs']:,} MACs an image."
    )
    yield ""
    stem = backbone["stem"]
    yield f"Backbone: {backbone['name']}, {stem} stem, width {backbone['width']:g}. Placements:"
    yield ""
    for each in architecture["placements"]:
        options = ", ".join(f"{key}: {value}" for key, value in each["options"].items())
        yield f"- `{each['slot']}`: {each['block']}" + (f" ({options})" if options else "")
    if not architecture["placements"]:
        yield "- none: the plain backbone"
    for block in facts["blocks"]:
        yield ""
        yield f"{block['name']}: {block['title']}; {block['paper']}."
        if block["deviations"] != "nothing":
            yield f"Differs from the paper: {block['deviations']}."
    study = facts["recipe"]["study"]
    if study:
        accuracy = study["val_accuracy"]
        found = "" if accuracy is None else f" (there {percent(accuracy)} of validation images)"
        yield ""
        yield f"Found by the study {prose(study['name'])} as trial {study['trial']}{found}."


def _numbers(facts: Mapping[str, Any]) -> Iterator[str]:
    results, over = facts["results"], facts["results"]["over_seeds"]
    yield from ("", "## How good it is", "")
    yield "| seed | epochs | kept epoch | validation | test | |"
    yield "|---:|---:|---:|---:|---:|---|"
    for seed in results["seeds"]:
        remarks = ["exported"] * (seed["seed"] == results["exported_seed"])
        remarks += ["ended early"] * seed["ended_early"]
        yield (
            f"| {seed['seed']} | {seed['epochs']} | {seed['kept_epoch']} | "
            f"{percent(seed['val_accuracy'])} | {percent(seed['test_accuracy'])} | "
            f"{', '.join(remarks)} |"
        )
    yield ""
    if "deviation" in over:
        low, high = (percent(end) for end in over["interval"])
        yield (
            f"Test accuracy over {over['seeds']} seeds: mean {percent(over['mean'])}, standard "
            f"deviation {100 * over['deviation']:.2f} points; 95 % interval of the mean {low} to "
            f"{high} (Student's t)."
        )
    else:
        yield "One seed: what another one would change is not known (`--seeds 5`)."
    yield (
        "The exported seed is the one with the best validation accuracy. The test split was read "
        "once for each seed, after its training had ended; it chose nothing. The interval above is "
        "Wilson's, of the number of test images alone."
    )


def _data(facts: Mapping[str, Any]) -> Iterator[str]:
    data = facts["data"]
    yield from ("", "## What it was trained on", "")
    yield (
        f"{prose(data['title'])}: {data['train_images']:,} images for training, "
        f"{data['validation_images']:,} for validation, {data['test_images']:,} for the test."
    )
    yield ""
    yield f"Classes: {', '.join(prose(name) for name in facts['class_names'])}."
    yield from ("", "| SHA-256 of | |", "|---|---|")
    names = {
        "checksum": "images of the training split",
        "train_sha256": "which of them were trained on",
        "validation_sha256": "which of them validated",
        "test_checksum": "images of the test split",
    }
    for key, name in names.items():
        if data.get(key):
            yield f"| {name} | `{data[key]}` |"


def _files(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Files", "", "| file | bytes | SHA-256 |", "|---|---:|---|")
    for name, file in facts["files"].items():
        yield f"| `{name}` | {file['bytes']:,} | `{file['sha256']}` |"
    parity = facts["parity"]
    yield ""
    found = "; ".join(f"{form} {off:.1e}" for form, off in parity["found"].items())
    yield (
        "Each form computes what the trained network does: on real images and on noise, in batches "
        f"of one and of several, logits differ by at most {found} of their scale (allowed: "
        f"{parity['allowed']:g})."
    )
    if facts["no_onnx"]:
        yield ""
        yield f"There is no ONNX model: {prose(facts['no_onnx'])}"


def _speed(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## How fast it is", "")
    speed = facts["speed"]
    if isinstance(speed, str):
        yield f"Not measured: {prose(speed)}"
        return
    batches = list(dict.fromkeys(each["batch"] for each in speed["forms"]))
    forms = list(dict.fromkeys(each["form"] for each in speed["forms"]))
    found = {(each["form"], each["batch"]): each for each in speed["forms"]}
    columns = " | ".join(f"images/s, batch {batch}" for batch in batches)
    yield f"| form | latency, batch 1 (p90) | {columns} |"
    yield f"|---|---:|{'---:|' * len(batches)}"
    for form in forms:
        one = found[form, 1]
        rates = " | ".join(f"{found[form, batch]['images_per_second']:,.0f}" for batch in batches)
        yield f"| {form} | {one['median_ms']:.3g} ms ({one['p90_ms']:.3g}) | {rates} |"
    yield ""
    alone = "held off" if speed["quiet"] else "not held off"
    processor = prose(facts["machine"]["processor"])
    yield (
        f"Medians of passes from array to array on one thread of {processor}, the forms in turns; "
        f"time of the process, other trainings here {alone} meanwhile."
    )


def _use(facts: Mapping[str, Any]) -> Iterator[str]:
    given = facts["input"]
    yield from ("", "## How to use it", "")
    yield USE.format(
        recipe=printable(facts["recipe_file"]),
        resizing=given["resizing"].replace("input.size", f"{given['size']} pixels"),
        size=given["size"],
        classes=len(facts["class_names"]),
    )


def _recipe(facts: Mapping[str, Any]) -> Iterator[str]:
    recipe = facts["recipe"]
    around = recipe["full_training"]
    yield from ("", "## Recipe", "")
    keep = "with the best validation accuracy" if around["keep"] == "best" else "that was last"
    average = recipe["training"]["average"]
    weights = f"averaged weights (decay {average:g})" if average else "weights"
    patience = around["patience"]
    early = f"; ends after {patience} epochs without a better one" if patience else ""
    yield f"Kept are the {weights} of the epoch {keep}{early}."
    written = {key: value for key, value in recipe.items() if key != "study"}
    if recipe["training"]["start"] == "scratch":
        training = {k: v for k, v in recipe["training"].items() if k != "warm"}
        written["training"] = training
    yield from ("", "```yaml", to_yaml(written).rstrip(), "```")


def _made(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## How it was made", "")
    machine = ", ".join(f"{key} {prose(str(value))}" for key, value in facts["machine"].items())
    yield f"{facts['created']} by attention-placement-search. Machine: {machine}."
    yield ""
    listed = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    yield f"Versions: {listed}. Architecture id `{facts['architecture_id']}`."


def _limits(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Limits", "")
    yield (
        "- It knows the classes above and no others: of any image it says one of them. "
        "Probabilities are the softmax of the logits and were not calibrated."
    )
    yield (
        "- Its accuracy is that on the test split. Images of another origin, size or quality than "
        f"{prose(facts['data']['title'])}'s are likely to be labelled worse."
    )
    yield "- Nothing was done to find out whether it errs more for some groups than for others."
    yield (
        "- Licence: the program that trained it is under Apache-2.0, its blocks were written anew "
        "after the papers named above. The weights carry no licence of their own; what may be done "
        "with them also depends on the terms of the images."
    )


def percent(fraction: float) -> str:
    """0.4123 as `41.23 %`."""
    return f"{100 * fraction:.2f} %"


def prose(text: str) -> str:
    """Anybody's text in a line or a table of Markdown."""
    shown = printable(" ".join(text.split()))
    for sign in ("\\", "`", "*", "[", "]", "|"):
        shown = shown.replace(sign, f"\\{sign}")
    return shown.replace("&", "&amp;").replace("<", "&lt;")
