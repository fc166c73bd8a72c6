"""The backbones. This folder is the registry: one file is one backbone."""

from functools import cache

from models.backbone import BackboneNetwork
from models.registry import entry_names, load_entry


def backbone_names() -> tuple[str, ...]:
    """The names of all backbones, sorted."""
    return entry_names(__path__)


@cache
def backbone_class(name: str) -> type[BackboneNetwork]:
    """The network class of a backbone; UnknownEntryError (an InputError) for an unknown name."""
    return load_entry(__name__, __path__, name, BackboneNetwork)  # type: ignore[type-abstract]
