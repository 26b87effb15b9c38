"""The clips of holders that follow a quantile of their records' norms."""

from __future__ import annotations

KEPT_PARENTS = 8
"""Blocks whose clips are remembered; at an older one a holder uses its newest clip."""


class Clips:
    """Where the clip of every holder stands: a release with one clip leads to the next.

    A clip moves on when its release is made, not when it is computed: what was computed for a
    block that was left again was never seen, and counts for nothing.

    >>> clips = Clips(1.0)
    >>> clips.at(3, b"parent")
    1.0
    >>> clips.lead(3, b"parent", 0.9)
    >>> clips.made(3, b"parent")
    >>> clips.at(3, b"parent"), clips.at(3, b"child"), clips.at(4, b"child")
    (1.0, 0.9, 1.0)
    """

    def __init__(self, first: float) -> None:
        """Let all holders start with the same clip."""
        self._first = first
        self._newest: dict[int, float] = {}
        self._used: dict[bytes, dict[int, float]] = {}
        self._leads: dict[bytes, dict[int, float]] = {}

    def at(self, holder: int, parent: bytes) -> float:
        """Return the clip of a holder's release at a block: the same one when asked again."""
        newest = self._newest.get(holder, self._first)
        clip = self._used.setdefault(parent, {}).setdefault(holder, newest)
        for kept in (self._used, self._leads):
            while len(kept) > KEPT_PARENTS:
                kept.pop(next(iter(kept)))
        return clip

    def lead(self, holder: int, parent: bytes, clip: float) -> None:
        """Note the clip that a release at this block leads to."""
        self._leads.setdefault(parent, {})[holder] = clip

    def made(self, holder: int, parent: bytes) -> None:
        """Move a holder's clip on: its release at this block was made; made again, it stays."""
        clip = self._leads.get(parent, {}).pop(holder, None)
        if clip is not None:
            self._newest[holder] = clip
