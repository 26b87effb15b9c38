"""Whether independent accountants agree on a mechanism, asked once for each of their versions."""

from __future__ import annotations

import contextlib
from importlib import metadata

from fedchain.cache import AGREED, keep, mark_used, place_of
from fedchain.privacy.mechanisms import Mechanism

VACUOUS = 500.0
"""A total epsilon that promises nothing, and that discretised accountants cannot hold."""
ACCOUNTANTS = ("fedchain", "opacus", "dp-accounting", "scipy", "numpy")
"""Packages that the figures come from."""


def cross_checked(mechanism: Mechanism) -> None:
    """Let every accountant compute the total of a mechanism, unless these very ones have.

    Their figures follow from the mechanism and their versions alone. Loading them takes a second
    and 130 MB, which a sweep would pay for at every point; an agreement is therefore kept in the
    user's cache folder. A folder that cannot be written costs time, no check. A total that
    promises nothing is not checked.

    Args:
        mechanism: solved for the whole run.

    Raises:
        FedchainError: two accountants disagree; both figures are quoted.
        ArithmeticError: an accountant cannot hold the figure.
    """
    if mechanism.epsilon_after(mechanism.terms.releases) > VACUOUS:
        return
    versions = [f"{name} {metadata.version(name)}" for name in ACCOUNTANTS]
    text = "\n".join((repr(mechanism), *versions))
    path = place_of(AGREED, text, "txt")
    with contextlib.suppress(OSError):
        if path.read_bytes() == text.encode():
            mark_used(path)
            return
    mechanism.cross_check()
    keep(path, lambda file: file.write(text.encode()))
