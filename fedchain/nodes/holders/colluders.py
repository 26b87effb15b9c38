"""Colluders: it tells which data holders attack in which rounds, and poisons their records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from fedchain.attacks import attacks, poisons
from fedchain.attacks.poisoning import POISON_METRICS
from fedchain.learning.task import ExtraMetric, Records, Task
from fedchain.randomness import digest, stream
from fedchain.registry import Part, nested_family, parameters, plain_value
from fedchain.scenario import HolderAttack, Scenario, attackers_of


class Colluders:
    """Tells which holders attack in which rounds. Holders of one attack act together."""

    def __init__(self, scenario: Scenario) -> None:
        """Draw the attacking holders, if the scenario gives only their number."""
        entries, self._holders = dict(enumerate(scenario.attacks)), scenario.nodes.holders
        self.attacks = {i: a for i, a in entries.items() if isinstance(a, HolderAttack)}
        """The attacks of holders, by index in the scenario's ``attacks``."""
        self._of: dict[int, list[int]] = {}
        for index, holders in attackers_of(entries, self._holders, scenario.seed).items():
            for holder in holders:
                self._of.setdefault(holder, []).append(index)
        self._poisonous = {i for i, attack in self.attacks.items() if poison_of(attack.part)}

    def attack_of(self, holder: int, round_: int) -> int | None:
        """Return the index of the attack that a holder takes part in; None if there is none."""
        active = (i for i in self._of.get(holder, ()) if self.attacks[i].active(round_))
        return next(active, None)

    def attacks_of(self, holders: Iterable[int], round_: int) -> set[int]:
        """Return the indices of the attacks that some of these holders take part in."""
        found = {self.attack_of(holder, round_) for holder in holders}
        return {index for index in found if index is not None}

    def names_of(self, holder: int, round_: int) -> int:
        """Return the number of names that a holder uses in a round; 1 for an honest holder."""
        index = self.attack_of(holder, round_)
        return 1 if index is None else self.attacks[index].names

    def label(self, indices: Iterable[int]) -> str:
        """Return the kinds of some attacks, joined by commas."""
        return ", ".join(sorted({self.attacks[index].part.kind for index in indices}))

    def records_of(self, holder: int, round_: int) -> int:
        """Return the index of the records from which a holder learns, in a ``poisoned_task``."""
        index = self.attack_of(holder, round_)
        return holder if index not in self._poisonous else self._holders * (1 + index) + holder

    def secret_of(self, root: bytes, holders: Iterable[int], round_: int) -> bytes:
        """Return the secret root, 32 bytes, for a message of these holders.

        If a holder learns from poisoned records or attacks in a group, the root also depends on the
        attacks of the scenario. Otherwise the result is the run's root.
        """
        # Two runs, one with the attack and one without, must not have the same noise: the
        # difference of their messages would bare the poison or one member's part of a group's sum.
        members = tuple(holders)
        found = self.attacks_of(members, round_)
        if not (found if len(members) > 1 else found & self._poisonous):
            return root
        entries = [plain_value(attack) for attack in self.attacks.values()]
        return digest(root, "attacked", repr(entries), repr(sorted(self._of.items())))

    def see_others(self, round_: int) -> bool:
        """Return whether any attack sees honest messages in a round."""
        seeing = (each for each in self.attacks.values() if each.knowledge != "own")
        return any(each.active(round_) for each in seeing)


def colluders_in(scenario: Scenario) -> Colluders | None:
    """Return the colluders of a scenario; None if all holders are honest."""
    attacking = any(isinstance(each, HolderAttack) for each in scenario.attacks)
    return Colluders(scenario) if attacking else None


def poison_of(part: Part) -> Part | None:
    """Return the poison among an attack's parameters; None if there is no poison."""
    named = parameters(attacks.find(part.kind)).items()
    names = (name for name, each in named if nested_family(each.annotation) is poisons)
    return next((part.parameters[name] for name in names), None)


def poisoned_task(task: Task, scenario: Scenario) -> Task:
    """Return a task that also has the poisoned records of attackers.

    The records of holder k stay at index k. In a scenario with n holders, the poisoned records of
    holder k in attack i have the index n (1 + i) + k.
    """
    poison = poisons_in(scenario)
    if not poison or not task.learns:
        return task
    return replace(task, holders=_Twins(task, scenario, poison))


def with_poison_metrics(task: Task, scenario: Scenario) -> Task:
    """Return a task with the metrics of the scenario's poisons, such as ``backdoor``.

    If several attacks have the same kind of poison, the later ones get the attack's index in the
    scenario's ``attacks`` after their names: ``backdoor_1``.
    """
    found: dict[str, ExtraMetric] = {}
    for index, poison in poisons_in(scenario).items():
        if poison.kind in POISON_METRICS and task.learns:
            name = f"{poison.kind}_{index}" if poison.kind in found else poison.kind
            raw = raw_of(task.held_out)
            metric = POISON_METRICS[poison.kind](raw, classes_of(task), poison)
            found[name] = replace(metric, inputs=task.see(metric.inputs)) if task.see else metric
    return replace(task, extra_metrics={**task.extra_metrics, **found}) if found else task


def poisons_in(scenario: Scenario) -> dict[int, Part]:
    """Return the poison of each attack that has one, by index in the scenario's ``attacks``."""
    parts = {i: a.part for i, a in enumerate(scenario.attacks) if isinstance(a, HolderAttack)}
    return {index: made for index, part in parts.items() if (made := poison_of(part))}


def classes_of(task: Task) -> int:
    """Return the number of classes of a task, 2 for masks."""
    targets = task.held_out.targets
    return int(targets.max()) + 1 if targets.dtype.kind in "iu" else 2


def raw_of(records: Records) -> Records:
    """Return records with their raw inputs, into which a poison puts its trigger."""
    return records if records.raw is None else replace(records, inputs=records.raw, raw=None)


class _Twins(Sequence[Records]):
    """The records of holders, and the poisoned records of attackers at further indices."""

    def __init__(self, task: Task, scenario: Scenario, poison: Mapping[int, Part]) -> None:
        self._own, self._see, self._poison = task.holders, task.see, poison
        self._classes = classes_of(task)
        self._seed, self._holders = scenario.seed, scenario.nodes.holders

    def __len__(self) -> int:
        return len(self._own)

    def __iter__(self) -> Iterator[Records]:
        return iter(self._own)

    def __getitem__(self, number: int) -> Records:  # type: ignore[override]
        index, holder = divmod(number, self._holders)
        if index == 0:
            return self._own[holder]
        generator = stream(self._seed, "poison", holder)
        own = raw_of(self._own[holder])
        made = poisons.build(self._poison[index - 1], own, self._classes, generator)
        return replace(made, inputs=self._see(made.inputs)) if self._see else made
