"""Checking: turns the tree of a scenario file into a Scenario, or reports every problem."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fedchain.errors import Problem, ScenarioError
from fedchain.registry import (
    FAMILIES,
    Family,
    Part,
    Where,
    bound_problems,
    examine_keys,
    nested_family,
    parameters,
    show_value,
    simulator_values,
    suggest,
    within,
)
from fedchain.scenario.attackers import Misbehaving
from fedchain.scenario.attacking import attack_problems, check_attacks, family_of
from fedchain.scenario.groups import MAX_MEMBERS
from fedchain.scenario.nodes import MAX_ASKED, MAX_HOLDERS, Nodes
from fedchain.scenario.overriding import parse_path, put_all
from fedchain.scenario.root import root_problems
from fedchain.scenario.sections import Disk, Gossip, Scenario, Sources, Sweep
from fedchain.scenario.tree import Located, Node, leaves, locate

MAX_POINTS = 2000
"""Maximum number of points in a sweep's grid."""
NO_TASK = "none"
"""Kind of the task without learning, in which only the chain runs."""
GRID_ALONE = "only points of the sweep are wrong; fedchain run --set sweep=null leaves them out"
"""Last line of an error about a scenario that is right but for its sweep."""
CHAIN_ALONE = {"privacy": {"kind": "none"}, "aggregation": {"kind": "mean"}}
"""Default values of sections that only a scenario without learning may leave out."""
WEIGHTS = ("aggregation", "weights")
"""Path of the aggregation rule's weights."""
NOISE = ("epsilon", "noise_multiplier")
"""Parameters of a mechanism that fix the noise; exactly one of them must be given."""


def check_scenario(root: Node, noted: Iterable[Located] = ()) -> Scenario:
    """Check a scenario's merged tree, and return the Scenario.

    Args:
        root: the tree, merged from all files and overrides.
        noted: problems that were found earlier, while the files were read.

    Raises:
        ScenarioError: something is wrong; the error lists every problem with its place.
    """
    scenario, problems = check_point(root)
    located = [*noted, *(locate(root, problem) for problem in problems)]
    if scenario is not None and scenario.sweep is not None:
        located += _sweep_problems(root, scenario.sweep)
    located.sort(key=lambda found: (found.mark.source, found.mark.line, found.mark.column))
    if located or scenario is None:
        unique = {found.render(): found.problem for found in located}
        asked = any(found.mark.source == "--set sweep" for found in located)
        alone = [] if scenario is None or noted or asked else [GRID_ALONE]
        raise ScenarioError(list(unique.values()), "\n".join([*unique, *alone]))
    scenario._sources = Sources({where: node.mark.layer for where, node in leaves(root)})
    return scenario


def check_point(root: Node) -> tuple[Scenario | None, list[Problem]]:
    """Check a scenario, but not the points of its sweep.

    Returns:
        The scenario, or None if there are problems; and the problems.
    """
    if not root.value or not isinstance(root.value, Mapping):
        words = "is empty" if root.value in (None, {}) else "must be a block of keys"
        least = (f"  {name}: {example}" for name, example in _examples().items())
        return None, [Problem((), "\n".join([f"{words}; write at least:", *least]))]
    given = root.plain()
    if isinstance(given.get("task"), Mapping) and given["task"].get("kind") == NO_TASK:
        given = {**CHAIN_ALONE, **given}
    attacks, problems = check_attacks(given.pop("attacks", ()))
    values, found = examine_keys(Scenario, given, ())
    problems = [*map(_explained, found), *problems]
    problems += _node_problems(values.get("nodes"), values.get("task"))
    problems += _section_problems(values.get("disk"), values.get("gossip"))
    problems += [*_bounds(values, attacks), *_weight_problems(values), *root_problems(values)]
    problems += [*attack_problems(values, attacks), *_group_problems(values, attacks)]
    values |= {"attacks": tuple(attacks.values())}
    return (None if problems else Scenario.model_construct(**values)), problems


def _examples() -> dict[str, Any]:
    fields = Scenario.model_fields.items()
    return {name: field.examples[0] for name, field in fields if field.examples}


