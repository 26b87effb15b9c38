"""Cross-check of a mechanism by independent accountants, once for each set of their versions."""

from __future__ import annotations

import contextlib
from importlib import metadata

from fedchain.cache import AGREED, mark_used, place_of, try_add
from fedchain.privacy.mechanisms import Mechanism

VACUOUS = 500.0
"""Total epsilon above which nothing is promised, and discretised accountants overflow."""
ACCOUNTANTS = ("fedchain", "opacus", "dp-accounting", "scipy", "numpy")
"""Packages that compute the figures."""


def cross_checked(mechanism: Mechanism) -> None:
    """Check that all accountants agree on the total of a mechanism, unless the cache says they do.

    Their figures depend only on the mechanism and on their versions. Loading the accountants takes
    a second and 130 MB, which a sweep would pay for at every point. An agreement is therefore kept
    in the user's cache folder. If that folder cannot be written, the check is made every time. A
    total that promises nothing is not checked.

    Args:
        mechanism: solved for the whole run.

    Raises:
        FedchainError: two accountants disagree; the error quotes both figures.
        ArithmeticError: an accountant cannot represent the figure.
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
    try_add(path, lambda file: file.write(text.encode()))
