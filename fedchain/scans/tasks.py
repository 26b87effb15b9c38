"""The scan tasks: simulated scans of many sites, or a folder of real scans cleaned by hand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedchain.learning.task import Task, losses, models, splits, tasks
from fedchain.registry import Part

UNET = Part("gajdosech_unet", {"levels": 2, "width": 2, "norm": "group"})
"""The default: small enough for the noise, private in its normalisation."""
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
    """Clean simulated scans: say of each point whether it remains.

    Every site has its own family of objects, materials, noise and view, and there are as many
    sites as holders: with the split ``by_site`` each holder has its own site's scans.

    Args:
        holders: number of data holders, and of sites.
        seed: the scenario's seed: other seeds give other scans.
        mask: ``object`` keeps the object and erases table, flying points and ghosts;
            ``outliers`` has the table cropped away before, as in the real scans: harder.
        size: pixels along a side of a scan.
        records_per_holder: scans a site has; a scan is a record.
        held_out: scans of all sites that no holder has, for measuring.
        split: how the scans are dealt to the holders; the label of a scan is its family.
        model: from five channels to one logit a pixel.
        loss: over the pixels that hold a point.
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

    The wildcard part of the names pairs them: gpu_004.cogs with clean_004.cogs. Scans are
    cropped and cut into tiles; tiles without a point are dropped. Whole scans are held out,
    the last ones by name, and the baselines see them uncut.

    Args:
        holders: number of data holders.
        seed: the scenario's seed: deals the records.
        path: the folder; COGS, organised PLY and NPZ are read.
        dirty: names of the scans as they come, with one ``*``.
        clean: names of the cleaned scans, with one ``*``.
        tile: pixels along a side of a tile.
        record: what privacy protects. ``scan`` keeps all tiles of a scan at one holder and
            needs as many scans to train on as holders. ``tile`` lets the tiles of one scan
            spread over holders: then the guarantee is for a tile, and not for a scan.
        held_out: scans kept for measuring.
        model: from five channels to one logit a pixel.
        loss: over the pixels that hold a point.
    """
    from fedchain.scans.folder import folder_task

    return folder_task(holders, seed, path, (dirty, clean), tile, record, held_out, model, loss)
