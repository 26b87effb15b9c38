# %% [markdown]
# # 5 Poison
# Two holders turn their gradients around, in two runs: while scans are still learned fast, and
# when a table is nearly learned. **In which run are they caught?** Choose before you go on.

# %%
import fedchain
from fedchain.scenario.shipped import lesson_files

GUESS = "both"  # scans, table, both or neither
RUNS = {"scans": "05_poison_scans", "table": "05_poison_table"}


# %%
def count(name: str) -> fedchain.Run:
    """Run a scenario, and print what became of the attackers' messages."""
    run = fedchain.run(fedchain.load(lesson_files()[name]), out="runs")
    sent = [each for each in run.messages if each["attack"] and not each["late"]]
    used = [each for each in sent if each["used"]]
    print(f"{name}: {len(used)} of {len(sent)} messages of attackers were used")
    return run


run = count(RUNS["table"])

# %%
for each in run.messages:
    if each["round"] == 14:
        mark = "attacks" if each["attack"] else ""
        fate = "used" if each["used"] else "left out"
        print(f"h{each['holder']}  {each['cosine']:6.3f}  {fate:8}  {mark}")

# %% [markdown]
# The honest holders hardly agree with their own sum: most of what they send is noise. Now the
# scans, which take a minute.

# %%
count(RUNS["scans"])
print("you said", GUESS)

# %% [markdown]
# **What this does not show:** attackers who know the rule and stay just inside the cut.
#
# **Before you leave:** the rule used the message of an attacker. What does this say about the
# model?

# %%
fedchain.show(run)
