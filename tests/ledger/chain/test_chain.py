from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import (
    EASY,
    LATE,
    World,
    hear,
    hear_in_turn,
    make_world,
    mined,
    name,
    names,
    signed,
    step,
)

from fedchain.errors import InvalidBlock, TooEarly, WrongCopy
from fedchain.ledger.chain.block import Block, messages_root, sign_block, without_messages
from fedchain.ledger.chain.block_tree import MOST_ORPHANS
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.verdict_cache import VerdictCache
from fedchain.ledger.chain.work import compact_from_target, retarget, target_from_compact, work_of

WORLD = make_world()


def tree_of_blocks(world: World) -> list[Block]:
    """A main chain of five with branches of every kind, in an order that connects."""
    # genesis - 1 - 2 - 3 - 4 - 5     the trunk
    #    |      |   |   |
    #    |      |   |   +- d1
    #    |      |   +- b1 - b2 - b3   as long as the trunk: a tie
    #    |      +- a1 - a2 - a3
    #    +- c1 - c2
    chain = world.chain()
    trunk = world.grow(chain, 5)
    genesis, one, two, three, *_ = chain.path()
    a = world.branch(chain, one, 3, holders=[0, 1, 2], miner=b"1")
    b = world.branch(chain, two, 3, holders=[0, 1, 2], miner=b"2")
    c = world.branch(chain, genesis, 2, holders=[0, 1, 2], miner=b"0")
    d = world.branch(chain, three, 1, holders=[0, 1, 2], miner=b"3")
    return [*trunk, *a, *b, *c, *d]


BLOCKS = tree_of_blocks(WORLD)


def test_a_chain_begins_at_genesis():
    chain = WORLD.chain()
    assert chain.path() == [WORLD.chain_id]
    assert (chain.height, chain.work, chain.stale, len(chain)) == (0, 0, 0, 1)
    assert chain.state(chain.head) is WORLD.state
    assert chain.block(chain.head) is WORLD.genesis


def test_a_chain_grows_and_knows_what_it_has():
    chain = WORLD.chain()
    blocks = WORLD.grow(chain, 3)
    assert chain.path() == [WORLD.chain_id, *names(blocks)]
    assert chain.height == 3
    assert chain.work == 3 * work_of(EASY)
    assert chain.link(chain.path()[1]).work == work_of(EASY)
    assert chain.link(chain.head).header is blocks[-1].header
    assert chain.block(chain.head) is blocks[-1]
    assert chain.add(blocks[1], LATE).kind == "known"
    assert chain.height_of(b"nobody" * 6) is None
    assert chain.height_of(chain.head) == 3
    assert chain.head in chain
    with pytest.raises(KeyError):
        chain.block(bytes(32))
    with pytest.raises(KeyError):
        chain.state(bytes(32))


def test_the_branch_with_more_work_wins_and_the_first_seen_of_equals_stays():
    # genesis - first
    #    |
    #    +- rival - heavier
    chain = WORLD.chain()
    first = WORLD.block(chain, miner=b"a")
    rival = WORLD.block(chain, miner=b"b")
    assert chain.add(first, 2000).kind == "extended"
    assert chain.add(rival, 3000).kind == "side"
    assert (chain.head, chain.stale) == (name(first), 1)
    heavier = WORLD.block(chain, name(rival))
    added = chain.add(heavier, 4000)
    assert added.kind == "reorganised"
    assert added.lost == (name(first),)
    assert chain.path()[1:] == names([rival, heavier])
    assert (chain.reorganisations, chain.stale) == (1, 1)
    assert chain.on_path(chain.head)
    assert not chain.on_path(name(first))


def test_of_two_seen_at_once_the_smaller_hash_is_the_head():
    # genesis - any of four rivals, all heard at one moment
    rivals = [WORLD.block(WORLD.chain(), miner=bytes([i])) for i in range(4)]
    for order in (rivals, rivals[::-1]):
        chain = WORLD.chain()
        hear(chain, *order, now=2000)
        assert chain.head == min(names(rivals))


