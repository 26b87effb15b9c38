"""Forecast of a bare chain, on which nothing is learned, for `explain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fedchain.ledger.chain.work import works
from fedchain.nodes.compute.hashing import hashing_words
from fedchain.scenario import Scenario, plain_values

BLOCK_S, HEARD_S = 1.6e-4, 2.4e-5
"""Rough wall time of a block, and of its delivery to one compute node, seconds."""
BLOCK_BYTES = 1_400
"""Rough bytes of a block in the ledger and of its line in the events."""


@dataclass(frozen=True)
class BareForecast:
    """The expected cost of a run whose blocks have no messages."""

    scenario: Scenario
    """Checked; its task learns nothing."""
    hashing_s: float
    """Wall time of the search for nonces, seconds."""

    @property
    def seconds(self) -> float:
        """Wall time of the blocks of the main chain, in seconds; that of stale blocks is extra."""
        events_s = self.scenario.rounds * (BLOCK_S + HEARD_S * self.scenario.nodes.miners)
        return events_s + self.hashing_s

    @property
    def disk_mb(self) -> float:
        """Size of the run folder, MB."""
        return self.scenario.rounds * BLOCK_BYTES / 1e6

    def plain(self) -> dict[str, Any]:
        """Return everything as plain values, the scenario resolved."""
        estimates = {
            "seconds": round(self.seconds, 1),
            "hashing_seconds": round(self.hashing_s, 6),
            "disk_mb": round(self.disk_mb, 1),
        }
        return {"scenario": plain_values(self.scenario), "estimates": estimates}

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines of `explain`: a name and a text each."""
        nodes, work = self.scenario.nodes, works.build(self.scenario.ledger.work)
        shares = ", ".join(f"{share:.3g}" for share in sorted(nodes.shares, reverse=True)[:3])
        more = ", .." if nodes.miners > 3 else ""
        return [
            ("who", f"{nodes.miners} compute nodes, shares of work {shares}{more}"),
            ("learned", "nothing: no data holders, no messages, no privacy"),
            ("work", f"{work.kind}, a block every {work.interval_ms / 1000:g} simulated seconds"),
            ("hashing", hashing_words(self.hashing_s)),
            ("time", f"about {max(1, round(self.seconds))} s, stale blocks on top"),
            ("disk", f"about {self.disk_mb:.1f} MB"),
        ]
