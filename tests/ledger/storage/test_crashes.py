"""Every call by which the ledger is written fails once, and is once the last before a SIGKILL."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from failing_disk import Disk, here, in_memory
from ledger_world import make_world, step

from fedchain.errors import RunError
from fedchain.ledger.storage import database
from fedchain.ledger.storage.connection import connect_to_read
from fedchain.ledger.storage.store import Store
from fedchain.ledger.storage.writer import RetentionPolicy
from fedchain.ledger.tools.verification import Verification, verify

pytestmark = pytest.mark.skipif(not here(), reason="asks /proc for the names of open files")
WORLD = make_world()
KEEPING = RetentionPolicy(weights_every=2, messages_last=1)
"""Of which directions go twice: while blocks come, and at the end."""


def grown():
    """Return a chain of five heights with a stale block, and its blocks as they came."""
    chain = WORLD.chain()
    blocks = WORLD.grow(chain, 2)
    rival = WORLD.block(chain, blocks[1].header.parent, miner=b"\x02")
    chain.add(rival, 9000)
    return chain, [*blocks, rival, *WORLD.grow(chain, 3)]


CHAIN, BLOCKS = grown()
HEADERS = [block.header for block in BLOCKS]


def lived(folder: Path) -> Iterator[int]:
    """Do what is left of a ledger's life; yield how many blocks are on disk for certain."""
    with Store.open(folder) as store:
        for number, block in enumerate(BLOCKS):
            name = block.header.hash
            store.append(block, CHAIN.state(name), 1000 * number)
            store.flush()
            yield number + 1
            if block.header.height == 3:
                store.prune(3, depth=1)
        store.set_head(CHAIN.head)
        store.keep_state(CHAIN.head, CHAIN.state(CHAIN.head))
        store.prune(CHAIN.height, depth=0)


def on_disk(folder: Path) -> tuple[dict[str, bytes], bytes]:
    """Return the files, and the seal over all rows of the database, whose bytes may differ."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    with contextlib.closing(connect_to_read(files.pop(database.LEDGER_FILE))) as connection:
        seal = database.read_meta(connection)["seal"]
    return {name: path.read_bytes() for name, path in files.items()}, seal


def checked(folder: Path) -> Verification:
    found = verify(folder, lambda _: step)
    assert found.ok, found.reason
    return found


@pytest.fixture
def place(tmp_path) -> Iterator[Path]:
    with in_memory(tmp_path) as folder:
        yield folder


@pytest.fixture
def fresh(place) -> Path:
    folder = place / "fresh"
    Store.create(folder, WORLD.rules, WORLD.genesis, WORLD.state, KEEPING).close()
    return folder


@pytest.fixture
def undisturbed(fresh, place) -> tuple[dict[str, bytes], bytes]:
    """What is on disk when nothing happens."""
    folder = shutil.copytree(fresh, place / "undisturbed")
    assert list(lived(folder)) == [1, 2, 3, 4, 5, 6]
    assert (checked(folder).blocks, checked(folder).block) == (6, CHAIN.head.hex())
    return on_disk(folder)


def assert_goes_on(folder: Path, certain: int, undisturbed: object, when: object) -> None:
    """The ledger opens with its last whole block, and becomes what it would have been."""
    before = checked(folder)
    assert before.blocks in (certain, certain + 1), when
    with Store.open(folder) as store:
        assert [block.header for block in store.blocks()] == HEADERS[: before.blocks], when
        assert store.head.hex() == before.block
    assert list(lived(folder))[-1] == len(BLOCKS)
    assert on_disk(folder) == undisturbed, when


@pytest.mark.parametrize(
    ("how", "every"),
    [
        ("half", 3),
        *(pytest.param(how, 1, marks=pytest.mark.long) for how in ("half", "error", "full")),
    ],
)
def test_whichever_call_fails_the_last_whole_block_is_there_and_the_rest_is_made_again(
    fresh, undisturbed, how, every, place
):
    told = 0
    for at in itertools.count(1, every):
        folder, certain = shutil.copytree(fresh, place / "ledger"), 0
        disk = Disk(folder, at, how)
        with disk.mounted():
            try:
                for certain in lived(folder):  # noqa: B007 - how far it came
                    pass
            except RunError:
                told += 1
        if not disk.hit:
            break
        assert_goes_on(folder, certain, undisturbed, (at, disk.calls[at - 1]))
        shutil.rmtree(folder)
    assert at > 150
    assert told > at / every / 2


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.long), 5])
def test_after_a_sigkill_between_any_two_calls_or_in_a_write_nothing_is_lost(
    fresh, undisturbed, place, every
):
    folder, images, certain = shutil.copytree(fresh, place / "ledger"), [], 0

    def image() -> None:
        copy = place / f"image{len(images)}"
        images.append((shutil.copytree(folder, copy), certain, disk.calls[-1]))

    disk = Disk(folder, image=image)
    with disk.mounted():
        for certain in lived(folder):  # noqa: B007 - as above
            pass
    assert len(images) > 250
    for copy, so_far, call in images[::every]:
        assert_goes_on(copy, so_far, undisturbed, call)


def test_what_a_row_names_would_outlive_a_loss_of_power_before_the_row_is_written(fresh):
    disk = Disk(fresh)
    with disk.mounted():
        assert list(lived(fresh))
    renamed = 0
    for at, (what, name) in enumerate(disk.calls):
        if what == "rename":
            file, folder = disk.calls.index(("sync", name)), ("sync", name[len(".new-") :][:2])
            row = next(n for n, met in enumerate(disk.calls) if n > at and met == ROW)
            assert file < at < disk.calls.index(folder, at) < row
            renamed += 1
    assert renamed > 10


ROW = ("write", "ledger.sqlite-wal")


def test_a_ledger_that_cannot_be_tidied_is_not_opened_to_be_written(fresh, monkeypatch):
    (fresh / "blobs" / ".new-torn").write_bytes(b"half")

    def failing(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("os.unlink", failing)
        with pytest.raises(RunError, match=r"fresh: cannot be written: .*Input/output error"):
            Store.open(fresh)
    assert list(lived(fresh))