def test_what_a_reorganisation_takes_off_is_told_from_the_top_down():
    # genesis - s1 - s2 - s3          heard first
    #    |
    #    +- l1 - l2 - l3 - l4         l4 makes the second branch the longer one
    source, chain = WORLD.chain(), WORLD.chain()
    s1, s2, s3 = WORLD.grow(source, 3)
    l1, l2, l3, l4 = WORLD.branch(source, WORLD.chain_id, 4, holders=range(2))
    hear_in_turn(chain, s1, s2, s3, l1, l2, l3)
    added = chain.add(l4, 2 * LATE)
    assert added.kind == "reorganised"
    assert added.lost == (name(s3), name(s2), name(s1))


def test_the_deepest_reorganisation_stays_the_deepest():
    # genesis - a1 - a2 - a3            heard first
    #    |
    #    +- b1 - b2 - b3 - b4           b4 takes three blocks off
    #                  |
    #                  +- c4 - c5       c5 takes one block off
    chain = WORLD.chain()
    hear_in_turn(chain, *WORLD.grow(WORLD.chain(), 3))
    _, _, b3, b4 = WORLD.branch(chain, WORLD.chain_id, 4, now=2 * LATE, holders=range(2))
    assert chain.head == name(b4)
    assert (chain.reorganisations, chain.deepest) == (1, 3)
    _, c5 = WORLD.branch(chain, name(b3), 2, now=3 * LATE, holders=range(3))
    assert chain.head == name(c5)
    assert (chain.reorganisations, chain.deepest) == (2, 3)


def test_of_two_last_blocks_the_smaller_hash_is_the_head_whatever_came_first():
    # genesis - either of a pair, and the chain has one round
    world = make_world(rounds=1)
    pair = [world.block(world.chain(), miner=bytes([i])) for i in range(2)]
    for order in (pair, pair[::-1]):
        chain = world.chain()
        hear_in_turn(chain, *order)
        assert chain.head == min(names(pair))


def test_more_work_beats_more_blocks():
    # genesis - slow1 - slow2 - slow3    200, 400 and 900 s: the target stays easy
    #    |
    #    +- fast1 - fast2                1 and 2 ms: the second block is of a harder target
    world = make_world(retarget_window=2, interval_ms=100_000)
    chain = world.chain()
    hear(chain, world.block(chain, time_ms=200_000))
    hear(chain, world.block(chain, time_ms=400_000))
    slow3 = world.block(chain, time_ms=900_000)
    hear(chain, slow3)
    assert (chain.head, chain.height) == (name(slow3), 3)
    fast1 = world.block(chain, world.chain_id, miner=b"f", time_ms=1)
    hear(chain, fast1)
    fast2 = world.block(chain, name(fast1), miner=b"f", time_ms=2)
    added = chain.add(fast2, LATE)
    assert chain.link(name(fast2)).header.bits != EASY
    assert added.kind == "reorganised"
    assert (chain.head, chain.height) == (name(fast2), 2)
    assert chain.link(name(fast2)).work > chain.link(name(slow3)).work


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_one_head_and_one_set(shuffled: random.Random):
    blocks = list(BLOCKS)  # drawn in tree_of_blocks
    shuffled.shuffle(blocks)
    expected, chain = WORLD.chain(LIBRARY), WORLD.chain(LIBRARY)
    hear(expected, *BLOCKS)
    hear(chain, *blocks)
    assert chain.head == expected.head
    assert chain.path() == expected.path()
    assert (len(chain), chain.orphans) == (len(BLOCKS) + 1, 0)


LIBRARY = VerdictCache()


def test_orphans_wait_and_connect_in_one_step():
    # genesis - 1 - 2 - 3 - 4    heard from right to left
    one, two, three, four = WORLD.grow(WORLD.chain(), 4)
    chain = WORLD.chain()
    for block in (four, three, two):
        assert chain.add(block, LATE).kind == "orphan"
    assert chain.add(three, LATE).kind == "orphan"
    assert (chain.orphans, chain.height) == (3, 0)
    added = chain.add(one, LATE)
    assert added.kind == "extended"
    assert added.connected == (name(one), name(two), name(three), name(four))
    assert (chain.orphans, chain.height) == (0, 4)


