"""Disk: how many bytes a run folder occupies on the disk."""

from __future__ import annotations

from fedchain.forecasts.trial import BLOCK_ROWS, MESSAGE_ROWS, Trial
from fedchain.ledger.chain.block import START_BYTES

MESSAGE_LINES, BLOCK_LINES = 213, 350
"""Measured bytes of a message and of a block in the tables and the log of a finished run."""
EMPTY = 4
"""Bytes of an empty memory. All blocks share its file."""
FOLDERS = 256
"""Number of folders into which the files of a ledger are sorted."""
OTHER = 80_000
"""Measured bytes of everything in a run folder that does not grow with the run."""
SECTOR = 4096
"""Bytes of a block of the file system: a file occupies a whole number of blocks."""


def disk_bytes(trial: Trial) -> int:
    """Return the bytes that the folder of a finished run occupies, in whole sectors."""
    rounds, asked, disk = trial.scenario.rounds, trial.scenario.slots, trial.scenario.disk
    bare = START_BYTES + asked * (trial.message - trial.direction)
    whole = rounds if disk.keep_messages == "all" else min(rounds, disk.keep_messages)
    files = whole * sectors(trial.block) + (rounds - whole) * sectors(bare)
    memory = 0 if trial.memory == EMPTY else sectors(trial.memory)
    if isinstance(disk.keep_weights, int):
        states = rounds // disk.keep_weights
    else:
        states = rounds if disk.keep_weights == "all" else 1
    files += (1 + states) * (sectors(trial.weights) + memory)
    count = rounds + (1 + states) * (2 if memory else 1)
    folders = round(FOLDERS * (1 - (1 - 1 / FOLDERS) ** count))  # a hash names a file's folder
    rows = asked * (MESSAGE_ROWS + MESSAGE_LINES) + BLOCK_ROWS + BLOCK_LINES
    return OTHER + files + folders * SECTOR + rounds * rows


def sectors(size: int) -> int:
    """Return the bytes that a file of this size occupies on the disk.

    >>> sectors(0), sectors(1), sectors(4097)
    (0, 4096, 8192)
    """
    return -(-size // SECTOR) * SECTOR
