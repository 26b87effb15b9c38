"""What a ledger keeps of its blocks: a choice of whoever stores it, and no rule of the chain.

Headers, ids, signatures and norms stay for ever. States follow from a state below and the
messages between, so that not every one has to be kept; directions, the bulk of a ledger, may go
once no fork can reach so deep, and then nobody can do the steps up to there again.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedchain.errors import LedgerError
from fedchain.ledger.chain.encoding import Reader, unsigned


@dataclass(frozen=True)
class RetentionPolicy:
    """Which states, and which directions, stay on disk."""

    weights_every: int = 1
    """Heights between two blocks whose states are kept; 0: only genesis, and the head at the
    end."""
    messages_last: int = 0
    """Heights below the head whose directions are kept at least; 0: all."""
    below: int = 0
    """Height below which no block has directions any more."""

    def keeps_state(self, height: int) -> bool:
        """Say whether the states after the blocks of this height are kept."""
        return not height or (self.weights_every > 0 and height % self.weights_every == 0)

    def prunable(self, head: int, depth: int) -> int:
        """Return the height below which directions may go.

        The states one below it are kept, for the steps from there on to be done again.

        Args:
            head: height of the head.
            depth: how far below the head a fork may begin.

        >>> RetentionPolicy(weights_every=10, messages_last=5).prunable(48, 8)
        41
        """
        oldest = head - max(self.messages_last, depth)
        if not self.messages_last or not self.weights_every or oldest <= 0:
            return self.below
        return max(self.below, oldest - oldest % self.weights_every + 1)


EVERYTHING = RetentionPolicy()
"""Every state and every direction."""


def encode_keeping(keeping: RetentionPolicy) -> bytes:
    """Return the 12 bytes of a choice.

    Raises:
        EncodingError: a number is too large.
    """
    numbers = keeping.weights_every, keeping.messages_last, keeping.below
    return b"".join(unsigned(number, 4) for number in numbers)


def decode_keeping(data: bytes) -> RetentionPolicy:
    """Read a choice back.

    Raises:
        LedgerError: the bytes are none.
    """
    reader = Reader(data)
    found = RetentionPolicy(*(reader.unsigned(4) for _ in range(3)))
    reader.end()
    if found.below > 1 and not found.keeps_state(found.below - 1):
        raise LedgerError(f"keeping: directions below {found.below} are gone, and so is the state")
    return found