def test_an_orphan_that_turns_out_invalid_is_dropped_with_its_reason():
    # genesis - 1 - bad    heard from right to left
    one, two = WORLD.grow(WORLD.chain(), 2)
    bad = signed(mined(replace(two.header, weights_hash=bytes(32))), two.messages)
    chain = WORLD.chain()
    assert chain.add(bad, LATE).kind == "orphan"
    added = chain.add(one, LATE)
    assert (chain.height, chain.orphans) == (1, 0)
    assert "weights are not the aggregate" in added.refused[0][1]


def test_the_pool_of_orphans_is_bounded_and_wants_work():
    chain = WORLD.chain()
    block = WORLD.block(chain)
    for number in range(MOST_ORPHANS + 20):
        parent = number.to_bytes(32)
        chain.add(signed(mined(replace(block.header, parent=parent)), block.messages), LATE)
    assert chain.orphans == MOST_ORPHANS
    lost = replace(block.header, parent=b"p" * 32)
    easy = replace(lost, bits=compact_from_target(2**255))
    free = next(h for n in range(99) if (h := replace(lost, nonce=n)).hash[0] >= 0x20)
    for header in (easy, free):
        with pytest.raises(InvalidBlock, match="its work is below"):
            chain.add(signed(header, block.messages), LATE)
    for changes in ({"bits": 0}, {"chain_id": bytes(32)}):
        with pytest.raises(InvalidBlock, match=r"is no target|chain_id"):
            chain.add(signed(replace(lost, **changes), block.messages), LATE)


def test_time_must_be_above_the_median_of_eleven_and_not_too_far_ahead():
    chain = WORLD.chain()
    WORLD.grow(chain, 12)
    times = sorted(chain.link(block).header.time_ms for block in chain.path()[-11:])
    assert chain.link(chain.head).median_ms == times[5]
    with pytest.raises(InvalidBlock, match=f"time_ms: is {times[5]}; must be above {times[5]}"):
        chain.add(WORLD.block(chain, time_ms=times[5]), LATE)
    ahead = WORLD.block(chain, time_ms=30_000)
    with pytest.raises(InvalidBlock, match=r"time_ms: is 30000; .* at most 29999"):
        chain.add(ahead, 24_999)
    assert chain.add(ahead, 25_000).kind == "extended"
    earlier = WORLD.block(chain, time_ms=times[5] + 1001)
    assert earlier.header.time_ms < 30_000
    assert chain.add(earlier, 25_000).kind == "extended"


def test_the_target_follows_the_window_with_bitcoins_off_by_one():
    world = make_world(retarget_window=3, interval_ms=1000)
    chain, times = world.chain(), [0, 500, 900, 1000, 1100, 1200, 5000]
    for stamp in times[1:]:
        chain.add(world.block(chain, time_ms=stamp), LATE)
    bits = [chain.link(block).header.bits for block in chain.path()]
    second = retarget(0, 900, EASY, 3000, EASY)
    third = retarget(1000, 1200, second, 3000, EASY)
    assert bits == [EASY] * 3 + [second] * 3 + [third]
    assert target_from_compact(third) < target_from_compact(second) < target_from_compact(EASY)
    wrong = world.block(chain, bits=EASY)
    with pytest.raises(InvalidBlock, match="bits: is"):
        chain.add(wrong, LATE)


def test_a_block_that_one_node_checked_is_not_recomputed_by_another():
    steps = []

    def counted(state, messages):
        steps.append(len(messages))
        return step(state, messages)

    verdict_cache, source = VerdictCache(), WORLD.chain()
    blocks = WORLD.grow(source, 4)
    chains = [WORLD.chain(verdict_cache, counted) for _ in range(5)]
    for block in blocks:
        for chain in chains:
            assert chain.add(block, LATE).kind == "extended"
    assert len(steps) == 4
    assert {chain.head for chain in chains} == {source.head}


