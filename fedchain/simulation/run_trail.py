"""Trail of a run: it finds each participant's last message, which momentum needs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.message import Message
from fedchain.nodes.holders.colluders import colluders_in
from fedchain.nodes.holders.identity import CACHED_COHORTS
from fedchain.nodes.holders.trail import Trail
from fedchain.simulation.setup import RunSetup, deepest_fork

TABLES_A_HEIGHT = 4
"""Average number of blocks at one height for which the last messages are cached."""


def trail_of_run(setup: RunSetup, block_of: Callable[[bytes], Block]) -> Trail | None:
    """Return the trail of a run; None if the scenario has no momentum.

    Messages of attacking holders do not count. Messages of groups always count.

    Args:
        setup: the parts of the run.
        block_of: returns a block, given its hash.
    """
    # What an attacking holder sends is not the mean of its releases.
    scenario = setup.scenario
    if scenario.nodes.momentum is None:
        return None
    colluders = colluders_in(scenario) if scenario.nodes.groups is None else None

    @functools.lru_cache(CACHED_COHORTS)
    def senders(round_: int) -> Mapping[bytes, int]:
        return {
            setup.identities.of(participant, round_).public_key: participant
            for participant in setup.sampling.holders_of(round_)
            if colluders is None or colluders.attack_of(participant, round_) is None
        }

    def sender_of(message: Message) -> int | None:
        return senders(message.round).get(message.public_key)

    keep = TABLES_A_HEIGHT * deepest_fork(scenario)
    return Trail(setup.genesis.header.hash, block_of, sender_of, keep)
