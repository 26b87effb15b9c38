"""The bundle that is shipped: built from web/, to the byte, and no larger than it may be."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from page_browser import NODE, in_ci
from page_files import STATIC

WEB = Path(__file__).parents[2] / "web"
LIMITS = {"page.js": (240_000, 85_000), "points.js": (60_000, 20_000), "page.css": (80_000, 60_000)}
"""Most bytes of each file, plain and compressed."""


@pytest.fixture(scope="module")
def tools() -> str:
    """Return the path of node, with the packages of web/ installed."""
    if NODE is None:
        pytest.skip("node is not installed")
    if not (WEB / "node_modules" / "esbuild").exists():
        assert not in_ci(), "node is there, but not the packages of web/: run npm ci there"
        pytest.skip("the packages of web/ are not installed: npm ci")
    return NODE


def test_the_shipped_bundle_is_what_its_source_builds(tools, tmp_path):
    subprocess.run([tools, "build.mjs", "--out", tmp_path], cwd=WEB, check=True, timeout=120)
    built = sorted(path.name for path in tmp_path.iterdir())
    assert built == sorted(path.name for path in STATIC.iterdir())
    for name in built:
        same = (tmp_path / name).read_bytes() == (STATIC / name).read_bytes()
        assert same, f"web/ has changed, but not {name}: make page"


def test_the_tests_of_the_front_end_pass(tools):
    done = subprocess.run(
        "npm test --silent", shell=True, cwd=WEB, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_types_of_the_front_end_hold(tools):
    compiler = WEB / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        [tools, compiler, "--noEmit"], cwd=WEB, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("name", LIMITS)
def test_a_file_of_the_bundle_is_within_its_limit(name):
    content = (STATIC / name).read_bytes()
    plain, compressed = LIMITS[name]
    assert len(content) <= plain
    assert len(gzip.compress(content, mtime=0)) <= compressed


@pytest.mark.parametrize("name", LIMITS)
def test_no_file_of_the_bundle_can_end_the_element_that_holds_it(name):
    content = (STATIC / name).read_text(encoding="utf-8").lower()
    assert "</script" not in content
    assert "<!--" not in content
    assert "</style" not in content
