"""Families of parts: the functions that a ``kind:`` can name, and their checks."""

from __future__ import annotations

import functools
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError, create_model

from fedchain.errors import PartError, Problem, ScenarioError
from fedchain.registry.own import called, imported, simulator_values, written_form
from fedchain.registry.parts import STRICT, Part, Where, overlay, plain_value
from fedchain.registry.signatures import as_tuples, bare, list_lengths, parameters, section_of
from fedchain.registry.wording import problems_of, show_value, suggest

Built = TypeVar("Built")
Maker = TypeVar("Maker", bound=Callable[..., Any])


@dataclass(frozen=True)
class Family(Generic[Built]):
    """All parts for one purpose (such as aggregation), by name.

    >>> rules: Family[int] = Family("rule")
    >>> @rules
    ... def add(left: int, *, right: int = 1) -> int:
    ...     return left + right
    >>> rules.build(rules.check({"kind": "add", "right": 2}), 1)
    3
    """

    name: str
    """The family's name, used in messages: ``aggregation``."""
    modules: tuple[str, ...] = ()
    """Modules that register the parts; they are imported when needed."""
    makes: type | None = None
    """Class that a part must return; None: any class."""
    flaw: Callable[..., str | None] | None = None
    """Function that checks the result of a user-defined part. Its arguments are the result and the
    simulator's values; it returns an error text or None. Without it, nothing is checked."""
    misfits: Callable[[Part], Iterator[Problem]] | None = None
    """Function that checks whether a part's parameters fit together: takes the part and yields
    problems with places relative to the part. None: no check."""
    parts: dict[str, Callable[..., Built]] = field(default_factory=dict)
    """Functions by name, in the order of registration."""

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
        """Return the function of the part with this name.

        Raises:
            ValueError: there is no such part; the error text lists the parts.
        """
        names = [] if kind in self.parts else self.names()  # a sweep asks for thousands of parts
        if kind in self.parts:
            return self.parts[kind]
        if ":" in kind:
            return _user_part(kind, self)
        raise ValueError(f"no {self.name} called {kind!r}; {suggest(kind, names)}")

    def check(self, block: object, where: Where = (), beside: Sequence[str] = ()) -> Part:
        """Check a YAML block, a mapping with ``kind`` and parameters, and return it as a Part.

        ``beside`` lists further keys that error messages name as allowed.

        Raises:
            ScenarioError: the block is wrong; the error lists every problem, also of nested blocks.
        """
        if not isinstance(block, Mapping) or "kind" not in block:
            known = ", ".join(self.names())
            raise ScenarioError([Problem(where, f"needs a block with a kind: one of {known}")])
        kind = block["kind"]
        try:
            maker = self.find(str(kind))
        except ValueError as error:
            raise ScenarioError([Problem((*where, "kind"), str(error))]) from error
        given = {str(key): value for key, value in block.items() if key != "kind"}
        checked, problems = examine_keys(maker, given, where, beside)
        if problems:
            raise ScenarioError(problems)
        return Part(str(kind), checked)

    def build(self, part: Part, *arguments: object) -> Built:
        """Call the part's function with the simulator's values and the YAML's parameters.

        Raises:
            PartError: a user-defined part fails, or returns a wrong value.
        """
        return self.bind(part)(*arguments)

    def bind(self, part: Part) -> Callable[..., Built]:
        """Return the part's function with the YAML's parameters already set."""
        maker = self.find(part.kind)
        if part.kind in self.parts:
            return functools.partial(maker, **part.parameters)
        name = f"{self.name} {part.kind}"

        def build_own(*arguments: object) -> Built:
            made = called(name, self.makes or object, maker, *arguments, **part.parameters)
            if self.flaw is not None and (flaw := self.flaw(made, *arguments)) is not None:
                raise PartError(f"{name}: {flaw}")
            return typing.cast(Built, made)

        return build_own


@dataclass(frozen=True)
class Address:
    """Module and name of a family, which is imported only when needed."""

    module: str
    """Module that defines the family."""
    name: str
    """Variable of the family in that module."""

    def family(self) -> Family[Any]:
        """Import the family."""
        return typing.cast(Family[Any], getattr(importlib.import_module(self.module), self.name))


FAMILIES: Mapping[str, Address] = MappingProxyType(
    {
        "task": Address("fedchain.learning.task", "tasks"),
        "model": Address("fedchain.learning.task", "models"),
        "loss": Address("fedchain.learning.task", "losses"),
        "split": Address("fedchain.learning.task", "splits"),
        "mechanism": Address("fedchain.privacy.mechanisms", "mechanisms"),
        "aggregation": Address("fedchain.aggregation", "aggregations"),
        "pre_aggregation": Address("fedchain.aggregation", "pre_aggregations"),
        "update": Address("fedchain.update", "updates"),
        "attack": Address("fedchain.attacks", "attacks"),
        "poison": Address("fedchain.attacks", "poisons"),
        "misconduct": Address("fedchain.nodes.compute.strategy", "strategies"),
        "network": Address("fedchain.network.topology", "topologies"),
        "latency": Address("fedchain.network.latencies", "latencies"),
        "work": Address("fedchain.ledger.chain.work", "works"),
        "engine": Address("fedchain.engines", "engines"),
    }
)
"""Address of each family, by ``Family.name``."""


