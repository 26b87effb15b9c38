"""Engines: they compute the releases of a round in parallel. All engines yield the same bits."""

from fedchain.engines.engine import Engine, Source, at_work, check_engine, chosen, engines

__all__ = ["Engine", "Source", "at_work", "check_engine", "chosen", "engines"]
