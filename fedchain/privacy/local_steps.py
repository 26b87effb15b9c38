"""Local steps: which of them are releases, and which local training no guarantee covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedchain.privacy.mechanisms import Mechanism

if TYPE_CHECKING:
    from fedchain.scenario import Local


def releases_in_message(mechanism: Mechanism, local: Local | None) -> int:
    """Return how many releases a message holds, each with noise of its own.

    It is the number of local steps if records are protected: every step depends on all records, so
    the clip of a record bounds what it changes in one step only. A holder is protected by the clip
    of the whole sum, which is one release.

    Args:
        mechanism: the mechanism of the run.
        local: the local training of the scenario; None: a message holds one gradient.

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> from fedchain.scenario import Local
    >>> several = Local(steps=5, learning_rate=0.1)
    >>> releases_in_message(gaussian(10, 5, epsilon=1.0, clip=0.1), several)
    5
    >>> releases_in_message(gaussian(10, 5, epsilon=1.0, clip=0.1, unit="holder"), several)
    1
    """
    if local is None or mechanism.noise_multiplier == 0 or mechanism.terms.unit == "holder":
        return 1
    return local.steps


def check_local(mechanism: Mechanism, local: Local | None, *, grouped: bool) -> None:
    """Raise ValueError if the guarantee of a mechanism does not hold under the local training.

    ``grouped`` says whether holders form groups.
    """
    if local is None:
        return
    noisy = mechanism.noise_multiplier > 0 and mechanism.terms.unit == "record"
    if local.batch is not None and (noisy or mechanism.terms.sampling_rate < 1):
        words = "privacy.sampling_rate draws the records"
        if noisy:
            words = (
                "each local step has noise of its own (unit record): epsilon counts on records "
                "that privacy.sampling_rate draws in secret"
            )
        raise ValueError(f"local.batch: must be null where {words}, got {local.batch}")
    why = _reason(mechanism, grouped=grouped)
    if noisy and local.steps > 1 and why is not None:
        words = f"must be 1 with unit record where {why}, got {local.steps}"
        raise ValueError(f"local.steps: {words}; unit holder is allowed")


def _reason(mechanism: Mechanism, *, grouped: bool) -> str | None:
    """Return why no local step can have noise of its own; None if it can."""
    if grouped:
        return "holders form groups: a member's own share of the noise hides no step that it takes"
    if mechanism.noise_schedule is not None:
        return f"{mechanism.name} chooses the noise of a whole message"
    if mechanism.clip_follower is not None:
        return "the clip follows a quantile, which is counted once in a message"
    return None
