"""What files say of architectures, as it is written: types alone, which need no Paddle."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

Word = Literal["all", "last", "every_second"]


def _as_mapping(given: object) -> object:
    if isinstance(given, str):
        return {given: None}
    if not isinstance(given, dict):
        raise ValueError("must be a block, as `se` or `{se: {reduction: 8}}`, or `none`")  # noqa: TRY004 - Pydantic's
    return given


BlockInSlot = Annotated[dict[str, dict[str, Any] | None], BeforeValidator(_as_mapping)]
Placements = dict[str, BlockInSlot]
"""Slots to one block each."""

Candidates = dict[str, Placements]
"""Names to architectures."""
