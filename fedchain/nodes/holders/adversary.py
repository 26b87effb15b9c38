"""Adversary: it decides what attacking data holders send in a round."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from fedchain.aggregation import Received, aggregations
from fedchain.aggregation.directions import Directions
from fedchain.arrays import Integers, Matrix, Vector
from fedchain.attacks import Rows, View, attacks
from fedchain.errors import PartError
from fedchain.ledger.chain.codec import Storage
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.message import Message, sign_message
from fedchain.ledger.chain.state import State
from fedchain.nodes.holders.colluders import Colluders, colluders_in
from fedchain.nodes.holders.release import Answer, Withheld, forms_of
from fedchain.nodes.holders.sent import Quantised, quantised_messages, quantised_rows, root_in
from fedchain.randomness import digest, stream
from fedchain.scenario import Scenario
from fedchain.transforms import lengths
from fedchain.transition import split_memory

APART = 6
"""Colluders with equal directions make them different in every sixth entry only. The copies under a
holder's made-up names differ only in the other entries."""


@dataclass
class Wire:
    """The honest messages that were sent at one block."""

    round: int
    """Height of the block that may carry the messages."""
    sent: dict[int, None] = field(default_factory=dict)
    """Ids of the honest participants that have sent their messages, in the order of sending."""
    heard: dict[int, int] = field(default_factory=dict)
    """Number of honest messages that were sent before an attack's first holder had to send, by
    index of the attack."""


class Adversary:
    """Decides what colluding data holders send. A resumed run repeats the same decisions."""

    def __init__(self, scenario: Scenario, keep: int) -> None:
        """Begin with nothing sent. Forks are at most ``keep`` blocks deep."""
        self.colluders = Colluders(scenario)
        """Which holders attack in which rounds."""
        self._seed, self._storage, self._keep = scenario.seed, scenario.ledger.storage, keep
        self._grouped = scenario.nodes.groups is not None
        self._holders = scenario.nodes.asked * len(scenario.nodes.members_of(0))
        self._aggregate = aggregations.bind(scenario.aggregation)
        self._wires: dict[bytes, Wire] = {}

    def listen(self, holders: Iterable[int], parent: bytes, round_: int) -> set[int]:
        """Return the indices of these holders' attacks.

        An attack with the knowledge ``heard`` sees only the messages that were sent at the block
        before the first call for the attack.

        Args:
            holders: ids of the holders that now have to send.
            parent: hash of the block at which they release.
            round_: height of the block that may carry their messages.
        """
        indices = self.colluders.attacks_of(holders, round_)
        for index in indices:
            wire = self._wire(parent, round_)
            wire.heard.setdefault(index, len(wire.sent))
        return indices

    def hear(self, participant: int, parent: bytes, round_: int) -> None:
        """Record that an honest participant sends its message at a block."""
        if self.colluders.see_others(round_):
            self._wire(parent, round_).sent[participant] = None

    def _wire(self, parent: bytes, round_: int) -> Wire:
        wire = self._wires.setdefault(parent, Wire(round_))
        while self._wires[first := next(iter(self._wires))].round < round_ - self._keep:
            del self._wires[first]
        return wire

    def decide(
        self,
        participant: int,
        cohort: Mapping[int, Answer],
        *,
        parent: bytes,
        state: State,
        previous: Callable[[], Sequence[Message]],
    ) -> dict[int, Withheld]:
        """Return what colluders send, by participant id.

        Args:
            participant: id of an attacking holder, or of a group with attacking members. The
                decision also covers the other participants in the same attacks.
            cohort: the message or withheld release of each participant, by participant id.
            parent: hash of the block at which the participants release.
            state: the state after the block.
            previous: returns the messages in the block.

        Raises:
            PartError: an attack makes a holder send numbers that are not finite.
        """
        withheld = {k: each for k, each in sorted(cohort.items()) if isinstance(each, Withheld)}
        clean = {k: row for each in withheld.values() for k, row in each.clean.items()}
        rows: dict[int, Vector] = {}
        nudges: dict[int, int] = {}
        round_ = self._wires[parent].round
        for index in sorted(self.colluders.attacks_of(withheld[participant].rows, round_)):
            every = (pair for each in withheld.values() for pair in each.rows.items())
            own = {k: row for k, row in every if self.colluders.attack_of(k, round_) == index}
            honest = self._seen(index, cohort, self._wires[parent])
            rule = functools.partial(self.rule_at, state, quantised_messages(root_in(cohort)))
            releases = np.stack(list(own.values()))
            view = View(
                round=round_,
                state=state,
                own=releases,
                clean=np.stack([clean[k] for k in own]).astype(np.float64),
                honest=vectors_of(honest, len(state.weights)),
                holders=self._holders,
                rule=rule(),
                response=rule(functools.partial(self._known, honest, releases)),
                previous=lambda: vectors_of(_of_holders(previous()), len(state.weights)),
                generators=tuple(stream(self._seed, "attack", k, round_) for k in own),
            )
            with np.errstate(over="ignore", invalid="ignore"):
                part = self.colluders.attacks[index].part
                made = cast(Rows, attacks.build(part, view).astype(view.own.dtype))
            check_finite(made, view, part.kind, list(own), grouped=self._grouped)
            rows |= zip(own, made, strict=True)
            nudges |= zip(own, repeats(made, self._storage, honest), strict=True)
        return {
            k: replace(
                each,
                rows={holder: rows[holder] for holder in each.rows},
                clean={},
                nudge=nudges[k] if each.rest is None else 0,
            )
            for k, each in withheld.items()
            if each.rows.keys() <= rows.keys()
        }

    def _seen(self, index: int, cohort: Mapping[int, Answer], wire: Wire) -> list[Message]:
        """Return the honest holders' messages that an attack knows."""
        match self.colluders.attacks[index].knowledge:
            case "omniscient":
                known = sorted(cohort)
            case "heard":
                known = list(wire.sent)[: wire.heard[index]]
            case _:
                known = []
        sent = (cohort[k] for k in known)
        return _of_holders([each for each in sent if isinstance(each, Message)])

    def _known(self, honest: Sequence[Message], releases: Rows) -> Quantised:
        """Return what the adversary takes for the honest messages; see ``View.known``."""
        return quantised_messages(honest) if honest else quantised_rows(releases, self._storage)

    def rule_at(
        self,
        state: State,
        root: Quantised | None = None,
        beside: Callable[[], Quantised] | None = None,
    ) -> Callable[[Rows], Vector]:
        """Return a function that aggregates vectors, shape (messages, dimension), at a state.

        The function assumes equal numbers of records, and leaves out vectors that are not finite.

        Args:
            state: the state after the parent block.
            root: the message of the public root, which everybody can compute; it is always
                aggregated with the vectors. None or empty: there is no public root.
            beside: returns messages that are aggregated with the vectors; it is called only once,
                and only if the function is. None: there are no such messages.
        """
        known, public = functools.cache(beside or Quantised), root or Quantised()
        memory = split_memory(state.memory)[0]

        def rule(rows: Rows) -> Vector:
            every = known() + quantised_rows(rows, self._storage)
            if not every.forms:
                raise ValueError("view.rule: no row is finite; the rule needs one at least")
            every = every + public
            exponents, integers = zip(*every.forms, strict=True)
            counts = np.ones(len(integers))
            counts[len(integers) - len(public.forms) :] = 0.0
            received = Received(
                Directions(integers, exponents), np.array(every.norms), counts, memory
            )
            return self._aggregate(received).gradient

        return rule


