"""Retention policy: which states and directions a ledger keeps on disk.

It is a choice of whoever stores the ledger, and no rule of the chain. Headers, ids, signatures
and norms are always kept. A state can be recomputed from an earlier state and the messages since,
so that not every state has to be kept. Directions are the largest part of a ledger. They may be
deleted once no fork can begin that far below the head; after that nobody can recompute the steps
of those blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedchain.errors import LedgerError
from fedchain.ledger.chain.encoding import Reader, unsigned


@dataclass(frozen=True)
class RetentionPolicy:
    """Which states and which directions stay on disk."""

    weights_every: int = 1
    """Heights between two blocks whose states are kept; 0: only the state of genesis, and that of
    the head at the end."""
    messages_last: int = 0
    """Number of heights below the head whose directions are kept, at least; 0: all."""
    below: int = 0
    """Height below which all directions have been deleted."""

    def keeps_state(self, height: int) -> bool:
        """Return whether the states after the blocks of this height are kept."""
        return not height or (self.weights_every > 0 and height % self.weights_every == 0)

    def prunable(self, head: int, depth: int) -> int:
        """Return the height below which directions may be deleted.

        The states one height below it are kept, so that the steps from there on can be recomputed.

        Args:
            head: height of the head.
            depth: how far below the head a fork may begin, in heights.

        >>> RetentionPolicy(weights_every=10, messages_last=5).prunable(48, 8)
        41
        """
        oldest = head - max(self.messages_last, depth)
        if not self.messages_last or not self.weights_every or oldest <= 0:
            return self.below
        return max(self.below, oldest - oldest % self.weights_every + 1)


EVERYTHING = RetentionPolicy()
"""The policy that keeps every state and every direction."""


def encode_keeping(keeping: RetentionPolicy) -> bytes:
    """Encode a retention policy, as 12 bytes.

    Raises:
        EncodingError: a number is negative or too large.
    """
    numbers = keeping.weights_every, keeping.messages_last, keeping.below
    return b"".join(unsigned(number, 4) for number in numbers)


def decode_keeping(data: bytes) -> RetentionPolicy:
    """Decode a retention policy.

    Raises:
        LedgerError: the bytes are not those of a policy, or it deletes directions without keeping
            the state that the steps after them need.
    """
    reader = Reader(data)
    found = RetentionPolicy(*(reader.unsigned(4) for _ in range(3)))
    reader.end()
    if found.below > 1 and not found.keeps_state(found.below - 1):
        raise LedgerError(f"keeping: directions below {found.below} are gone, and so is the state")
    return found
