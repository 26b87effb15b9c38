"""Hints: what a key that does not exist is called here, by its name in other tools or releases."""

from __future__ import annotations

OTHER_NAMES = {
    "batch_size": "privacy.sampling_rate: the chance of each record to take part",
    "client": "nodes.holders",
    "clients": "nodes.holders",
    "clip_norm": "privacy.clip",
    "clipping_norm": "privacy.clip",
    "dataset": "task.kind",
    "defense": "aggregation.kind",
    "defence": "aggregation.kind",
    "epochs": "rounds: one gradient of each holder in a round",
    "fraction_fit": "nodes.cohort: the number of holders asked in a round",
    "l2_norm_clip": "privacy.clip",
    "lr": "update.learning_rate",
    "max_grad_norm": "privacy.clip",
    "max_per_sample_grad_norm": "privacy.clip",
    "miners": "nodes.compute",
    "n_clients": "nodes.holders",
    "num_clients": "nodes.holders",
    "num_rounds": "rounds",
    "optimizer": "update",
    "sample_rate": "privacy.sampling_rate",
    "sigma": "privacy.noise_multiplier",
    "strategy": "aggregation",
    "target_delta": "privacy.delta",
    "target_epsilon": "privacy.epsilon",
}
"""Key of a scenario that means the same, by the name in Flower, Opacus, TensorFlow Privacy, Blades
or an earlier release."""


def other_name(key: str) -> str:
    """Return a hint for a key that does not exist; empty if the key is not known elsewhere.

    >>> other_name("max_grad_norm"), other_name("kepe")
    ('this is privacy.clip here', '')
    """
    there, _, why = OTHER_NAMES.get(key.lower(), "").partition(": ")
    return f"this is {there} here{f', {why}' if why else ''}" if there else ""
