"""Numbers and names as people read them: per cent, points, durations, counts."""

import re

from models.architecture import Architecture
from models.printable import printable
from search.trial import Role, Trial

UNKNOWN = "—"

OBJECTIVES = {
    "val_accuracy": "accuracy",
    "params": "parameters",
    "macs": "MACs",
    "latency_ms": "latency",
}


_NO_CANDIDATE = {
    Role.ORIGIN: "trained first, for all others",
    Role.CHECK: "check from scratch",
    Role.FINALIST: "finalist",
}


def title(trial: Trial) -> str:
    """What a trial is, for a list of what runs: `check from scratch: se@stage4.block2`."""
    seed = f", seed {trial.seed}" if trial.seed is not None else ""
    role = _NO_CANDIDATE.get(trial.role, "") + seed
    return ": ".join(filter(None, (role, printable(trial.title))))


def percent(fraction: float | None, digits: int = 2) -> str:
    """A fraction as per cent: 0.4123 is `41.23 %`."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{digits}f} %"


def points(fraction: float, digits: int = 2) -> str:
    """A difference of two accuracies, in percentage points with its sign: `+0.80`."""
    return f"{100 * fraction:+.{digits}f}"


def milliseconds(value: float | None) -> str:
    """A latency with its unit; three digits matter."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f} ms" if value >= 1000 else f"{value:#.3g}".rstrip(".") + " ms"


def latency(trial: Trial) -> str:
    """A trial's latency, marked where it was predicted: `~10.4 ms`."""
    return ("~" if trial.latency_predicted else "") + milliseconds(trial.latency_ms)


def latency_p90_ms(trial: Trial) -> float | None:
    """What 9 in 10 passes took at most, in the milliseconds of `latency_ms`."""
    if trial.latency is None or trial.latency_ms is None:
        return None
    return trial.latency_ms * trial.latency.p90_ms / trial.latency.median_ms


def latency_with_interval(trial: Trial) -> str:
    """A trial's latency with its 95 % interval and the time that 9 in 10 passes took at most."""
    if trial.latency is None:
        return latency(trial)
    p90 = milliseconds(latency_p90_ms(trial)).removesuffix(" ms")
    return f"{latency(trial)} ± {100 * trial.latency.half_width:.1f} % (p90 {p90})"


def code(text: str) -> str:
    """Text on one line as code in Markdown, whatever backticks it holds."""
    line = printable(" ".join(text.split())) or " "
    if "`" not in line:
        return f"`{line}`"
    fence = "`" * (1 + max(map(len, re.findall("`+", line))))
    return f"{fence} {line} {fence}"


def code_cell(text: str) -> str:
    """The same inside a Markdown table, where even in code a bar would end the cell."""
    return re.sub(r"\\+(?=\|)", r"\g<0> ", code(text)).replace("|", "\\|")


def prose(text: str) -> str:
    """Text that may hold anything, as nothing but text in a line or a table of Markdown."""
    line = printable(" ".join(text.split()))
    line = re.sub(r"[\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", line)
    return line.replace("&", "&amp;").replace("<", "&lt;")


def count(value: float) -> str:
    """A large count, shortened: 11181642 is `11.18 M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.2f} {unit}"
    return f"{value:.0f}"


def number_of(value: int, noun: str) -> str:
    """A count with its noun: `1 trial`, `5,000 trials`."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def duration(seconds: float | None) -> str:
    """Seconds as `1 d 2 h 3 m 4 s`, from the largest unit that is not 0."""
    if seconds is None:
        return UNKNOWN
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    parts = [(day, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{value} {unit}" for value, unit in parts)


def shortened(text: str, length: int) -> str:
    """Text on one line of at most `length` characters, cut off with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def objectives_in_words(names: tuple[str, ...]) -> str:
    """`accuracy, parameters and latency`."""
    words = [OBJECTIVES.get(name, name) for name in names]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def block_type(architecture: Architecture) -> str:
    """The one kind of block in an architecture; `mixed` for several, `none` for the backbone."""
    names = {placement.block.name for placement in architecture.placements}
    if len(names) > 1:
        return "mixed"
    return next(iter(names), "none")


def role_marker(trial: Trial) -> str:
    """The role where it is worth a word, with a mark: `★ baseline`, `◆ control`."""
    marks = {
        Role.BASELINE: "★ baseline",
        Role.CONTROL: "◆ control",
        Role.ORIGIN: "baseline from scratch",
        Role.CHECK: "from scratch, to check the order",
        Role.FINALIST: "finalist",
    }
    return marks.get(trial.role, "")
