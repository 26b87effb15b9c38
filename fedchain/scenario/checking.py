"""Checks of a scenario: a tree becomes a Scenario, or every problem is reported with its place."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from fedchain.errors import Problem, ScenarioError
from fedchain.registry import (
    Family,
    Part,
    Where,
    bounded,
    examine_keys,
    nested_family,
    parameters,
    suggest,
    within,
)
from fedchain.scenario.attacking import Misbehaving, attack_problems, check_attacks, family_of
from fedchain.scenario.group_problems import group_problems
from fedchain.scenario.overriding import parse_path, put_all
from fedchain.scenario.sections import (
    MAX_ASKED,
    MAX_HOLDERS,
    Disk,
    Gossip,
    Nodes,
    Scenario,
    Sources,
    Sweep,
)
from fedchain.scenario.tree import Located, Node, leaves, locate

MAX_POINTS = 2000
"""Most points of a grid; more are taken for a mistake."""
NO_TASK = "none"
"""The task without learning."""
CHAIN_ALONE = {"privacy": {"kind": "none"}, "aggregation": {"kind": "mean"}}
"""Sections that may be left out if nothing is learned, and their values then."""
NOISE = ("epsilon", "noise_multiplier")
"""Parameters of a mechanism that each fix the noise; exactly one of them must be given."""


def check(root: Node, noted: Iterable[Located] = ()) -> Scenario:
    """Check a tree and return it as a Scenario.

    Args:
        root: the merged tree of all layers.
        noted: problems that were found while the tree was read.

    Raises:
        ScenarioError: something is wrong; the error has every problem, each with its place.
    """
    scenario, problems = check_point(root)
    located = [*noted, *(locate(root, problem) for problem in problems)]
    if scenario is not None and scenario.sweep is not None:
        located += _sweep_problems(root, scenario.sweep)
    located.sort(key=lambda found: (found.mark.source, found.mark.line, found.mark.column))
    if located or scenario is None:
        unique = {found.render(): found.problem for found in located}
        raise ScenarioError(list(unique.values()), "\n".join(unique))
    scenario._sources = Sources({where: node.mark.layer for where, node in leaves(root)})
    return scenario


def check_point(root: Node) -> tuple[Scenario | None, list[Problem]]:
    """Check one scenario without the points of its sweep."""
    if root.value is None or root.value == {}:
        return None, [Problem((), f"is empty; write at least:\n{_least()}")]
    if not isinstance(root.value, Mapping):
        return None, [Problem((), f"must be a block of keys; write at least:\n{_least()}")]
    given = root.plain()
    if _learns_nothing(given):
        given = {**CHAIN_ALONE, **given}
    attacks, problems = check_attacks(given.pop("attacks", ()))
    values, found = examine_keys(Scenario, given, ())
    problems = [*map(_explained, found), *problems]
    problems += [*_cohort_problems(values.get("nodes")), *_bounds(values, attacks)]
    problems += _disk_problems(values.get("disk"))
    problems += [*_asked_problems(values), *_partition_problems(values.get("gossip"))]
    problems += [*attack_problems(values, attacks), *group_problems(values, attacks)]
    values |= {"attacks": tuple(attacks.values())}
    return (None if problems else Scenario.model_construct(**values)), problems


def _learns_nothing(given: Mapping[str, Any]) -> bool:
    task = given.get("task")
    return isinstance(task, Mapping) and task.get("kind") == NO_TASK


def _least() -> str:
    lines = [f"  {name}: {example}" for name, example in _examples().items()]
    return "\n".join(lines)


def _examples() -> dict[str, Any]:
    fields = Scenario.model_fields.items()
    return {name: field.examples[0] for name, field in fields if field.examples}


def _explained(problem: Problem) -> Problem:
    """Add to a problem what to write for a missing section, or what a name may be."""
    if problem.text.startswith("is missing") and len(problem.where) == 1:
        name = str(problem.where[0])
        return replace(problem, text=f"is missing; write for example {name}: {_examples()[name]}")
    if problem.where == ("name",) and "pattern" in problem.text:
        got = problem.text.rpartition(", got ")[2]
        text = f"must be letters, digits, dash, underscore or dot, at most 64, got {got}"
        return replace(problem, text=text)
    return problem


def _parts(
    values: Mapping[str, Any], attacks: Mapping[int, Misbehaving]
) -> Iterator[tuple[Where, Part, Family[Any]]]:
    """Yield every part that passed its own checks, and the parts inside it."""
    for name, field in parameters(Scenario).items():
        family = nested_family(field.annotation)
        if family is not None and name in values:
            yield from within(values[name], family, (name,))
    for index, attack in attacks.items():
        yield from within(attack.part, family_of(type(attack)), ("attacks", index))


def _asked_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Check that there are data holders if something is learned, and none if not."""
    task, nodes = values.get("task"), values.get("nodes")
    if task is None or nodes is None:
        return
    if task.kind == NO_TASK and nodes.holders:
        words = f"must be left out or 0: task {NO_TASK} asks nobody, got {nodes.holders}"
        yield Problem(("nodes", "holders"), words)
    if task.kind != NO_TASK and not nodes.holders:
        words = f"must be between 1 and {MAX_HOLDERS} (only task {NO_TASK} has no data holders)"
        yield Problem(("nodes", "holders"), f"{words}, got {nodes.holders}")


