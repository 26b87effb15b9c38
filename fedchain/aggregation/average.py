"""Average of rules: the mean of what several rules make of the same messages."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.rule import Aggregate, Received, aggregations
from fedchain.registry import Part, cites


@aggregations
@cites()
def average_of(
    received: Received,
    *,
    rules: Annotated[tuple[Annotated[Part, aggregations], ...], Field(min_length=1, max_length=8)],
) -> Aggregate:
    """Average the gradients of several rules.

    An attack that is adapted to one rule meets the others too. The memory of rule k is kept under
    names that begin with ``k/``.

    Args:
        received: the messages of the block.
        rules: the rules, each with its own pre-aggregations; none of them is ``average_of``.

    Returns:
        The aggregate. Shares are means of the shares in all rules. The reason of a message without
        a share is that of the first rule.

    Raises:
        ValueError: a rule gets too few messages.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1], [1], [1], [-1]]))
    >>> four = Received(rows, np.array([1.0, 2.0, 6.0, 9.0]), np.ones(4))
    >>> both = (Part("mean", {}), Part("median", {}))
    >>> average_of(four, rules=both).gradient.tolist()
    [0.75]
    """
    made = list[Aggregate]()
    for number, rule in enumerate(rules):
        start = f"{number}/"
        own = {k.removeprefix(start): v for k, v in received.memory.items() if k.startswith(start)}
        heard = Received(received.directions, received.norms, received.records, own)
        made.append(aggregations.build(rule, heard))
    gradient, shares = np.zeros_like(made[0].gradient), np.zeros_like(made[0].shares)
    for each in made:
        gradient += each.gradient
        shares += each.shares
    gradient /= float(len(made))
    shares /= float(len(made))
    pairs = zip(made[0].reasons, shares, strict=True)
    reasons = tuple("" if share > 0 else reason for reason, share in pairs)
    memory = {f"{n}/{name}": v for n, each in enumerate(made) for name, v in each.memory.items()}
    return Aggregate(gradient, made[0].cosines, shares, reasons, memory)
