"""Local: the section ``local`` of a scenario."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fedchain.registry import Section, cites

MAX_STEPS = 10_000
"""Maximum number of local steps in a round."""


@cites("mcmahan2017")
class Local(Section):
    """Local training: a holder takes several steps with its own weights before it sends a message.

    Its message holds the pseudo-gradient, which is the sum of the gradients of its steps. The
    holder's own weights begin at those of the chain in every round.
    """

    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    """Number of local steps in a round; with 1 the pseudo-gradient is the gradient."""
    learning_rate: Annotated[float, Field(gt=0, le=1e6)]
    """Step size of the local steps, which are plain gradient descent."""
    batch: Annotated[int, Field(ge=1)] | None = None
    """Number of records in a local step, in the order of a shuffle of the seed; null: all records.
    Where each local step has noise of its own, it must be null: there privacy.sampling_rate draws
    the records of each step."""
