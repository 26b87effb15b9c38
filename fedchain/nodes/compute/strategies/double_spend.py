"""Double spending: a secret branch replaces the blocks that confirm a payment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fedchain.ledger.chain.chain import Chain
from fedchain.nodes.compute.strategy import Place, Scene, Strategy, strategies
from fedchain.nodes.payloads import Send
from fedchain.registry import cites

Verdict = Literal["goes on", "succeeds", "gives up"]


@dataclass(frozen=True)
class Attempt:
    """One attempt to spend twice: the lengths of the two branches above their common block."""

    secret: int = 0
    """Number of secret blocks of the attacker. The attacker pays after the first secret block."""
    public: int = 0
    """Number of confirmations: blocks that other nodes have found since the payment."""


def after_secret_block(attempt: Attempt) -> Attempt:
    """Return the attempt after the attacker has found a secret block."""
    return Attempt(attempt.secret + 1, attempt.public)


def after_public_block(attempt: Attempt) -> Attempt:
    """Return the attempt after another node has found a block.

    Before the payment, such a block does not count.
    """
    return Attempt(attempt.secret, attempt.public + (attempt.secret > 0))


def verdict(attempt: Attempt, confirmations: int, gives_up: int | None) -> Verdict:
    """Return whether an attempt goes on, succeeds or is given up.

    An attempt succeeds if the payment has enough confirmations and the secret branch is longer.

    Args:
        attempt: the state of the attempt.
        confirmations: number of confirmations that the payee waits for, at least 1.
        gives_up: number of blocks that the secret branch is behind when the attacker gives up;
            None: never.

    >>> verdict(Attempt(secret=2, public=1), 1, None)
    'succeeds'
    """
    if attempt.public >= confirmations and attempt.secret > attempt.public:
        return "succeeds"
    behind = attempt.public - attempt.secret
    return "gives up" if gives_up is not None and behind >= gives_up else "goes on"


class DoubleSpender:
    """One attacker that makes one attempt after another."""

    def __init__(self, confirmations: int, gives_up: int | None) -> None:
        self.counters: Counter[str] = Counter()
        self._confirmations, self._gives_up = confirmations, gives_up
        self._attempt, self._public = Attempt(), 0
        self._tip: bytes | None = None

    def works_on(self, chain: Chain) -> bytes:
        """Return the hash of the secret branch's last block, or of the head without a branch."""
        return chain.head if self._tip is None or self._tip not in chain else self._tip

    def publishes(self, scene: Scene) -> list[Send]:
        """Return the secret branch as payloads if the attempt succeeds, else nothing."""
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
        """End and count the attempt; return the secret branch if ``shown``, else drop it."""
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
@cites("rosenfeld2014")
def double_spend(
    place: Place,
    *,
    confirmations: Annotated[int, Field(ge=1, le=1000)] = 6,
    gives_up: Annotated[int, Field(ge=1, le=1000)] | None = 20,
) -> Strategy:
    """Pay, wait for the confirmations, then publish a longer branch without the payment.

    The attacker finds one secret block before it pays. Let z be the number of confirmations, q the
    attacker's share of the hash power, p = 1 - q, and C the binomial coefficient. If q is below one
    half, the attacker succeeds with probability
    ``1 - sum_{k<z} C(k+z-1, k) (p^z q^k - q^z p^k)``. Otherwise the attacker always succeeds. In a
    learning task, holders send no messages for secret blocks, so the secret branch has at most one
    block.

    Args:
        place: not used.
        confirmations: number of confirmations z that the payee waits for, 1 to 1000.
        gives_up: number of blocks that the attacker is behind when it gives up, 1 to 1000; null:
            never.

    Reference:
        Rosenfeld, "Analysis of hashrate-based double-spending", 2014: the exact probability.
    """
    del place
    spender = DoubleSpender(confirmations, gives_up)
    return Strategy(
        works_on=spender.works_on, publishes=spender.publishes, counters=spender.counters
    )
