"""Engines: where the holders of a cohort compute, one file each; every one gives the same bits."""

from fedchain.engines.engine import Engine, Source, chosen, cut, engines

__all__ = ["Engine", "Source", "chosen", "cut", "engines"]
