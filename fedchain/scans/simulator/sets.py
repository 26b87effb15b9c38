"""Sets of simulated scans for a whole federation, kept in the cache."""

from __future__ import annotations

import dataclasses

import numpy as np

from fedchain.cache import SCANS
from fedchain.scans.cache import Arrays, cached
from fedchain.scans.simulator.scanner import VERSION, Scanned, simulate
from fedchain.scans.simulator.scenes import site_of

FIELDS = tuple(field.name for field in dataclasses.fields(Scanned))


def federation(
    seed: int, sites: int, records: int, held_out: int, size: int
) -> tuple[Scanned, Scanned]:
    """Return the scans of every site, and held-out scans that take all sites in turn.

    Args:
        seed: the scenario's seed.
        sites: number of sites, each with its own objects, materials and noise.
        records: scans per site.
        held_out: number of held-out scans, which no site has.
        size: pixels along a side.

    Returns:
        The scans of the sites, ordered by site; the held-out scans, with the sites in turn.
    """
    parameters = {
        "seed": seed, "sites": sites, "records": records, "held_out": held_out, "size": size
    }  # fmt: skip
    key = {"kind": SCANS, "version": VERSION, **parameters}
    arrays = cached(key, lambda: _make(**parameters))
    training = sites * records
    everything = Scanned(**arrays)
    return take(everything, slice(0, training)), take(everything, slice(training, None))


def take(scanned: Scanned, chosen: slice) -> Scanned:
    """Return some of the scans."""
    return Scanned(*(getattr(scanned, name)[chosen] for name in FIELDS))


def _make(seed: int, sites: int, records: int, held_out: int, size: int) -> Arrays:
    parts, tests = [], []
    for number in range(sites):
        site = site_of(seed, number)
        own = [("scan", number, i) for i in range(records)]
        test = [("held-out scan", number, i) for i in range(len(range(number, held_out, sites)))]
        scanned = simulate(site, seed, [*own, *test], size, number)
        parts.append(take(scanned, slice(0, records)))
        tests.append(take(scanned, slice(records, None)))
    turns = np.concatenate([np.arange(len(test.site)) for test in tests])
    # The first scan of each site comes first, then the second of each site, and so on.
    order = np.argsort(turns, kind="stable")
    return {
        name: np.concatenate(
            [getattr(part, name) for part in parts]
            + [np.concatenate([getattr(test, name) for test in tests])[order]]
        )
        for name in FIELDS
    }
