"""Updates: functions that compute the next weights from the global gradient."""

from fedchain.update.around import averaged, filtered
from fedchain.update.distance import distance_over_gradients
from fedchain.update.step import (
    AVERAGE,
    RULE,
    Memory,
    Updated,
    adam,
    gradient_descent,
    momentum,
    updates,
    used,
)

__all__ = [
    "AVERAGE",
    "RULE",
    "Memory",
    "Updated",
    "adam",
    "averaged",
    "distance_over_gradients",
    "filtered",
    "gradient_descent",
    "momentum",
    "updates",
    "used",
]