def test_an_invalid_block_is_refused_by_all_after_one_check():
    verdict_cache, calls = VerdictCache(), []

    def counted(state, messages):
        calls.append(1)
        return step(state, messages)

    good = WORLD.block(WORLD.chain())
    bad = signed(mined(replace(good.header, memory_hash=bytes(32))), good.messages)
    for _ in range(3):
        with pytest.raises(InvalidBlock, match="memory_hash"):
            WORLD.chain(verdict_cache, counted).add(bad, LATE)
    assert len(calls) == 1


def test_states_in_memory_are_bounded_and_old_ones_are_recomputed_bit_for_bit():
    verdict_cache = VerdictCache(keep_states=2)
    chain = WORLD.chain(verdict_cache)
    WORLD.grow(chain, 9)
    for block in (*chain.path(), *chain.path()[::-1]):
        state, header = chain.state(block), chain.link(block).header
        assert state.weights_hash == header.weights_hash
        assert state.memory_hash == header.memory_hash
        assert len(verdict_cache.states) <= 2


def test_states_and_blocks_that_fell_off_are_loaded():
    verdict_cache, loaded = VerdictCache(keep_states=1), []
    chain = WORLD.chain(verdict_cache)
    blocks = WORLD.grow(chain, 3)
    by_name = dict(zip(names(blocks), blocks, strict=True))
    states = {name: chain.state(name) for name in by_name}

    def load(name: bytes):
        loaded.append(name)
        return states[name]

    other = VerdictCache(keep_states=1, load_state=load, load_block=by_name.__getitem__)
    second = WORLD.chain(other)
    for block in blocks:
        second.add(block, LATE)
    assert second.state(names(blocks)[0]) is states[names(blocks)[0]]
    assert loaded[-1] == names(blocks)[0]
    assert other.blocks.get(bytes(32)) is None


def test_a_block_that_cannot_be_encoded_is_refused():
    block = WORLD.block(WORLD.chain())
    broken = Block(replace(block.header, address=b"short"), block.messages)
    with pytest.raises(InvalidBlock, match="block: bytes: got 5"):
        WORLD.chain().add(broken, LATE)
    unsigned = signed(block.header, (replace(block.messages[0], signature=b""),))
    with pytest.raises(InvalidBlock, match="bytes: got 0; must be 64"):
        WORLD.chain().add(unsigned, LATE)


def test_a_forged_copy_does_not_take_the_place_of_its_block_among_the_orphans():
    chain, other = WORLD.chain(), WORLD.chain()
    early = WORLD.block(chain, time_ms=WORLD.rules.max_ahead_ms + 1)
    with pytest.raises(WrongCopy, match="signature: is not that of the maker over the header"):
        chain.add(replace(early, signature=bytes(64)), 0)
    with pytest.raises(WrongCopy, match="public_key: is not that of the address"):
        chain.add(sign_block(early, bytes(32)), 0)
    assert chain.orphans == 0
    with pytest.raises(TooEarly):
        chain.add(early, 0)
    below, above = WORLD.grow(other, 2)
    with pytest.raises(WrongCopy, match="signature: is not that of the maker"):
        chain.add(replace(above, signature=bytes(64)), LATE)
    assert chain.add(above, LATE).kind == "orphan"
    assert name(above) in chain.add(below, LATE).connected


def test_the_cost_of_a_block_does_not_grow_with_the_height():
    world = make_world(rounds=10**6, retarget_window=50)
    chain = world.chain()
    block, tree = without_messages(world.block(chain)), chain._tree

    def grow(below: int, to: int) -> None:
        for height in range(below + 1, to + 1):
            parent = (height - 1).to_bytes(32) if height > 1 else chain.head
            moved = replace(block.header, height=height, parent=parent, time_ms=height * 1000)
            tree.put(height.to_bytes(32), replace(block, header=moved))

    grow(0, 200)
    low = lines_of(lambda: grow(200, 400))
    grow(400, 5_000)
    # What Python itself runs at times, such as finalisers, adds a few lines.
    assert lines_of(lambda: grow(5_000, 5_200)) == pytest.approx(low, rel=0.02)


