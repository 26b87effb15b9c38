"""Mechanisms, accounting, and the budget that counts every release."""