def _explained(problem: Problem) -> Problem:
    """Add a hint to a problem: an example of a missing section, or the allowed form of a value."""
    if problem.text.startswith("is missing") and len(problem.where) == 1:
        name = str(problem.where[0])
        return replace(problem, text=f"is missing; write for example {name}: {_examples()[name]}")
    if problem.where == WEIGHTS and problem.text.startswith("no such key"):
        rules = FAMILIES["aggregation"].family()
        able = [kind for kind in rules.names() if "weights" in parameters(rules.find(kind))]
        text = f"no such key: only {' and '.join(able)} weight holders; other rules count all alike"
        return replace(problem, text=text)
    if problem.where == ("name",) and "pattern" in problem.text:
        got = problem.text.rpartition(", got ")[2]
        text = f"must be letters, digits, dash, underscore or dot, at most 64, got {got}"
        return replace(problem, text=text)
    return problem


def _parts(
    values: Mapping[str, Any], attacks: Mapping[int, Misbehaving]
) -> Iterator[tuple[Where, Part, Family[Any]]]:
    """Yield the place, the part and its family, for every part that passed its own checks."""
    for name, field in parameters(Scenario).items():
        family = nested_family(field.annotation)
        if family is not None and name in values:
            yield from within(values[name], family, (name,))
    for index, attack in attacks.items():
        yield from within(attack.part, family_of(type(attack)), ("attacks", index))


def _node_problems(nodes: Nodes | None, task: Part | None) -> Iterator[Problem]:
    """Check the number of holders against the task, and the number that a round asks."""
    if nodes is None:
        return
    holders, got = ("nodes", "holders"), f"got {nodes.holders}"
    if task is not None and task.kind == NO_TASK and nodes.holders:
        yield Problem(holders, f"must be left out or 0: task {NO_TASK} asks nobody, {got}")
    if task is not None and task.kind != NO_TASK and not nodes.holders:
        words = f"must be between 1 and {MAX_HOLDERS} (only task {NO_TASK} has no data holders)"
        yield Problem(holders, f"{words}, {got}")
    if nodes.cohort is None and nodes.participants > MAX_ASKED:
        words = f"must be between 1 and {MAX_ASKED} (all are asked in every round; nodes.cohort"
        yield Problem(holders, f"{words} asks fewer), {got}")
    if nodes.cohort is not None and nodes.cohort > nodes.participants:
        words = f"must be between 1 and {nodes.participants} (the number of {nodes.participant}s)"
        yield Problem(("nodes", "cohort"), f"{words}, got {nodes.cohort}")
    yield from _momentum_problems(nodes)


def _momentum_problems(nodes: Nodes) -> Iterator[Problem]:
    """Check the parameters of the momentum, and that every round asks every participant."""
    momentum, where = nodes.momentum, ("nodes", "momentum")
    if momentum is None:
        return
    if momentum.kind == "ema" and momentum.beta is None:
        words = "is missing; ema needs it: the share of the last mean that stays, such as 0.9"
        yield Problem((*where, "beta"), words)
    if momentum.kind == "mean" and momentum.beta is not None:
        words = "must be left out where kind is mean, which weighs all releases alike"
        yield Problem((*where, "beta"), f"{words}, got {momentum.beta:g}")
    if nodes.asked < nodes.participants:
        whose, few = f"{nodes.participant}s", f"{nodes.asked} of {nodes.participants}"
        words = f"must be null where a round asks only some {whose} (nodes.cohort: {few}): the last"
        text = f"{words} message of most would be many rounds old, and its gradient out of date"
        yield Problem(where, f"{text}, got {momentum.kind}")


def _section_problems(disk: Disk | None, gossip: Gossip | None) -> Iterator[Problem]:
    """Check values whose bounds depend on other values of the same section."""
    if disk and disk.keep_messages != "all" and disk.keep_weights == "last":
        words = "must be all or a number where keep_messages is a number: with neither directions"
        yield Problem(("disk", "keep_weights"), f"{words} nor weights no step can be done again")
    for number, cut in enumerate(gossip.partitions if gossip else ()):
        if cut.to_s <= cut.from_s:
            words = f"must be above from_s ({cut.from_s:g}), got {cut.to_s:g}"
            yield Problem(("gossip", "partitions", number, "to_s"), words)


