"""Double spending: a secret branch that replaces the blocks which confirm a payment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fedchain.ledger.chain.chain import Chain
from fedchain.nodes.compute.strategy import Place, Scene, Strategy, strategies
from fedchain.nodes.payloads import Send

Verdict = Literal["goes on", "succeeds", "gives up"]


@dataclass(frozen=True)
class Attempt:
    """One attempt to spend twice: the lengths of the two branches above their common block."""

    secret: int = 0
    """Number of the attacker's blocks; the attacker finds the first one before it pays."""
    public: int = 0
    """Number of blocks that others have found since the payment: the payment's confirmations."""


def after_secret_block(attempt: Attempt) -> Attempt:
    """Return the attempt after the attacker has found a secret block."""
    return Attempt(attempt.secret + 1, attempt.public)


def after_public_block(attempt: Attempt) -> Attempt:
    """Return the attempt after the others have found a block.

    The block counts only after the first secret block, since there is no payment before that.
    """
    return Attempt(attempt.secret, attempt.public + (attempt.secret > 0))


def verdict(attempt: Attempt, confirmations: int, gives_up: int | None) -> Verdict:
    """Return whether an attempt goes on, succeeds or is given up.

    It succeeds once the payment has enough confirmations and the secret branch is longer.

    Args:
        attempt: the state of the attempt.
        confirmations: number of confirmations z that the payee waits for, at least 1.
        gives_up: the attacker gives up when the secret branch is this many blocks behind; None:
            the attacker never gives up.

    >>> verdict(Attempt(secret=2, public=1), 1, None)
    'succeeds'
    """
    if attempt.public >= confirmations and attempt.secret > attempt.public:
        return "succeeds"
    behind = attempt.public - attempt.secret
    return "gives up" if gives_up is not None and behind >= gives_up else "goes on"


class DoubleSpender:
    """One attacker, which makes one attempt after another."""

    def __init__(self, confirmations: int, gives_up: int | None) -> None:
        self.counters: Counter[str] = Counter()
        self._confirmations, self._gives_up = confirmations, gives_up
        self._attempt, self._public = Attempt(), 0
        self._tip: bytes | None = None

    def works_on(self, chain: Chain) -> bytes:
        """Return the tip of the secret branch, or the head if there is no secret branch."""
        return chain.head if self._tip is None or self._tip not in chain else self._tip

    def publishes(self, scene: Scene) -> list[Send]:
        """Publish the secret branch once it is longer than the branch that confirms the payment."""
        height = scene.block.header.height
        if scene.own:
            self._attempt, self._tip = after_secret_block(self._attempt), scene.block.header.hash
        elif height > self._public:
            self._attempt, self._public = after_public_block(self._attempt), height
        match verdict(self._attempt, self._confirmations, self._gives_up):
            case "goes on":
                return []
            case "succeeds":
                return self._end(scene, "successes", shown=True)
            case "gives up":
                return self._end(scene, "attempts given up", shown=False)

    def _end(self, scene: Scene, how: str, shown: bool) -> list[Send]:
        """End the attempt: count it, and publish or drop the secret branch."""
        self.counters["attempts"] += 1
        self.counters[how] += 1
        self.counters["public blocks undone"] += self._attempt.public if shown else 0
        sends = [Send(block, "everybody") for block in scene.withheld] if shown else []
        heights = [block.header.height for block in scene.withheld] if shown else []
        self._public = max([self._public, *heights])
        scene.withheld.clear()
        self._attempt, self._tip = Attempt(), None
        return sends


@strategies
def double_spend(
    place: Place,
    *,
    confirmations: Annotated[int, Field(ge=1, le=1000)] = 6,
    gives_up: Annotated[int, Field(ge=1, le=1000)] | None = 20,
) -> Strategy:
    """Pay, wait for the confirmations, then publish a longer branch without the payment.

    The attacker finds one secret block first, then pays. The payee waits for z confirmations. The
    attacker has the share q of the hash power, and the others have p = 1 - q. If q is below one
    half, the attacker succeeds with probability
    ``1 - sum_{k<z} C(k+z-1, k) (p^z q^k - q^z p^k)``; otherwise it always succeeds. With
    ``gives_up: null`` a miner with most of the hash power rewrites the chain at any depth. With a
    learning task holders send no messages to a secret head, so the secret branch does not grow
    beyond one block.

    Args:
        place: not used.
        confirmations: number of confirmations z that the payee waits for, 1 to 1000.
        gives_up: the attacker gives up when it is this many blocks behind, 1 to 1000; null: never.

    Reference:
        Rosenfeld, "Analysis of hashrate-based double-spending", 2014: the exact probability, with
        one block found before the payment. Nakamoto's Poisson figures approximate another attack.
    """
    del place
    spender = DoubleSpender(confirmations, gives_up)
    return Strategy(
        works_on=spender.works_on, publishes=spender.publishes, counters=spender.counters
    )
