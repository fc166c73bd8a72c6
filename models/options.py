"""Options of attention blocks: declared once by the block, checked wherever they are given."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.architecture import OptionValue


class OptionError(ValueError):
    """An option that a block does not have, or a value that it cannot take."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(f"{option}: {message}")
        self.option = option
        self.message = message


@dataclass(frozen=True)
class Option:
    """One option of a block.

    The type of `default` is the option's type. `choices` lists all legal values, or `low` and
    `high` bound a number (both included). `active_if` names another option and the values of it
    for which this one has an effect; elsewhere it is dropped, so equal networks are equal values.
    `meaning` is a line for people.
    """

    name: str
    default: OptionValue
    choices: tuple[OptionValue, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    active_if: tuple[str, tuple[OptionValue, ...]] | None = None
    meaning: str = ""

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        if isinstance(self.default, bool):
            return "true or false"
        kind = "an integer" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def parse(self, value: object) -> OptionValue:
        """The value in the option's type (an integer serves as a number); else OptionError."""
        if isinstance(self.default, float) and type(value) is int and abs(value) < 2**53:
            value = float(value)
        if type(value) is not type(self.default) or not self._within(value):
            hint = did_you_mean(str(value), map(str, self.choices))
            raise OptionError(self.name, f"{value!r} is not allowed; allowed: {self.allowed}{hint}")
        return value

    def _within(self, value: object) -> bool:
        if self.choices:
            return value in self.choices
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if isinstance(value, int | float):
            return self.low <= value <= self.high
        return True

    def active(self, options: Mapping[str, OptionValue]) -> bool:
        """Whether the option has an effect beside the given values of the others."""
        return self.active_if is None or options[self.active_if[0]] in self.active_if[1]


def complete(
    declared: tuple[Option, ...], given: Mapping[str, object]
) -> tuple[tuple[str, OptionValue], ...]:
    """The canonical options of a block: checked, defaults filled in, inactive ones gone, sorted.

    Raises OptionError for an option that is not declared or a value that is not allowed.
    """
    names = [option.name for option in declared]
    for name in given:
        if name not in names:
            allowed = ", ".join(names) or "none"
            hint = did_you_mean(name, names)
            raise OptionError(name, f"no option of this block; allowed: {allowed}{hint}")
    values = {o.name: o.parse(given[o.name]) if o.name in given else o.default for o in declared}
    return tuple(sorted((o.name, values[o.name]) for o in declared if o.active(values)))


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """`; did you mean "x"?` for a near miss, an empty text otherwise."""
    near = difflib.get_close_matches(given.lower(), list(allowed), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""
