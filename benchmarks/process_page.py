"""Draws the page of the whole way from scans to surfaces, for docs/surfaces.md.

    python benchmarks/process_page.py OUT

Simulates a turntable, processes its scans as ``fedchain scan process scans --upsample 4`` does,
opens the page in Chromium without a network, and writes OUT/process_page.png. OUT is a new folder.
Needs Chromium, the package playwright and the extra ``surfaces``.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from fedchain.scans.simulator.folder import simulate_folder
from fedchain.scans.training.folders import digest_of
from fedchain.scans.training.model_file import read_model
from fedchain.scans.training.shipped import shipped_model
from fedchain.surfaces.process.page import PAGE
from fedchain.surfaces.process.processing import process_folder
from fedchain.surfaces.process.records import ProcessSettings

SEED, VIEWS, SIZE = 4, 16, (384, 512)
"""What is simulated."""
WIDTH, HEIGHT = 1240, 1180
"""Size of the picture in pixels."""


def main() -> None:
    """Write the picture into the folder OUT."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    list(simulate_folder(out / "scans", seed=SEED, turntables=1, views=VIEWS, size=SIZE))
    settings = ProcessSettings(model=digest_of(shipped_model()).hex(), upsample=4)
    process_folder(out / "scans", read_model(shipped_model()), out / "processed", settings)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        size = {"width": WIDTH, "height": HEIGHT}
        page = browser.new_page(viewport=size, color_scheme="light")
        page.goto((out / "processed" / PAGE).absolute().as_uri())
        page.screenshot(path=str(out / "process_page.png"))
        browser.close()


if __name__ == "__main__":
    main()
