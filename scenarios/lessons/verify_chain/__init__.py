"""A second verifier of chains, written from docs/format.md: it shares no code with fedchain.

It reads a file of `fedchain export` and does everything again: the agreed text, hashes, links,
work, difficulty, times, signatures of blocks and messages, identities, declarations, and every step
of the model, bit for bit. It needs numpy and cryptography. Read the files in this order:

    encoding      bytes, numbers and texts; what an error says
    canonical     JSON that has one spelling
    rules         the agreed text: every key, and what it may be
    merkle        trees of hashes, and proofs that a leaf stands in one
    signatures    Ed25519
    messages      what holders say, and what holds of it
    parts         rules and updates by their kinds, with parameters
    mixing        vectors that rules work on, and arithmetic in a written order
    robust        rules that withstand Byzantine messages
    aggregation   the messages of a block to one gradient
    updates       a gradient to the next weights
    work          targets and their adaptation
    blocks        headers and blocks, and what holds of them
    chain         a tree of blocks, and the file that holds it
"""
