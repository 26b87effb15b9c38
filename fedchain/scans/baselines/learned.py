"""Baselines that learn from single pixels of scans with a truth, centrally and without privacy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fedchain.scans.scan import Floats, Mask

MOST_POINTS = 200_000
"""Most points that a baseline learns from; of more, a random sample."""
Chances = Callable[[Floats], Floats]
"""Maps the channels of a scan, (channels, height, width), to the probability of keeping each
pixel, (height, width)."""


def learned(
    images: Sequence[Floats], valids: Sequence[Mask], keeps: Sequence[Mask], seed: int = 0
) -> Mapping[str, Chances]:
    """Fit ``logistic_regression`` and ``gradient_boosting`` to the points of scans.

    Both look at each pixel by itself. They learn from all points centrally, so that no guarantee
    of privacy covers them: do not publish them, or figures of them, for private scans.

    Args:
        images: channels of each scan, shape (channels, height, width).
        valids: the pixels that hold a point.
        keeps: the pixels to keep.
        seed: seed of the sample and of the boosting.

    Returns:
        Functions by the name of the baseline; none if the scans have points of one class only.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pairs = list(zip(images, valids, strict=True))
    points = np.concatenate([image[:, valid].T for image, valid in pairs])
    kept = np.concatenate([keep[valid] for keep, valid in zip(keeps, valids, strict=True)])
    if len(points) > MOST_POINTS:
        some = np.random.default_rng(seed).choice(len(points), MOST_POINTS, replace=False)
        points, kept = points[some], kept[some]
    if kept.all() or not kept.any():
        return {}
    models = {
        "logistic_regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        "gradient_boosting": HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, min_samples_leaf=100, l2_regularization=10.0,
            random_state=seed,
        ),
    }  # fmt: skip
    return {name: _chances(model.fit(points, kept)) for name, model in models.items()}


def _chances(model) -> Chances:  # type: ignore[no-untyped-def]
    def chances(image: Floats) -> Floats:
        flat = image.reshape(len(image), -1).T
        found = model.predict_proba(flat)[:, 1].astype(np.float32)
        return np.asarray(found.reshape(image.shape[1:]))

    return chances