def lines_of(work: Callable[[], None]) -> int:
    """Return how many lines of Python a piece of work runs through: a time without a clock."""
    lines, before = 0, sys.gettrace()

    def count(_frame, event, _argument):
        nonlocal lines
        lines += event == "line"
        return count

    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def test_chains_of_one_library_share_what_follows_from_a_block():
    verdict_cache = VerdictCache()
    one, two = WORLD.chain(verdict_cache), WORLD.chain(verdict_cache)
    block = WORLD.block(one)
    one.add(block, LATE)
    assert name(block) in one._tree.links
    assert name(block) not in two  # what another has seen it has not
    with pytest.raises(KeyError):
        two.link(name(block))
    two.add(block, LATE)
    assert two._tree is one._tree
    assert (two.head, two.work) == (one.head, one.work)


def test_a_block_from_the_future_is_judged_by_the_clock_of_each_node():
    verdict_cache = VerdictCache()
    one, two = WORLD.chain(verdict_cache), WORLD.chain(verdict_cache)
    block = WORLD.block(one, time_ms=10**9)
    one.add(block, 10**9)
    with pytest.raises(InvalidBlock, match="time_ms"):
        two.add(block, 10**9 - WORLD.rules.max_ahead_ms - 1)


def test_a_block_that_one_node_saw_too_early_divides_nobody_once_others_build_on_it():
    # genesis - ahead - above1 - above2    of the chain that could hear ahead in time
    #    |
    #    +- own                            of the chain that saw ahead too early
    verdict_cache = VerdictCache()
    near, far = WORLD.chain(verdict_cache), WORLD.chain(verdict_cache)
    ahead = WORLD.block(near, time_ms=WORLD.rules.max_ahead_ms + 100)
    with pytest.raises(TooEarly, match=r"time_ms: is 5100; must be above 0 and at most 5099"):
        near.add(ahead, 99)
    assert far.add(ahead, 100).kind == "extended"
    own = WORLD.block(near, holders=range(2))
    assert near.add(own, 150).kind == "extended"
    above1 = WORLD.block(far)
    far.add(above1, 2000)
    above2 = WORLD.block(far)
    far.add(above2, 3000)
    assert near.add(above2, 3000).kind == "orphan"
    added = near.add(above1, 3000)
    assert (added.kind, near.head) == ("reorganised", far.head)
    assert added.connected == (name(ahead), name(above1), name(above2))
    assert near.orphans == 0


def ahead_and_its_children(after: State | None) -> tuple[Block, Block, Block]:
    """Return a block of nine seconds, and two blocks without messages on it."""
    ahead = WORLD.block(WORLD.chain(), after=after, time_ms=9000)
    below = {"parent": name(ahead), "height": 2, "messages_root": messages_root(())}
    header = mined(replace(WORLD.block(WORLD.chain()).header, **below))
    later = mined(replace(header, time_ms=header.time_ms + 1))
    return ahead, signed(header, ()), signed(later, ())


def test_a_block_that_was_too_early_is_taken_once_a_child_of_it_comes_in_time():
    # genesis - ahead -+- child
    #                  |
    #                  +- fresh
    chain = WORLD.chain()
    ahead, child, fresh = ahead_and_its_children(None)
    with pytest.raises(TooEarly):
        chain.add(ahead, 0)
    assert chain.add(child, 3999).kind == "orphan"
    assert (chain.height, chain.orphans) == (0, 2)
    added = chain.add(fresh, 4000)
    assert chain.head == name(ahead)
    assert len(added.refused) == 2


def test_a_block_that_was_too_early_and_is_wrong_is_refused_with_its_reason():
    # genesis - ahead -+- child
    #                  |
    #                  +- fresh
    chain = WORLD.chain()
    after = step(WORLD.state, WORLD.messages(WORLD.chain_id, 1))
    wrong = State(np.nextafter(after.weights, np.inf), after.memory)
    ahead, child, fresh = ahead_and_its_children(wrong)
    with pytest.raises(TooEarly):
        chain.add(ahead, 0)
    assert chain.add(child, 3999).kind == "orphan"
    assert (chain.height, chain.orphans) == (0, 2)
    added = chain.add(fresh, 4000)
    assert (added.kind, chain.height) == ("orphan", 0)
    assert "weights are not the aggregate" in added.refused[0][1]


