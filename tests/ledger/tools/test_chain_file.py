from __future__ import annotations

import hashlib

import pytest
from ledger_world import make_world, step

from fedchain.errors import OLD_FORMAT, RunRefused
from fedchain.ledger.chain.rules import MOST_RULES
from fedchain.ledger.storage.store import Store
from fedchain.ledger.tools.chain_file import exported, replayed, verify_file
from fedchain.ledger.tools.verification import verify

WORLD = make_world(memory=False)


def transition_of(_):
    return step


@pytest.fixture(scope="module")
def chain_file(tmp_path_factory):
    """A chain of four blocks and a stale one, as one file."""
    folder = tmp_path_factory.mktemp("portable")
    with Store.create(folder / "ledger", WORLD.rules, WORLD.genesis, WORLD.state) as store:
        chain = WORLD.chain()
        WORLD.grow(chain, 2, store)
        rival = WORLD.block(chain, chain.path()[1], miner=b"\x02")
        chain.add(rival, 5000)
        store.append(rival, chain.state(rival.header.hash), 5000)
        WORLD.grow(chain, 2, store)
        file = folder / "chain.fedchain"
        file.write_bytes(b"".join(exported(store)))
    return file


def written(tmp_path, data: bytes):
    """Return a file with these bytes and the digest that belongs to them."""
    file = tmp_path / "damaged.fedchain"
    file.write_bytes(data + hashlib.sha256(data).digest())
    return file


def test_an_imported_ledger_is_the_exported_one_byte_for_byte(chain_file, tmp_path):
    found = replayed(chain_file, tmp_path / "ledger", transition_of)
    assert (found.ok, found.blocks, found.height) == (True, 5, 4)
    theirs, ours = chain_file.parent / "ledger", tmp_path / "ledger"
    names = sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    assert all((theirs / name).read_bytes() == (ours / name).read_bytes() for name in names)
    assert verify(ours, transition_of).ok


def test_an_imported_chain_is_exported_as_the_same_file(chain_file, tmp_path):
    replayed(chain_file, tmp_path / "ledger", transition_of)
    with Store.open(tmp_path / "ledger", writable=False) as store:
        assert b"".join(exported(store)) == chain_file.read_bytes()


def test_progress_is_told_after_each_block(chain_file):
    told = []
    assert verify_file(chain_file, transition_of, lambda *done: told.append(done)).ok
    assert told == [(number, 5) for number in range(1, 6)]


def test_a_file_that_ends_early_goes_on_or_has_another_digest_is_no_chain(chain_file, tmp_path):
    data = chain_file.read_bytes()
    file = tmp_path / "chain.fedchain"
    for length in (0, 5, 11, 400, len(data) // 2, len(data) - 33, len(data) - 1):
        file.write_bytes(data[:length])
        found = verify_file(file, transition_of)
        assert not found.ok
        assert "left; " in found.reason or "last 32 bytes" in found.reason
    file.write_bytes(data + b"\0")
    assert verify_file(file, transition_of).reason == "file: goes on for 1 bytes after its end"
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "not the SHA-256 of all before" in verify_file(file, transition_of).reason


def test_the_reason_names_the_block_that_is_wrong(chain_file, tmp_path):
    data = chain_file.read_bytes()[:-32]
    place = data.rindex(b"fedchain:h")  # the header of the last block
    damaged = bytearray(data)
    damaged[place + 255] ^= 1  # in its rules_hash
    found = verify_file(written(tmp_path, bytes(damaged)), transition_of)
    assert (found.ok, found.blocks, found.height) == (False, 4, 4)
    assert "rules_hash" in found.reason or "nonce" in found.reason
    assert len(found.block) == 64


def test_a_block_that_comes_twice_or_before_its_parent_is_refused(chain_file, tmp_path):
    data = chain_file.read_bytes()[:-32]
    starts = [i - 16 for i in range(len(data)) if data[i : i + 10] == b"fedchain:h"]
    blocks = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    twice = data[: starts[0]] + blocks[0] + b"".join(blocks[:4])
    assert "was there before" in verify_file(written(tmp_path, twice), transition_of).reason
    early = data[: starts[0]] + blocks[1] + blocks[0] + b"".join(blocks[2:])
    assert "before its parent" in verify_file(written(tmp_path, early), transition_of).reason


def test_the_head_must_be_a_block_with_the_most_work(chain_file, tmp_path):
    data = chain_file.read_bytes()[:-32]
    with Store.open(chain_file.parent / "ledger", writable=False) as store:
        head, names = store.head, [b.header.hash for b in store.blocks()]
    place = data.index(head)
    for other, words in ((names[0], "has less work"), (bytes(32), "is no block of this chain")):
        damaged = data[:place] + other + data[place + 32 :]
        assert words in verify_file(written(tmp_path, damaged), transition_of).reason


def test_lengths_from_outside_are_compared_with_what_is_there_before_memory_is_taken(tmp_path):
    start = b"fedchain:x\x00\x02"
    for length in (b"\xff\xff\xff\xff", b"\x00\x0f\xff\xff"):
        found = verify_file(written(tmp_path, start + length), transition_of)
        assert not found.ok
        assert f"at most {MOST_RULES}" in found.reason or "are left" in found.reason


def test_a_file_of_another_format_says_so_in_one_line(tmp_path):
    for number, words in ((1, f"file: {OLD_FORMAT}"), (3, "file: is of version 3; must be 2")):
        start = b"fedchain:x" + number.to_bytes(2)
        assert verify_file(written(tmp_path, start), transition_of).reason == words


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RunRefused, match="No such file"):
        verify_file(tmp_path / "nothing", transition_of)
