"""Blocks of a run: it finds each block, and the state after the block."""

# A valid block is in the cache or in the ledger. If honest nodes refuse a block, only
# the block's maker may have it, with the state that the block claims.

from __future__ import annotations

from collections.abc import Sequence

from fedchain.errors import LedgerError
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.storage.store import Store
from fedchain.nodes.compute.compute_node import ComputeNode
from fedchain.simulation.setup import RunSetup
from fedchain.timing import Stopwatch


class RunBlocks:
    """Finds the blocks and states of one run, and stores valid blocks."""

    def __init__(
        self, setup: RunSetup, store: Store, verdict_cache: VerdictCache, watch: Stopwatch
    ) -> None:
        """Start with the genesis block."""
        self._setup, self._store, self._verdict_cache = setup, store, verdict_cache
        self._watch = watch
        self._tree = verdict_cache.tree(setup.genesis, setup.rules)
        self.nodes: Sequence[ComputeNode] = ()
        """The compute nodes, in the order of their ids."""

    def state(self, name: bytes) -> State:
        """Return the state after a block, given the block's hash.

        Raises:
            LedgerError: the run no longer has the state.
        """
        is_genesis = name == self._setup.genesis.header.hash
        state = self._setup.state if is_genesis else self._verdict_cache.states.get(name)
        if state is None:
            _, state = self._claim(name) or (None, None)
        if state is None:
            raise LedgerError(f"block {name.hex()[:8]}: the state after it is gone")
        return state

    def block(self, name: bytes) -> Block:
        """Return a block, given its hash.

        Raises:
            LedgerError: the run no longer has the block's messages.
        """
        claimed, _ = self._claim(name) or (None, None)
        block = self._verdict_cache.blocks.get(name) or claimed
        if block is None:
            raise LedgerError(f"block {name.hex()[:8]}: its messages are gone")
        return block

    def has_weights(self, block: Block) -> bool:
        """Return whether holders can get the weights to which a block commits."""
        # Nobody has the weights of a made-up block, whose header may meet the target by chance.
        name = block.header.hash
        known = name in self._tree.links or block.header.height < self._tree.lowest
        return known or self._claim(name) is not None

    def keep(self, sender: int, block: Block, now_s: float) -> bool:
        """Store a block that leaves its sender, if the state after the block is known.

        A block with wrong messages or a wrong signature is not stored.

        Returns:
            Whether holders may follow the block.
        """
        if block.flaw:
            return False  # the header may be that of a valid block
        name = block.header.hash
        state = self._verdict_cache.states.get(name)
        if state is None and sender < len(self.nodes):
            chain = self.nodes[sender].chain
            if name in chain:
                # It was withheld for so long that the cache has dropped its body and state.
                self._verdict_cache.blocks.put(name, block)
                state = chain.state(name)
        if state is None:
            return self._claim(name) is not None
        with self._watch("ledger"):
            self._store.append(block, state, int(now_s * 1000.0))
        return True

    def _claim(self, name: bytes) -> tuple[Block, State] | None:
        """Return a refused block and the state that it claims; None if no node has kept them."""
        return next((node.claims[name] for node in self.nodes if name in node.claims), None)