def _bounds(values: Mapping[str, Any], attacks: Mapping[int, Misbehaving]) -> Iterator[Problem]:
    for where, part, family in _parts(values, attacks):
        yield from bound_problems(part, family, values, where)
        if family.misfits is not None:
            yield from (Problem((*where, *p.where), p.text) for p in family.misfits(part))
        if family.name == "latency":  # its function checks how its parameters fit together
            try:
                family.build(part)
            except ValueError as error:
                yield Problem(where, str(error).removeprefix(f"{Problem(where, '').key}."))
    yield from _update_problems(values)
    privacy = values.get("privacy")
    given = [privacy.parameters.get(name) for name in NOISE] if privacy is not None else []
    if privacy is not None and set(NOISE) <= set(privacy.parameters) and given.count(None) != 1:
        words = f"needs epsilon or noise_multiplier, got {given[0]} and {given[1]}"
        text = f"{words}; exactly one of the two is allowed: set the other one to null"
        yield Problem(("privacy",), text)


def _weight_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Check that open identities are not weighted by their numbers of records."""
    rule, nodes = values.get("aggregation"), values.get("nodes")
    weights = rule.parameters.get("weights") if rule is not None else None
    by_records = weights == "records" or isinstance(weights, Mapping)
    if nodes is not None and nodes.identity == "open" and by_records:
        words = "must be equal where identities are open: nobody vouches for a number of records"
        yield Problem(WEIGHTS, f"{words}, got {show_value(weights)}")


def _update_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Check that no update is nested in an update of the same kind."""
    # Nested updates of one kind would store their state under the same name.
    stands: list[tuple[Where, str]] = []
    for where, part, family in _parts(values, {}):
        if family.name != "update":
            continue
        around = {kind for place, kind in stands if where[: len(place)] == place}
        if part.kind in around:
            words = f"must not be {part.kind} again, which stands around it; each kind only once"
            yield Problem((*where, "kind"), words)
        stands.append((where, part.kind))


def _group_problems(
    values: Mapping[str, Any], attacks: Mapping[int, Misbehaving]
) -> Iterator[Problem]:
    """Check that holders can form the groups, and that every revealed sum contains noise."""
    nodes: Nodes | None = values.get("nodes")
    groups = nodes.groups if nodes is not None else None
    if nodes is None or groups is None:
        return
    where = ("nodes", "groups")
    if nodes.holders % groups.size:
        sizes = [n for n in range(2, min(nodes.holders, MAX_MEMBERS) + 1) if nodes.holders % n == 0]
        words = f"must divide the number of holders ({nodes.holders})"
        allowed = f"{', '.join(map(str, sizes))} would" if sizes else "no size does"
        yield Problem((*where, "size"), f"{words}, got {groups.size}; {allowed}")
    if groups.counted_on < 1:
        words = f"{groups.honest_members} of {groups.size} members, {groups.dropouts} of whom may"
        least = (groups.dropouts + 1) / groups.size
        text = f"{words} be lost, leave no noise in a sum; at least {least:.4g} is allowed"
        yield Problem((*where, "honest"), text)
    privacy = values.get("privacy")
    if privacy is not None and not _makes_shares(privacy.kind):
        able = " or ".join(filter(_makes_shares, FAMILIES["mechanism"].family().names()))
        words = f"must be {able} where holders form groups (whole numbers, whose sums have the"
        text = f"{words} same law; epsilon .inf for none), got {privacy.kind}"
        yield Problem(("privacy", "kind"), text)
    for index, attack in attacks.items():
        names = getattr(attack, "names", 1)
        if names > 1:
            words = "must be 1 where holders form groups: a member speaks through its group"
            yield Problem(("attacks", index, "names"), f"{words}, got {names}")


def _makes_shares(mechanism: str) -> bool:
    """Return whether the mechanism can split its noise among the members of a group."""
    return "shares" in simulator_values(FAMILIES["mechanism"].family().find(mechanism))


def _sweep_problems(root: Node, sweep: Sweep) -> list[Located]:
    """Return the problems of a sweep's grid; if it has none, those of each point as a scenario."""
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
