"""From a YAML entry to a checked, ready part.

A family holds every part of one kind (aggregation rules, mechanisms, tasks ..). A part is one
function under the family's decorator: its parameters before ``*`` come from the simulator, its
parameters after ``*`` from the YAML. The YAML name is the Python name. A part of the user's own
is named ``module:function`` and gets the same checks.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from fedchain.errors import Problem, ScenarioError

Where = tuple[str | int, ...]
Built = TypeVar("Built")
Maker = TypeVar("Maker", bound=Callable[..., Any])


@dataclass(frozen=True)
class Part:
    """A checked ``kind:`` block: the name of a part and every one of its parameters."""

    kind: str
    """The registered name, or ``module:function``."""
    parameters: Mapping[str, Any]
    """Value by name, defaults filled in; a nested block is a Part of its own."""

    def plain(self) -> dict[str, Any]:
        """Return the block as plain YAML values, ``kind`` first."""
        values = {k: v.plain() if isinstance(v, Part) else v for k, v in self.parameters.items()}
        return {"kind": self.kind, **values}


@dataclass(frozen=True)
class Family(Generic[Built]):
    """Every part of one kind, by name.

    >>> rules: Family[int] = Family("rule")
    >>> @rules
    ... def add(left: int, *, right: int = 1) -> int:
    ...     return left + right
    >>> rules.build(rules.check({"kind": "add", "right": 2}), 1)
    3
    """

    name: str
    """What one part is called in messages: ``aggregation``."""
    modules: tuple[str, ...] = ()
    """Modules that register the parts; imported when the family is first asked."""
    parts: dict[str, Callable[..., Built]] = None  # type: ignore[assignment]
    """Function by name, in the order of registration."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", {})

    def __call__(self, maker: Maker) -> Maker:
        """Register a function under its own name."""
        self.parts[maker.__name__] = maker
        return maker

    def names(self) -> list[str]:
        """Return the registered names, in alphabetical order."""
        for module in self.modules:
            importlib.import_module(module)
        return sorted(self.parts)

    def find(self, kind: str) -> Callable[..., Built]:
        """Return the function of this name.

        Raises:
            ValueError: no such part; the text says what is allowed.
        """
        names = self.names()
        if kind in self.parts:
            return self.parts[kind]
        if ":" in kind:
            return _user_part(kind)
        raise ValueError(f"no {self.name} called {kind!r}; {suggest(kind, names)}")

    def check(self, block: object, where: Where = ()) -> Part:
        """Turn a YAML block into a Part.

        Args:
            block: a mapping with ``kind`` and the part's parameters.
            where: the block's place in the scenario, for messages.

        Raises:
            ScenarioError: everything that is wrong in the block and in the blocks inside it.
        """
        if not isinstance(block, Mapping) or "kind" not in block:
            known = ", ".join(self.names())
            raise ScenarioError([Problem(where, f"needs a kind: one of {known}")])
        kind = block["kind"]
        try:
            maker = self.find(str(kind))
        except ValueError as error:
            raise ScenarioError([Problem((*where, "kind"), str(error))]) from error
        given = {str(key): value for key, value in block.items() if key != "kind"}
        return Part(str(kind), _check_parameters(maker, given, where))

    def build(self, part: Part, *arguments: object) -> Built:
        """Call the part's function with what the simulator gives and what the YAML said."""
        return self.find(part.kind)(*arguments, **part.parameters)


@dataclass(frozen=True)
class AtMost:
    """Mark of a parameter that another value of the scenario bounds.

    ``keep: Annotated[int, Field(ge=1), AtMost("nodes.holders", "the number of holders")]``
    """

    key: str
    """The bounding value's place in the scenario."""
    words: str
    """What the bounding value is, for the message."""


def parameters(maker: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters that the YAML sets: those after ``*``, annotations resolved."""
    hints = typing.get_type_hints(maker, include_extras=True)
    return {
        name: parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def nested_family(annotation: object) -> Family[Any] | None:
    """Return the family of a parameter that is a block itself: ``Annotated[Part, models]``."""
    families = [m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Family)]
    return families[0] if families else None


def suggest(word: str, known: Iterable[str]) -> str:
    """Say what was probably meant, and what is allowed.

    >>> suggest("kepe", ["keep", "scale"])
    'did you mean keep? allowed: keep, scale'
    """
    allowed = sorted(known)
    close = difflib.get_close_matches(word, allowed, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed: {', '.join(allowed) or 'nothing'}"


def problems_of(error: ValidationError, where: Where, known: Iterable[str] = ()) -> list[Problem]:
    """Put pydantic's findings into fedchain's words."""
    return [Problem((*where, *e["loc"]), _words(e, list(known))) for e in error.errors()]


def _check_parameters(
    maker: Callable[..., Any], given: dict[str, Any], where: Where
) -> Mapping[str, Any]:
    expected = parameters(maker)
    problems: list[Problem] = []
    checked: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for name, parameter in expected.items():
        family = nested_family(parameter.annotation)
        required = parameter.default is inspect.Parameter.empty
        if family is None:
            fields[name] = (parameter.annotation, ... if required else parameter.default)
        elif name in given or required:
            try:
                checked[name] = family.check(given.get(name), (*where, name))
            except ScenarioError as error:
                problems += error.problems
        else:
            checked[name] = family.check(parameter.default.plain(), (*where, name))
    model = create_model(maker.__name__, __config__=STRICT, **fields)
    try:
        values = model.model_validate({k: v for k, v in given.items() if k not in checked})
    except ValidationError as error:
        nested_names = {p.where[len(where)] for p in problems}
        found = problems_of(error, where, expected)
        problems += [p for p in found if p.where[len(where)] not in nested_names]
    else:
        checked |= {name: getattr(values, name) for name in fields}
    if problems:
        raise ScenarioError(problems)
    return MappingProxyType({name: checked[name] for name in expected})


STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
"""How every section and part of a scenario is checked: no unknown key, no silent conversion."""


class Section(BaseModel):
    """A section of the scenario that is not a part: fixed keys, checked strictly."""

    model_config = STRICT


def _user_part(kind: str) -> Callable[..., Any]:
    module, _, function = kind.partition(":")
    try:
        return typing.cast(Callable[..., Any], getattr(importlib.import_module(module), function))
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"cannot import {kind!r}: {error}; write module:function") from error


def _words(error: ErrorDetails, known: list[str]) -> str:
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"no such key; {suggest(str(error['loc'][-1]), known)}"
        case "missing":
            return "is missing; it has no default"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            bounds = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
            limits = [f"{word} {context[key]}" for key, word in bounds.items() if key in context]
            return f"must be {' and '.join(limits)}, got {value!r}"
        case "literal_error":
            return f"must be one of {context['expected']}, got {value!r}"
        case "finite_number":
            return f"must be a finite number, got {value!r}"
        case "value_error":
            return str(context["error"])
        case kind if kind.endswith("_type"):
            wanted = kind.removesuffix("_type").replace("int", "a whole number")
            return f"must be {wanted}, got {value!r} ({type(value).__name__})"
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {value!r}"