def _of_holders(messages: Iterable[Message]) -> list[Message]:
    """Return the messages of holders, without that of a public root."""
    return [each for each in messages if each.declaration.records]


def check_finite(
    made: Rows, view: View, kind: str, holders: Sequence[int], *, grouped: bool
) -> None:
    """Raise PartError if an attack turned a finite gradient into one without a finite norm."""
    # A vector without a finite norm has no message, so the holder would be missing from the round.
    # What a member adds to a sum of a group is cut to the largest number of the sum.
    norms = np.abs(made).max(axis=1) if grouped else lengths(made)
    for row, before, norm, holder in zip(made, view.own, norms, holders, strict=True):
        if np.isfinite(before).all() and not np.isfinite(norm):
            odd, dtype = row[~np.isfinite(row)], row.dtype
            value = odd[0] if len(odd) else f"a vector of norm {norm}"
            raise PartError(
                f"attack {kind}: makes holder {holder} send {value} in round {view.round}; "
                f"allowed: finite numbers of {dtype}, at most {np.finfo(dtype).max:.2g}, "
                "and a finite norm"
            )


def adversary_in(scenario: Scenario, keep: int) -> Adversary | None:
    """Return the adversary of a scenario; None if all holders are honest."""
    return Adversary(scenario, keep) if colluders_in(scenario) else None


def vectors_of(messages: Sequence[Message], dimension: int) -> Matrix:
    """Return the vectors in messages, norm times direction, shape (messages, dimension)."""
    rows = np.empty((len(messages), dimension))
    for row, message in zip(rows, messages, strict=True):
        row[:] = message.direction
        row *= message.norm * 2.0**-message.exponent
    return rows


def repeats(rows: Rows, storage: Storage, honest: Iterable[Message]) -> list[int]:
    """Return how often the direction of each row occurs in honest messages and earlier rows."""
    seen = Counter((each.exponent, each.direction.tobytes()) for each in honest)
    found = []
    for row in rows:
        exponent, direction = forms_of(row[None], lengths(row[None]), storage).get(0, (0, row))
        key = exponent, direction.tobytes()
        found.append(seen[key] if exponent else 0)
        seen[key] += 1
    return found


def nudged(message: Message, number: int, secret: bytes) -> Message:
    """Return a colluder's message with a slightly changed direction, different for each number."""
    direction = _nudge(message.direction, number, apart=True)
    return sign_message(replace(message, direction=direction, signature=b""), secret)


def under_names(message: Message, names: int, secret: bytes, holder: int) -> Iterator[Message]:
    """Yield a holder's message, then a copy under each made-up name of the holder (Sybil attack).

    The copies have slightly changed directions, since exact copies are not counted.

    Args:
        message: the holder's own message.
        names: number of names, including the holder's own.
        secret: the run's secret root, from which the made-up keys are drawn.
        holder: id of the holder.
    """
    yield message
    for number in range(1, names):
        own = digest(secret, "sybil", holder, message.round, number)
        said = replace(
            message,
            public_key=public_key_of(own),
            proof=None,
            # Equal messages of zeros all count, so they need no change.
            direction=_nudge(message.direction, number if message.norm else 0, apart=False),
            signature=b"",
        )
        yield sign_message(said, own)


def _nudge(direction: Integers, number: int, *, apart: bool) -> Integers:
    """Add the binary digits of a number to the smallest entries of a direction.

    If ``apart`` is true, only every sixth entry may change, otherwise only the other entries.
    """
    entries = np.flatnonzero((np.arange(len(direction)) % APART == APART - 1) == apart)
    if not len(entries):  # fewer than six entries
        entries = np.arange(len(direction))
    sizes = np.abs(direction[entries].astype(np.int64))
    other = direction.copy()
    for digit, entry in enumerate(entries[np.argsort(sizes, kind="stable")[: number.bit_length()]]):
        other[entry] += number >> digit & 1
    return other
