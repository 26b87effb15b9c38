"""Parts and sections, which make up a scenario, and their plain YAML values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict

Where = tuple[str | int, ...]
"""Path of keys and indices from the top of the scenario."""


@dataclass(frozen=True)
class Part:
    """A checked ``kind:`` block: the name of a part and all its parameters."""

    kind: str
    """The registered name, or ``module:function``."""
    parameters: Mapping[str, Any]
    """Read-only value of each parameter by name, with defaults. A nested block is a Part."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __hash__(self) -> int:
        return hash(self.kind)  # lists in parameters have no hash

    def __reduce__(self) -> tuple[type[Part], tuple[str, dict[str, Any]]]:
        """Tell pickle how to rebuild the part."""
        # Pickle cannot store a read-only mapping.
        return Part, (self.kind, dict(self.parameters))

    def nested(self) -> Iterator[Part]:
        """Yield the part itself, then the parts among its parameters, at any depth."""
        yield self
        for value in self.parameters.values():
            for each in value if isinstance(value, tuple | list) else (value,):
                if isinstance(each, Part):
                    yield from each.nested()

    def plain(self) -> dict[str, Any]:
        """Return the block as plain YAML values, with ``kind`` first."""
        return {"kind": self.kind, **{k: plain_value(v) for k, v in self.parameters.items()}}


STRICT = ConfigDict(
    extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=()
)
"""Settings of every check of a section or part: no unknown keys, no silent conversion."""


class Section(BaseModel):
    """A strictly checked block of the scenario with fixed keys."""

    model_config = STRICT


def overlay(below: object, above: object) -> object:
    """Merge two YAML mappings: keys of ``above`` win, and a different ``kind`` replaces all keys.

    >>> overlay({"kind": "adam", "learning_rate": 0.1}, {"learning_rate": 0.2})
    {'kind': 'adam', 'learning_rate': 0.2}
    >>> overlay({"kind": "adam", "learning_rate": 0.1}, {"kind": "momentum"})
    {'kind': 'momentum'}
    """
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    if above.get("kind", below.get("kind")) != below.get("kind"):
        return above
    return {**below, **{k: overlay(below.get(k), v) for k, v in above.items()}}


def plain_value(value: object) -> Any:
    """Return a checked value as plain YAML values: parts and sections as dicts, tuples as lists."""
    if isinstance(value, Part):
        return value.plain()
    if isinstance(value, Section):
        return {name: plain_value(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(k): plain_value(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain_value(v) for v in value]
    return value
