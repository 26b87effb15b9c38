"""Double spending: a secret branch that must overtake a payment's confirmations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fedchain.events import Send
from fedchain.ledger.chain.block import block_hash
from fedchain.ledger.chain.chain import Chain
from fedchain.nodes.compute.behaviour import Scene, Strategy
from fedchain.nodes.compute.strategies.strategy import Place, strategies

Verdict = Literal["goes on", "succeeds", "gives up"]


@dataclass(frozen=True)
class Attempt:
    """One attempt: two branches above the block where they part."""

    secret: int = 0
    """Blocks of the attacker; the first one is there before the payment is made."""
    public: int = 0
    """Confirmations of the payment."""


def after_own(attempt: Attempt) -> Attempt:
    """Return the attempt after a secret block."""
    return Attempt(attempt.secret + 1, attempt.public)


def after_public(attempt: Attempt) -> Attempt:
    """Return the attempt after a public block; before the first secret one there is no payment."""
    return Attempt(attempt.secret, attempt.public + (attempt.secret > 0))


def verdict(attempt: Attempt, confirmations: int, gives_up: int | None) -> Verdict:
    """Say how an attempt stands.

    It succeeds once the payment has its confirmations and the secret branch is longer.

    Args:
        attempt: as it is now.
        confirmations: z, that the payee waits for, at least 1.
        gives_up: blocks behind at which it ends; None: never.

    >>> verdict(Attempt(secret=2, public=1), 1, None)
    'succeeds'
    """
    if attempt.public >= confirmations and attempt.secret > attempt.public:
        return "succeeds"
    contributors = attempt.public - attempt.secret
    return "gives up" if gives_up is not None and contributors >= gives_up else "goes on"


class DoubleSpender:
    """One attacker, attempt after attempt."""

    def __init__(self, confirmations: int, gives_up: int | None) -> None:
        self.deeds: Counter[str] = Counter()
        self._confirmations, self._gives_up = confirmations, gives_up
        self._attempt, self._public = Attempt(), 0
        self._tip: bytes | None = None

    def works_on(self, chain: Chain) -> bytes:
        """Build on the secret branch, or begin one on the head."""
        return chain.head if self._tip is None or self._tip not in chain else self._tip

    def publishes(self, scene: Scene) -> list[Send]:
        """Show the secret branch once it is longer than a confirmed payment's."""
        height = scene.block.header.height
        if scene.own:
            self._attempt, self._tip = after_own(self._attempt), block_hash(scene.block.header)
        elif height > self._public:
            self._attempt, self._public = after_public(self._attempt), height
        match verdict(self._attempt, self._confirmations, self._gives_up):
            case "goes on":
                return []
            case "succeeds":
                return self._end(scene, "successes", shown=True)
            case "gives up":
                return self._end(scene, "attempts given up", shown=False)

    def _end(self, scene: Scene, how: str, shown: bool) -> list[Send]:
        self.deeds["attempts"] += 1
        self.deeds[how] += 1
        self.deeds["public blocks undone"] += self._attempt.public if shown else 0
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
    """Pay, wait for the confirmations, and show a longer branch without the payment.

    The attacker finds one secret block first, then pays; with a share q below one half it
    succeeds with ``1 - sum_{k<z} C(k+z-1, k) (p^z q^k - q^z p^k)``, with more it always does.
    A miner with most of the work rewrites the chain at any depth: set ``gives_up: null``. With a
    learning task holders send no messages to a secret head: no branch grows beyond one block.

    Args:
        place: not used.
        confirmations: z, blocks above the payment that the payee waits for, 1 to 1000.
        gives_up: blocks behind at which an attempt is given up, 1 to 1000; null: never.

    Reference:
        Rosenfeld, "Analysis of hashrate-based double-spending", 2014; the exact law, with one
        block mined before. Nakamoto's Poisson figures are an approximation of another attack.
    """
    del place
    spender = DoubleSpender(confirmations, gives_up)
    return Strategy(works_on=spender.works_on, publishes=spender.publishes, deeds=spender.deeds)
