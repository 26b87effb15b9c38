import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from process_scans import KEEPS_LIGHT, SETTINGS, ball_scans, processed

from fedchain.surfaces.process.page import page_of

pytest.importorskip("skimage")
pytest.importorskip("trimesh")


class Parsed(HTMLParser):
    """The text, the tags and the pictures of a page."""

    def __init__(self, page):
        super().__init__()
        self.text, self.images, self.open, self.headings = "", [], [], 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("page")
    folder = ball_scans(place / "a <b>", (0, 90))
    (folder / "scan_<i>.npz").write_bytes(b"PK")
    settings = replace(SETTINGS, upsample=4)
    return processed(folder, place / "out", settings, KEEPS_LIGHT), place / "out"


def test_each_scan_has_a_picture_of_each_stage_with_words_for_it(whole):
    done, out = whole
    page = Parsed((out / "index.html").read_text())
    assert not page.open
    assert [each["alt"] for each in page.images] == [
        f"{scan}, {shown}"
        for scan in ("scan_000", "scan_090")
        for shown in ("original", "kept", "denser", "surface")
    ]
    for change in done.changes:
        points = change.before if change.stage == "reconstruct" else change.after
        assert f"{points:,}" in page.text
        assert change.stage in page.text


def test_the_page_loads_nothing_and_runs_nothing(whole):
    text = (whole[1] / "index.html").read_text()
    assert not re.search(r"<script|https?:|url\(|@import", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'")
    assert all(each["src"].startswith("data:image/png;base64,") for each in Parsed(text).images)


def test_names_are_shown_as_text(whole):
    text = (whole[1] / "index.html").read_text()
    assert "scan_<i>" in Parsed(text).text
    assert "<i>" not in text


def test_a_scan_that_failed_has_its_reason_and_no_picture(whole):
    page = Parsed((whole[1] / "index.html").read_text())
    assert "scan_<i>: filter: scan_<i>.npz: " in page.text
    assert not any("<i>" in each["alt"] for each in page.images)


def test_without_denser_points_the_page_has_no_place_for_them(whole):
    done, out = whole
    page = page_of(replace(done, settings=SETTINGS), out)
    assert "denser</b>" not in page
    assert "--columns: 3" in page
