"""The ledger panel in Chromium: it checks the chain itself, and a reader may try to change it."""

from __future__ import annotations

from contextlib import closing

import pytest

from fedchain.page.records import Feed
from fedchain.results import Run

FINDING = "#panel-ledger .panel-finding"
CHECKED = ".badge:not(.running)"


@pytest.fixture(scope="session")
def whole(run_folder, records):
    """Return the page records of the run, with all blocks of its main chain."""
    with closing(Feed(Run(run_folder))) as feed:
        list(feed.records())
        bodies = [feed.view.body(block) for block in feed.view.main_chain()]
    return [*records[:-1], *bodies, records[-1]]


def marks(page):
    """Return the signs of the five checks, in their order."""
    return page.locator(".ledger-checks li > span[aria-hidden]").all_inner_texts()


def test_the_browser_checks_every_block_and_computes_every_model_again(visit, whole):
    page = visit(whole)
    page.wait_for_selector(".badge:is(.held, .partly)")
    said = page.inner_text(FINDING)
    blocks = sum(record["is"] == "header" for record in whole)
    models = sum(record["is"] == "body" for record in whole)
    assert f"All {blocks} blocks hold" in said
    assert f"{models} models were computed again" in said or f"{models} of {blocks} models" in said
    assert marks(page) == ["✓"] * 5


def test_without_messages_it_says_that_no_model_was_computed(visit, records):
    page = visit(records)
    page.wait_for_selector(".badge.partly")
    assert "No model was computed again" in page.inner_text(FINDING)
    assert marks(page) == ["✓", "✓", "✓", "–", "✓"]
    assert "The models of" in page.inner_text(".ledger-missing")


def test_a_chain_whose_messages_are_told_in_another_order_is_found_broken(visit, whole):
    damaged = [dict(record) for record in whole]
    header = [record for record in damaged if record["is"] == "header" and record["main"]][2]
    header["contents"] = header["contents"][::-1]
    page = visit([record for record in damaged if record["is"] != "body"])
    page.wait_for_selector(".badge.broken")
    assert "does not hold: messages_root" in page.inner_text(FINDING)


def test_by_keys_alone_a_reader_changes_a_model_mines_again_and_is_still_refused(visit, whole):
    page = visit(whole)
    page.wait_for_selector(CHECKED)
    badge = page.inner_text(".top .badge")
    page.focus(".ledger-block[aria-selected=true]")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(50)
    page.keyboard.press("Enter")  # to the bytes
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    assert "refused from block 3 on" in page.inner_text(FINDING)
    assert page.inner_text(".top .badge") == "changed by you"
    assert page.locator(".ledger-cells .changed").count() == 1
    assert marks(page)[3:] == ["✕", "✕"]
    page.get_by_role("button", name="mine it again").press("Enter")
    page.locator(".ledger-mined", has_text="The work is done again").wait_for()
    assert marks(page) == ["✓", "✓", "✓", "✕", "✓"]
    assert "every node computes the model again" in page.inner_text(".ledger-mined")
    page.get_by_role("button", name="mine all above").press("Enter")
    page.locator(".ledger-mined", has_text="all links hold").wait_for()
    assert "refused from block 3 on" in page.inner_text(FINDING)
    for _ in range(3):
        page.get_by_role("button", name="undo").press("Enter")
    assert "All" in page.inner_text(FINDING)
    assert page.inner_text(".top .badge") == badge
