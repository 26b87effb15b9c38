# %% [markdown]
# # 7 Points
# A scanner measured an object, and not all of its points are real. **Which points lie?** Guess the
# share of outliers, and the IoU of keeping every point, before you go on.

# %%
import tempfile
from pathlib import Path

from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training.evaluation import evaluate_folder
from fedchain.scans.training.model_file import read_model
from fedchain.scans.training.shipped import shipped_model

GUESS = 0.1, 0.9  # your share of outliers, and your IoU

# %% [markdown]
# Eight scans of one object on a turntable, simulated: with reflections, and with shadows of the
# light.

# %%
place = tempfile.TemporaryDirectory()
folder = Path(place.name, "scans")
for each in simulate_folder(folder, turntables=1, views=8, seed=0):
    print(each.dirty.name, each.points, "points,", each.outliers, "outliers")

# %% [markdown]
# The model that comes with fedchain has learned from other simulated scans. Beside it stand
# filters that learn nothing.

# %%
found = evaluate_folder(folder, read_model(shipped_model()))
for method, scores in found.mean.items():
    print(f"{method:16} IoU {scores['iou']:.3f}")
print("you said", *GUESS)

# %% [markdown]
# **What this does not show:** how good the model is on real scanners.
#
# **Before you leave:** a filter erases every outlier, and also half of the good points. Is its IoU
# high?

# %% [markdown]
# A federation learns such a model without showing its scans to anyone: `fedchain demo`.

# %%
place.cleanup()
