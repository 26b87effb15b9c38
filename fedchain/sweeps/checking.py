"""Checking: what can be checked of a scenario and its sweep before the first run."""

from __future__ import annotations

from fedchain.errors import FedchainError, Problem, ScenarioError
from fedchain.learning.task import OWN_DATA, TASK_SHAPES, tasks
from fedchain.nodes.holders.colluders import with_poison_metrics
from fedchain.registry import suggest
from fedchain.reuse import once
from fedchain.scenario import Scenario
from fedchain.scenario.own import own_parts
from fedchain.sweeps.points import points_of


def check_parts(scenario: Scenario) -> None:
    """Try the user's own parts and data of a scenario and of the points of its sweep.

    Nothing is tried if there are none: a check of a file must be quick.

    Raises:
        ScenarioError, DataError, MissingExtra, PartError: as when the run would begin.
    """
    check_y(scenario)
    points = [] if scenario.sweep is None else [each.scenario for each in points_of(scenario, 1)]
    tried = set[str]()
    for each in (scenario, *points):
        own = repr([(part.where, part.part) for part in own_parts(each)])
        if own in tried or not (own_parts(each) or _reads_files(each)):
            continue
        tried.add(own)
        from fedchain.runs.preparation import check_run  # imports torch

        check_run(each)


def _reads_files(scenario: Scenario) -> bool:
    return any(part.kind in OWN_DATA for part in scenario.task.nested())


def check_y(scenario: Scenario) -> None:
    """Check that the runs of a sweep measure ``sweep.y``.

    Nothing is checked if the grid varies the task: not every point need have the metric. If the
    task cannot be made, its runs say so.

    Raises:
        ScenarioError: there is no such metric; the error lists those that there are.

    >>> import fedchain
    >>> grid = {"grid": {"privacy.epsilon": [1.0, 8.0]}, "y": "acuracy"}
    >>> try:
    ...     check_y(fedchain.load("breast_cancer", set={"sweep": grid}))
    ... except ScenarioError as error:
    ...     print(error.problems[0].text)
    no metric 'acuracy'; did you mean accuracy? allowed: accuracy, loss
    """
    sweep = scenario.sweep
    if sweep is None or sweep.y is None or sweep.y in _known_without_data(scenario):
        return
    if any(key.partition(".")[0] == "task" for key in sweep.grid):
        return
    recipe = scenario.task, scenario.nodes.holders, scenario.seed
    try:
        task = once("task", recipe, lambda: tasks.build(*recipe))
        from fedchain.learning.examination import metrics_of  # imports torch

        names = metrics_of(with_poison_metrics(task, scenario)) if task.learns else {}
    except (FedchainError, ValueError, ArithmeticError):
        return
    if names and sweep.y not in names:
        problem = Problem(("sweep", "y"), f"no metric {sweep.y!r}; {suggest(sweep.y, names)}")
        source = scenario._sources.layers.get(problem.where)
        text = f"{problem.key}: {problem.text}"
        raise ScenarioError([problem], f"{source}: {text}" if source else text)


def _known_without_data(scenario: Scenario) -> tuple[str, ...]:
    """Return metrics that the task surely has."""
    tasks.names()  # registers the shapes
    kind = scenario.task.kind
    if kind not in TASK_SHAPES:
        return ()
    return "loss", TASK_SHAPES[kind](scenario.task.parameters).score
