"""Scan tasks: simulated scans of many sites, or a folder of real scans cleaned by hand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedchain.learning.task import Task, losses, models, splits, tasks
from fedchain.registry import Part

UNET = Part("gajdosech_unet", {"levels": 2, "width": 2, "norm": "group"})
"""The default model: small enough for the noise, and its normalisation does not mix examples."""
BY_SITE = Part("by_site", {})
BCE = Part("bce", {})


@tasks
def scan_segmentation(
    holders: int,
    seed: int,
    *,
    mask: Literal["object", "outliers"] = "object",
    size: Annotated[int, Field(ge=8, le=512)] = 32,
    records_per_holder: Annotated[int, Field(ge=1, le=100_000)] = 200,
    held_out: Annotated[int, Field(ge=1, le=100_000)] = 400,
    split: Annotated[Part, splits] = BY_SITE,
    model: Annotated[Part, models] = UNET,
    loss: Annotated[Part, losses] = BCE,
) -> Task:
    """Clean simulated scans: decide for each point whether it remains.

    Every site has its own family of objects, materials, noise and view. There are as many sites
    as holders: with the split ``by_site`` each holder has the scans of its own site.

    Args:
        holders: number of data holders, and of sites.
        seed: the scenario's seed; other seeds give other scans.
        mask: ``object`` keeps the object and erases table, flying points and ghosts;
            ``outliers`` does the same after the table was cropped away, as in the real scans,
            which is harder.
        size: pixels along a side of a scan.
        records_per_holder: scans per site; a scan is a record.
        held_out: scans for measuring, from all sites; they belong to no holder.
        split: how the scans are dealt to the holders; the label of a scan is its family.
        model: model from five channels to one logit per pixel.
        loss: loss over the pixels that hold a point.
    """
    from fedchain.scans.simulated import simulated_task

    return simulated_task(
        holders, seed, mask, size, records_per_holder, held_out, split, model, loss
    )


@tasks
def scan_folder(
    holders: int,
    seed: int,
    *,
    path: str,
    dirty: str = "gpu_*.cogs",
    clean: str = "clean_*.cogs",
    tile: Annotated[int, Field(ge=8, le=512)] = 64,
    record: Literal["tile", "scan"] = "tile",
    held_out: Annotated[int, Field(ge=1, le=10_000)] = 1,
    model: Annotated[Part, models] = UNET,
    loss: Annotated[Part, losses] = BCE,
) -> Task:
    """Clean real scans: a folder of scans and the same scans cleaned by hand.

    Two files form a pair if the wildcard stands for the same text in both names: gpu_004.cogs and
    clean_004.cogs. Scans are cropped and cut into tiles; tiles without a point are dropped. Whole
    scans are held out, the last ones by name. The baselines see these scans uncut.

    Args:
        holders: number of data holders.
        seed: the scenario's seed; it deals the records.
        path: the folder; COGS, organised PLY and NPZ are read.
        dirty: names of the scans before cleaning, with one ``*``.
        clean: names of the cleaned scans, with one ``*``.
        tile: pixels along a side of a tile.
        record: what privacy protects. ``scan`` keeps all tiles of a scan at one holder, and needs
            at least as many training scans as holders. ``tile`` may spread the tiles of one scan
            over several holders; the guarantee then holds for a tile, not for a scan.
        held_out: number of scans that are held out for measuring.
        model: model from five channels to one logit per pixel.
        loss: loss over the pixels that hold a point.
    """
    from fedchain.scans.folder import folder_task

    return folder_task(holders, seed, path, (dirty, clean), tile, record, held_out, model, loss)
