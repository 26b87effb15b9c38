# %% [markdown]
# # 1 Hash and block
# One bit of a model changes. **How many of the 256 bits of its hash change?** Write down a number
# before you go on.

# %%
import numpy as np

import fedchain
from fedchain.ledger.chain.state import State
from fedchain.ledger.storage.store import Store
from fedchain.scenario.shipped import lesson_files

GUESS = 1  # your number

# %% [markdown]
# A small run: six hospitals learn one model from a table in two rounds. Each block names its model
# by a hash.

# %%
run = fedchain.run(fedchain.load(lesson_files()["01_hash"]), out="runs")
with Store.open(run.folder / "ledger", writable=False) as store:
    header, state = store.block(store.head).header, store.state(store.head)
print("the block says:", header.weights_hash.hex())
print("the model has: ", state.weights_hash.hex())

# %% [markdown]
# Now flip one bit of one weight, whichever you like.


# %%
def bits_changed(weight: int, bit: int) -> int:
    """Return how many bits of the hash differ after a flip."""
    weights = state.weights.copy()
    weights.view(np.uint64)[weight] ^= np.uint64(1) << np.uint64(bit)
    one, other = (
        int.from_bytes(each.weights_hash, "big") for each in (state, State(weights, state.memory))
    )
    return (one ^ other).bit_count()


print("first weight, lowest bit:", bits_changed(0, 0))
print("last weight, highest bit:", bits_changed(-1, 63))

# %% [markdown]
# Every bit of every weight, one after the other:

# %%
counts = [bits_changed(weight, bit) for weight in range(len(state.weights)) for bit in range(64)]
print(f"mean {np.mean(counts):.1f}, least {min(counts)}, most {max(counts)}; you said {GUESS}")

# %% [markdown]
# **What this does not show:** that nobody can find another model with the same hash. No experiment
# shows this.
#
# **Before you leave:** two hashes differ in a single bit. What do you know about their models?

# %%
fedchain.show(run)