def _disk_problems(disk: Disk | None) -> Iterator[Problem]:
    if disk and disk.keep_messages != "all" and disk.keep_weights == "last":
        words = "must be all or a number where keep_messages is a number: with neither directions"
        yield Problem(("disk", "keep_weights"), f"{words} nor weights no step can be done again")


def _partition_problems(gossip: Gossip | None) -> Iterator[Problem]:
    for number, cut in enumerate(gossip.partitions if gossip else ()):
        if cut.to_s <= cut.from_s:
            words = f"must be above from_s ({cut.from_s:g}), got {cut.to_s:g}"
            yield Problem(("gossip", "partitions", number, "to_s"), words)


def _cohort_problems(nodes: Nodes | None) -> Iterator[Problem]:
    if nodes is None:
        return
    if nodes.cohort is None and nodes.participants > MAX_ASKED:
        words = f"must be between 1 and {MAX_ASKED} (all are asked in every round; nodes.cohort"
        yield Problem(("nodes", "holders"), f"{words} asks fewer), got {nodes.holders}")
    if nodes.cohort is not None and nodes.cohort > nodes.participants:
        words = f"must be between 1 and {nodes.participants} (the number of {nodes.participant}s)"
        yield Problem(("nodes", "cohort"), f"{words}, got {nodes.cohort}")


def _bounds(values: Mapping[str, Any], attacks: Mapping[int, Misbehaving]) -> Iterator[Problem]:
    for where, part, family in _parts(values, attacks):
        for bound in bounded(part, family, where):
            limit = functools.reduce(_inside, bound.mark.key.split("."), values)
            problem = None if limit is None else bound.problem(cast(float, limit))
            if problem is not None:
                yield problem
        if family.name == "latency":
            yield from _law_problems(part, family, where)
    yield from _update_problems(values)
    privacy = values.get("privacy")
    given = [privacy.parameters.get(name) for name in NOISE] if privacy is not None else []
    if privacy is not None and set(NOISE) <= set(privacy.parameters) and given.count(None) != 1:
        words = f"needs epsilon or noise_multiplier, got {given[0]} and {given[1]}"
        yield Problem(("privacy",), f"{words}; exactly one of the two is allowed")


def _law_problems(part: Part, family: Family[Any], where: Where) -> Iterator[Problem]:
    """Check how the parameters of a latency fit together: its function does, when it is built."""
    try:
        family.build(part)
    except ValueError as error:
        yield Problem(where, str(error).removeprefix(f"{Problem(where, '').key}."))


def _update_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Check that no update wraps another of its own kind: both would use one name in memory."""
    stands: list[tuple[Where, str]] = []
    for where, part, family in _parts(values, {}):
        if family.name != "update":
            continue
        around = {kind for place, kind in stands if where[: len(place)] == place}
        if part.kind in around:
            words = f"must not be {part.kind} again, which stands around it; each kind only once"
            yield Problem((*where, "kind"), words)
        stands.append((where, part.kind))


def _inside(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def _sweep_problems(root: Node, sweep: Sweep) -> list[Located]:
    """Check every point of the grid as a scenario of its own."""
    if sweep.x is not None and sweep.x not in sweep.grid:
        words = f"no such path in the grid; {suggest(sweep.x, sweep.grid)}"
        return [locate(root, Problem(("sweep", "x"), words))]
    points = math.prod(len(values) for values in sweep.grid.values())
    if points > MAX_POINTS:
        words = f"{points} points; at most {MAX_POINTS} are allowed"
        return [locate(root, Problem(("sweep", "grid"), words))]
    return list(_point_problems(root, sweep))


def _point_problems(root: Node, sweep: Sweep) -> Iterator[Located]:
    assert isinstance(root.value, Mapping)
    base = replace(root, value={k: v for k, v in root.value.items() if k != "sweep"})
    grid = root.value["sweep"].get("grid")
    assert grid is not None
    axes = []
    for path, values in sweep.grid.items():
        listed = grid.get(path)
        assert listed is not None
        steps = parse_path(path)
        nodes = [replace(n, key=listed.key) for i in range(len(values)) if (n := listed.get(i))]
        axes.append([(path, (steps, node)) for node in nodes])
    for point in itertools.product(*axes):
        try:
            tree = put_all(base, dict(point))
        except ScenarioError as error:
            key = ("sweep", "grid", point[0][0])
            yield locate(root, Problem(key, error.problems[0].text))
            continue
        _, problems = check_point(tree)
        for problem in problems:
            yield locate(tree, problem)
