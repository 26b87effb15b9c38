"""The table of the models of scans in docs/scan_models.md."""

from __future__ import annotations

from collections.abc import Sequence

from page_tables import Outcome, table

PUBLISHED = {
    "gajdosech_unet": (
        "237,433",
        "`focal`, alpha .06 to .08, gamma 3 to 5",
        "precision .9945, recall .855 on real scans",
    ),
    "gajdosech_fcn": ("333,409", "`softened_bce`", "a benchmark of devices"),
    "havaei": (
        "809,637",
        "two phases (`train_two_phases`)",
        "Dice .88, .79, .73 (whole, core, enhancing) on BRATS 2013",
    ),
    "fcn8s": ("134,489,759", "cross-entropy", "mean IU 62.2 on VOC 2012"),
    "deconvnet": (
        "251,805,653",
        "cross-entropy",
        "mean IU 69.6 on VOC 2012; an ensemble with a CRF 72.5",
    ),
    "unet": (
        "31,030,658",
        "`border_weighted_bce`",
        "IoU .9203 on PhC-U373, .7756 on DIC-HeLa",
    ),
    "ternausnet": (
        "22,927,393",
        "`bce_log_jaccard`",
        "IoU .593 from scratch, .686 pre-trained, on INRIA",
    ),
}
"""For each model its parameters at full size, its loss in the paper, and the published result."""


def zoo_table(outcomes: Sequence[Outcome]) -> str:
    """Return the models with what was published, and what the small ones reach here."""
    head = "model", "full size", "loss of the paper", "published", "here", "IoU", "CPU-s"
    lines = []
    for row in outcomes[0].told:
        here = f"width {row['width']}: {row['parameters']:,}"
        found = here, f"{row['iou']:.3f}", f"{row['seconds']:.0f}"
        lines.append([f"`{row['kind']}`", *PUBLISHED[row["kind"]], *found])
    kept = outcomes[0].told[0]["kept"]
    lines.append(["keep everything", "", "", "", "", f"{kept:.3f}", ""])
    return table(head, lines)