def nested_family(annotation: object) -> Family[Any] | None:
    """Return the family in an annotation such as ``Annotated[Part, models]``, or None."""
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, Family | Address):
            return mark if isinstance(mark, Family) else mark.family()
    return None


def listed_family(annotation: object) -> Family[Any] | None:
    """Return the family in an annotation such as ``tuple[Annotated[Part, models], ...]``, or None.

    The value of such a parameter is a list of blocks.
    """
    entries = bare(annotation)
    listed = typing.get_origin(entries) is tuple
    return nested_family(next(iter(typing.get_args(entries)), None)) if listed else None


def examine_keys(
    maker: Callable[..., Any], given: Mapping[str, Any], where: Where, beside: Sequence[str] = ()
) -> tuple[dict[str, Any], list[Problem]]:
    """Check every key of a block against a part's parameters or a section's fields.

    ``given`` is the block without ``kind``. ``beside`` lists further keys that error messages name
    as allowed.

    Returns:
        The values of the valid keys, with defaults and checked nested blocks; and every problem.
    """
    expected, problems = parameters(maker), list[Problem]()
    checked: dict[str, Any] = {}
    blocks, lists = _blocks_and_lists(maker)
    for name in blocks:
        try:
            checked[name] = _check_block(expected[name], given, (*where, name))
        except ScenarioError as error:
            problems += error.problems
    values = {n: v if n in lists else as_tuples(v) for n, v in given.items() if n not in blocks}
    try:
        leaves = leaf_model(maker).model_validate(values)
    except ValidationError as error:
        found = problems_of(error, where, [*expected, *beside], values)
        wrong = {problem.where[len(where)] for problem in found}
        checked |= {n: v for n, v in values.items() if n in expected and n not in wrong}
        problems += found
    else:
        checked |= {name: getattr(leaves, name) for name in expected if name not in blocks}
    return {name: checked[name] for name in expected if name in checked}, problems


@functools.lru_cache(maxsize=1024)
def _blocks_and_lists(maker: Callable[..., Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of the parameters that are blocks, and of those that are plain lists."""
    annotations = {name: p.annotation for name, p in parameters(maker).items()}
    lists = {n for n, each in annotations.items() if typing.get_origin(bare(each)) is list}
    families = {n: nested_family(a) or listed_family(a) for n, a in annotations.items()}
    blocks = (n for n, each in annotations.items() if section_of(each) or families[n])
    return tuple(blocks), frozenset(lists)


def _check_block(parameter: inspect.Parameter, given: Mapping[str, Any], where: Where) -> Any:
    default = parameter.default
    if default is inspect.Parameter.empty and parameter.name not in given:
        raise ScenarioError([Problem(where, "is missing; it has no default")])
    listed = listed_family(parameter.annotation)
    if listed is not None:
        blocks = given.get(parameter.name, plain_value(default))
        return _check_list(parameter.annotation, blocks, listed, where)
    block = given.get(parameter.name, None if default is None else {})
    if block is None and default is None:
        return None
    if default is not inspect.Parameter.empty:
        block = overlay(plain_value(default), block)
    section, family = section_of(parameter.annotation), nested_family(parameter.annotation)
    if section is None and family is not None:
        return family.check(block, where)
    if section is None or not isinstance(block, Mapping):
        raise ScenarioError([Problem(where, f"must be a block of keys, got {show_value(block)}")])
    checked, problems = examine_keys(section, block, where)
    if problems:
        raise ScenarioError(problems)
    return section.model_construct(**checked)


def _check_list(
    annotation: object, blocks: object, family: Family[Any], where: Where
) -> tuple[Part, ...]:
    if not isinstance(blocks, list | tuple):
        raise ScenarioError([Problem(where, f"must be a list of blocks, got {show_value(blocks)}")])
    least, most = list_lengths(annotation)
    if not least <= len(blocks) <= most:
        words = f"must have {least} to {most} blocks, got {len(blocks)}"
        raise ScenarioError([Problem(where, words)])
    parts, problems = list[Part](), list[Problem]()
    for index, block in enumerate(blocks):
        try:
            parts.append(family.check(block, (*where, index)))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return tuple(parts)


@functools.lru_cache(maxsize=1024)
def leaf_model(maker: Callable[..., Any]) -> type[BaseModel]:
    """Return the pydantic model of all parameters whose values are neither parts nor sections."""
    fields: dict[str, Any] = {
        name: (p.annotation, ... if p.default is inspect.Parameter.empty else p.default)
        for name, p in parameters(maker).items()
        if name not in _blocks_and_lists(maker)[0]
    }
    return create_model(maker.__name__, __config__=STRICT, **fields)


def _user_part(kind: str, family: Family[Any]) -> Callable[..., Any]:
    """Import a user-defined part, and check that the simulator can call it."""
    maker = imported(kind, types.FunctionType, "Python function")
    untyped = [n for n, p in parameters(maker).items() if p.annotation is inspect.Parameter.empty]
    if untyped:
        raise ValueError(f"{kind!r} must give its parameter {untyped[0]} a type")
    given = len(simulator_values(maker))
    expected = {len(simulator_values(part)) for part in family.parts.values()}
    if expected and given not in expected:
        form = written_form(maker.__name__, next(iter(family.parts.values())), family.makes)
        takes = f"takes {given} values from the simulator ({', '.join(simulator_values(maker))})"
        raise ValueError(f"{kind!r} {takes}; a part of this family is written {form}")
    return maker
