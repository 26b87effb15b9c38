"""Sent: what an aggregation rule receives of messages, or of vectors as if they were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedchain.arrays import Integers
from fedchain.attacks import Rows
from fedchain.ledger.chain.codec import Storage
from fedchain.ledger.chain.message import Message
from fedchain.nodes.holders.release import Answer, forms_of
from fedchain.transforms import lengths


@dataclass(frozen=True)
class Quantised:
    """What a rule receives of some messages."""

    forms: tuple[tuple[int, Integers], ...] = ()
    """Exponent and integers of each direction."""
    norms: tuple[float, ...] = ()
    """Norm of each gradient."""

    def __add__(self, other: Quantised) -> Quantised:
        return Quantised(self.forms + other.forms, self.norms + other.norms)


def quantised_rows(rows: Rows, storage: Storage) -> Quantised:
    """Return what finite vectors become when they are sent, in their order."""
    norms = lengths(rows)
    forms = dict(sorted(forms_of(rows, norms, storage).items()))
    return Quantised(tuple(forms.values()), tuple(norms[list(forms)].tolist()))


def quantised_messages(messages: Sequence[Message]) -> Quantised:
    """Return what is in messages, in their order."""
    forms = tuple((each.exponent, each.direction) for each in messages)
    return Quantised(forms, tuple(each.norm for each in messages))


def root_in(cohort: Mapping[int, Answer]) -> list[Message]:
    """Return the message of the public root among the answers of a round, if there is one."""
    sent = (each for each in cohort.values() if isinstance(each, Message))
    return [each for each in sent if not each.declaration.records]