def test_the_tree_forgets_what_the_slowest_chain_no_longer_needs():
    verdict_cache = VerdictCache()
    quick, slow = (WORLD.chain(verdict_cache, keep=2) for _ in range(2))
    blocks = WORLD.grow(WORLD.chain(), WORLD.rules.rounds)
    hear(quick, *blocks)
    assert len(quick._tree.links) == len(blocks) + 1
    hear(slow, *blocks)
    assert len(quick._tree.links) == 3


def test_a_secret_branch_that_some_chains_hear_of_late_is_forgotten_by_all():
    # genesis - public - above - ..    30 blocks
    #    |
    #    +- secret                     early hears it first, late hears it last
    verdict_cache = VerdictCache()
    early, late = (WORLD.chain(verdict_cache, keep=3) for _ in range(2))
    source = WORLD.chain()
    (secret,) = WORLD.branch(source, WORLD.chain_id, 1, miner=b"secret", holders=range(2))
    public, above = WORLD.branch(source, WORLD.chain_id, 2)
    hear(early, secret, public, above)
    hear(late, public, above, secret)
    while source.height < WORLD.rules.rounds:
        block = WORLD.block(source)
        for chain in (source, late, early):
            hear(chain, block)
    assert early.head == late.head == source.head
    assert [name(secret) in chain for chain in (early, late)] == [False, False]


def test_weights_of_float32_travel_as_they_are():
    world = make_world(dtype="float32")
    world.state = type(world.state)(world.state.weights.astype(np.float32), world.state.memory)

    def rounded(state, messages):
        after = step(state, messages)
        return type(after)(after.weights.astype(np.float32), after.memory)

    chain = world.chain(transition=rounded)
    after = rounded(world.state, world.messages(world.chain_id, 1))
    assert chain.add(world.block(chain, after=after), LATE).kind == "extended"


def grown(keep: int | None) -> tuple[Chain, list[Block]]:
    """Return a chain that remembers some heights below its head, and its blocks."""
    blocks = WORLD.grow(WORLD.chain(), WORLD.rules.rounds)
    chain = WORLD.chain(keep=keep)
    hear(chain, *blocks)
    return chain, blocks


def test_old_blocks_are_forgotten_but_not_the_way_to_the_head():
    chain, blocks = grown(keep=2)
    whole, _ = grown(keep=None)
    assert (chain.head, chain.work, chain.path()) == (whole.head, whole.work, whole.path())
    assert len(chain) == len(whole) == WORLD.rules.rounds + 1
    assert chain.stale == 0
    known = [name(block) in chain for block in blocks]
    assert known == [False] * (len(blocks) - 3) + [True] * 3
    assert all(name(block) in whole for block in blocks)


def test_what_a_retarget_looks_back_at_is_not_forgotten():
    world = make_world(retarget_window=6)
    source = world.chain()
    blocks = world.grow(source, 24)
    chain = world.chain(keep=2)
    for block in blocks:
        assert chain.add(block, LATE).kind == "extended"
    assert chain.link(chain.head).bits == source.link(source.head).bits
    kept = [name(block) in chain for block in blocks]
    assert kept == [False] * 11 + [True] * 13


def test_a_fork_off_a_forgotten_block_waits_and_changes_nothing():
    # genesis - 1 - .. - 28 - 29 - 30    a chain that keeps two blocks below its head
    #           |         |
    #           +- late   +- fresh
    chain, blocks = grown(keep=2)
    late = WORLD.block(grown(keep=None)[0], name(blocks[0]), holders=range(2))
    assert chain.add(late, LATE).kind == "orphan"
    assert chain.stale == 0
    fresh = WORLD.block(chain, name(blocks[-3]), holders=range(2))
    assert chain.add(fresh, LATE).kind == "side"
    assert chain.stale == 1
