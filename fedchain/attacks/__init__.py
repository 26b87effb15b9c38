"""Attacks: what Byzantine data holders send, and the poisoned records they learn from.

The holders of one attack act together as one adversary. An attack can change only the unit
direction and the norm in a message, LearningChain (12).
"""

from fedchain.attacks.view import Rows, View, attacks, poisons

__all__ = ["Rows", "View", "attacks", "poisons"]
