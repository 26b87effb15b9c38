# %% [markdown]
# # 3 A round by hand
# Four hospitals send arrows in a plane, and one of them lies. The rule uses three. **Where does
# the step point?** Draw the arrows on paper, and your step, before you go on.

# %%
import numpy as np

import fedchain
from fedchain.ledger.storage.store import Store
from fedchain.scenario.shipped import lesson_files

run = fedchain.run(fedchain.load(lesson_files()["03_round"]), out="runs")
with Store.open(run.folder / "ledger", writable=False) as store:
    block = list(store.blocks())[1]  # the second round
    before, after = (store.state(h).weights for h in (block.header.parent, block.header.hash))
directions = np.array([m.direction / 2.0**m.exponent for m in block.messages])
norms = np.array([m.norm for m in block.messages])
for name, arrow in zip("ABCD", directions * norms[:, None], strict=True):
    print(name, arrow.round(3))

# %% [markdown]
# The rule adds up the **directions**, each with length one, and asks which arrows lie near the
# sum.

# %%
total = directions.sum(axis=0)
cosines = directions @ total / np.linalg.norm(total)
used = np.argsort(-cosines)[:3]
for name, cosine in zip("ABCD", cosines, strict=True):
    print(name, f"{cosine:.3f}")
print("used:", *("ABCD"[k] for k in sorted(used)))

# %% [markdown]
# The step is the mean of the used arrows. A longer one than the median counts with the median.

# %%
lengths = np.minimum(norms, np.median(norms))
step = (directions * lengths[:, None])[used].mean(axis=0)
print("by hand:     ", step.round(4))
print("by the chain:", (before - after).round(4))

# %% [markdown]
# **What this does not show:** models have thousands of weights, and there honest gradients hardly
# agree if the noise is strong.
#
# **Before you leave:** a holder sends an arrow a thousand times as long as the others. What does
# it do to the sum?

# %%
fedchain.show(run)
