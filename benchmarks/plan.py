"""Plan of the benchmark: every row, the program that runs it, and how often it is measured."""

from __future__ import annotations

from dataclasses import dataclass

from measuring import OURS


@dataclass(frozen=True)
class Case:
    """One row: a script in an environment, with its arguments."""

    name: str
    """Name of the row on the page."""
    group: str
    """The table to which the row belongs."""
    environment: str
    """The environment whose interpreter runs the script."""
    script: str
    """A file in ``peers``."""
    arguments: tuple[str, ...]
    """Arguments of the script."""
    turns: int = 3
    """How often the row is measured; rows of a group take turns."""
    ours: bool = False
    """Whether the row is fedchain's."""
    peer: bool = False
    """Whether the row counts as another simulator."""


PEERS = {
    "pfl": ("pfl", ""),
    "ByzFL, mean": ("byzfl", ""),
    "ByzFL, MultiKrum": ("byzfl", "multikrum"),
    "FedLab": ("fedlab", ""),
    "fluke": ("fluke", ""),
}
"""Simulators in one process: name to environment and variant."""
FLOORS = {
    "plain loop, autograd": "loop",
    "vmap of grad": "vmap",
    "one batch, products by segment": "segments",
}
OPACUS = {
    "Opacus, hooks": "hooks",
    "Opacus, expanded weights": "ew",
    "Opacus, functorch": "functorch",
    "Opacus, ghost clipping": "ghost",
}
BY_HAND = {
    "vmap an example, one holder at a time": "vmap",
    "the same in 2 threads, channels last": "threads",
}
FLOWER = "Flower (Ray)"


def dense(holders: int, *, private: bool, rounds: int, turns: int) -> list[Case]:
    """Return the rows of the dense network, in the order in which they take turns."""
    group = f"mlp {holders}{' private' if private else ''}"
    size = ["--holders", str(holders), "--rounds", str(rounds), *["--private"] * private]

    def case(name: str, environment: str, script: str, variant: str = "", **more: object) -> Case:
        arguments = [*size, *(["--variant", variant] if variant else [])]
        return Case(name, group, environment, script, tuple(arguments), **{"turns": turns, **more})

    rows = [case("fedchain", OURS, "fedchain_rounds.py", ours=True)]
    if private:
        name = "fedchain, a record each"
        rows.append(case(name, OURS, "fedchain_rounds.py", "record", ours=True))
    rows += [
        case(name, environment, f"{environment}_rounds.py", variant, peer=True)
        for name, (environment, variant) in PEERS.items()
        if variant == "" or holders == 50
    ]
    rows += [
        case(name, OURS, "floors.py", variant)
        for name, variant in FLOORS.items()
        if variant == "segments" or holders == 50
    ]
    if private and holders == 50:
        few = ("--holders", "50", "--rounds", "10", "--variant", "dpfedavg")
        name = "fluke, a record each (Opacus)"
        rows.append(Case(name, group, "fluke", "fluke_rounds.py", few, turns=1))
        rows.append(case("noise alone, 2 threads", OURS, "floors.py", "noise"))
        rows.append(
            case("fedchain, the full protocol", OURS, "fedchain_rounds.py", "protocol", ours=True)
        )
    return rows


def flower(holders: int, *, private: bool) -> Case:
    """Return a row of Flower, with few rounds and one turn, since Flower is slow."""
    group = f"mlp {holders}{' private' if private else ''}"
    arguments = ("--holders", str(holders), "--rounds", "8", *["--private"] * private)
    return Case(FLOWER, group, "flower", "flower_rounds.py", arguments, turns=1, peer=True)


def images(turns: int = 2) -> list[Case]:
    """Return the rows of the U-Net."""
    size = ("--holders", "10", "--rounds", "8")
    ours = (*size, "--variant")
    rows = [Case("fedchain", "unet", OURS, "fedchain_rounds.py", (*ours, "unet"), turns, ours=True)]
    rows += [
        Case(name, "unet", OURS, "unet.py", (*size, "--variant", variant), turns)
        for name, variant in {**OPACUS, **BY_HAND}.items()
    ]
    full = (*ours, "unet_protocol", "--private")
    rows.append(
        Case("fedchain, the full protocol", "unet", OURS, "fedchain_rounds.py", full, 1, ours=True)
    )
    return rows


def growth() -> list[Case]:
    """Return fedchain's rows with more weights, more records and more rounds."""
    common = ("--holders", "20", "--private", "--unchecked", "--rounds")
    rows = []
    for hidden in (64, 256, 1024):
        arguments = (*common, "10", "--hidden", str(hidden))
        rows.append(
            Case(
                str(784 * hidden + 11 * hidden + 10),
                "growth weights",
                OURS,
                "fedchain_rounds.py",
                arguments,
                1,
                ours=True,
            )
        )
    for records in (60, 240, 960):
        arguments = (*common, "10", "--records", str(records))
        rows.append(
            Case(
                str(records), "growth records", OURS, "fedchain_rounds.py", arguments, 1, ours=True
            )
        )
    many = ("--holders", "5", "--private", "--rounds", "500", "--variant", "protocol")
    rows.append(Case("500", "growth rounds", OURS, "fedchain_rounds.py", many, 1, ours=True))
    return rows


def everything(*, quick: bool) -> list[Case]:
    """Return all rows, with the rows of a group next to each other.

    Args:
        quick: 50 holders and the U-Net only, one turn each.
    """
    if quick:
        return [
            *dense(50, private=False, rounds=10, turns=1),
            flower(50, private=False),
            *dense(50, private=True, rounds=10, turns=1),
            *images(1),
        ]
    return [
        *dense(10, private=False, rounds=50, turns=1),
        flower(10, private=False),
        *dense(50, private=False, rounds=50, turns=3),
        flower(50, private=False),
        *dense(50, private=True, rounds=50, turns=3),
        flower(50, private=True),
        *dense(100, private=False, rounds=20, turns=1),
        *dense(1000, private=False, rounds=5, turns=2),
        *dense(1000, private=True, rounds=5, turns=2),
        *images(),
        *growth(),
    ]
