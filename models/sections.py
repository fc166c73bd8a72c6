"""`Section`: the base of every typed part of a space file."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a YAML file as a frozen value: unknown keys and wrong types refuse to exist.

    Strict: `"3"` is no integer and `yes` no boolean. Non-finite numbers are refused everywhere.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )
