# %% [markdown]
# # 6 Tampering
# You may mine again, as often as you like. **Can you change one weight of a model on the chain so
# that nobody notices?** Answer before you go on.

# %%
from dataclasses import replace
from pathlib import Path

import numpy as np

import fedchain
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.work import target_from_compact
from fedchain.ledger.storage.store import Store
from fedchain.results import tampered_copy
from fedchain.scenario.shipped import lesson_files

GUESS = "yes"  # or no

# %%
run = fedchain.run(fedchain.load(lesson_files()["06_tampering"]), out="runs")
print("verified:", fedchain.verify(run.folder).ok)
with Store.open(run.folder / "ledger", writable=False) as store:
    block = list(store.blocks())[2]
    state = store.state(block.header.hash)

# %% [markdown]
# Change the lowest bit of the first weight, and put the new hash into the header.

# %%
weights = state.weights.copy()
weights.view(np.uint64)[0] ^= np.uint64(1)
changed = replace(block.header, weights_hash=State(weights, state.memory).weights_hash)
print("hash before:", block.header.hash.hex()[:16])
print("hash after: ", changed.hash.hex()[:16])

# %% [markdown]
# Its work is not done any more. Mine again: look for a nonce with which the hash is small enough.

# %%
target, nonce = target_from_compact(changed.bits), 0
while int.from_bytes(changed.hash, "big") > target:
    nonce += 1
    changed = replace(changed, nonce=nonce)
print(f"hash mined:  {changed.hash.hex()[:16]}, after {nonce} tries")

# %% [markdown]
# The hash is right again. But every node computes the model from the messages:

# %%
print("from the messages:", state.weights_hash.hex()[:16])
print("in the header:    ", changed.weights_hash.hex()[:16])

# %% [markdown]
# `fedchain tamper` writes such a copy of a run, and `fedchain verify` names the block.

# %%
copy = Path("runs", "damaged")
if not copy.exists():
    tampered_copy(run.folder, copy, 3, "weights")
print(fedchain.verify(copy).reason)
print("you said", GUESS)

# %% [markdown]
# **What this does not show:** a majority of the work can still replace the end of the chain by
# other valid blocks (`fedchain run double_spend`).
#
# **Before you leave:** someone has more computing power than all others together. Can they put a
# wrong model on the chain?

# %%
fedchain.show(run)
