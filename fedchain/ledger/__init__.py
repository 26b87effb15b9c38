"""Ledger: messages, blocks, chains, the mempool, the store, and their verification."""
