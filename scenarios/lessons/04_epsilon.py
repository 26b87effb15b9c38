# %% [markdown]
# # 4 What epsilon costs
# Twenty holders of fifty simulated scans each learn to clean scans. **Which IoU do they reach at
# an epsilon of .5, 2 and 8, and without noise?** Write down four numbers before you go on.

# %%
import fedchain
from fedchain.scenario.shipped import lesson_files

GUESS = {0.5: 0.2, 2.0: 0.4, 8.0: 0.6, float("inf"): 0.7}  # your numbers
SEEDS = 1  # three take some minutes
ROUNDS = 24

# %%
scenario, reached = lesson_files()["04_epsilon"], {}
for epsilon in GUESS:
    for seed in range(SEEDS):
        changes = {"privacy.epsilon": epsilon, "seed": seed, "rounds": ROUNDS, "sweep": None}
        run = fedchain.run(fedchain.load(scenario, set=changes), out="runs")
        reached.setdefault(epsilon, []).append(run.metrics[-1]["iou"])
print("keep everything", round(run.manifest["baselines"]["keep_everything"]["iou"], 3))

# %%
for epsilon, ious in reached.items():
    print(f"epsilon {epsilon}: {[round(iou, 3) for iou in ious]}, you said {GUESS[epsilon]}")

# %% [markdown]
# Take `SEEDS = 3` if you have time: how far do runs lie apart that differ in nothing but the seed?
#
# **What this does not show:** that epsilon protects anybody here. The noise of these runs follows
# from a public seed; `fedchain run --secret FILE` takes one of your own.
#
# **Before you leave:** a run at an epsilon of 8 has a higher IoU than one without noise. What do
# you conclude?

# %%
fedchain.show(run)
