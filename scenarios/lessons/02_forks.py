# %% [markdown]
# # 2 Work and forks
# A block is found every half a second on average, and its news takes .15 s to arrive. **What share
# of the blocks is lost?** Write down a share before you go on.

# %%
import fedchain
from fedchain.scenario.shipped import lesson_files

GUESS = 0.5  # your share
ROUNDS = 300  # more rounds, less chance

# %% [markdown]
# Twenty equal miners, no model: the chain alone. The news takes longer in every run.

# %%
scenario = lesson_files()["02_forks"]
print("delay  x     lost   x / (1 + x)")
for delay_ms in (50, 150, 400):
    changes = {"network.latency_ms.value": delay_ms, "rounds": ROUNDS, "sweep": None}
    run = fedchain.run(fedchain.load(scenario, set=changes), out="runs")
    x = delay_ms / 500
    lost = run.manifest["chain"]["stale_share"]
    print(f"{delay_ms:3} ms {x:.2f}  {lost:.3f}  {x / (1 + x):.3f}")
print("you said", GUESS)

# %% [markdown]
# **What this does not show:** miners of different power, and miners who keep blocks secret
# (`fedchain run selfish_mining`).
#
# **Before you leave:** all machines become twice as fast, and the difficulty is adapted so that
# blocks come as often as before. Are fewer blocks lost?

# %%
fedchain.show(run)
