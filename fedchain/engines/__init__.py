"""Engines: where the holders of a cohort compute, one file each; every one gives the same bits."""

from fedchain.engines.engine import Engine, Source, at_work, chosen, cut, engines

__all__ = ["Engine", "Source", "at_work", "chosen", "cut", "engines"]
