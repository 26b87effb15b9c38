"""Running means that holders send, against a slow loop; and the last messages on a branch."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from group_runs import asked, grouped, pool_of, read, said
from small_runs import small

from fedchain.nodes.holders.holder_pool import HolderPool
from fedchain.nodes.holders.momentum import LastMessage, published_vector, release_behind
from fedchain.nodes.holders.pool_parts import PoolParts
from fedchain.nodes.holders.release import Withheld, messages_of
from fedchain.nodes.holders.trail import REMEMBERED_ROUNDS, Trail
from fedchain.privacy.mechanisms import gaussian, none
from fedchain.scenario import Momentum

KINDS = [Momentum(kind="ema", beta=0.9), Momentum(kind="ema", beta=0.5), Momentum(kind="mean")]
SIZE, ROUNDS = 40, 24


def pool(rows, momentum, mechanism=None, **overrides) -> HolderPool:
    """Return a pool in which every holder has the gradient that ``rows`` holds at the time."""
    kind = {"nodes.momentum": momentum.plain()}
    parts = PoolParts(
        gradients=lambda _, who, *__: rows[who],
        scenario=small(**{"attacks": [], **kind, **overrides}),
        task=SimpleNamespace(holders=[SimpleNamespace(count=50)] * len(rows)),
        mechanism=mechanism or none(10, SIZE),
    )
    return HolderPool(parts)


def slow(release, last: LastMessage | None, beta: float | None) -> list[float]:
    """Return the mean m_t, entry by entry, as the equation says it."""
    if last is None:
        return [float(entry) for entry in release]
    gain = 1.0 / (last.count + 1)
    if beta is not None and gain < 1.0 - beta:
        gain = 1.0 - beta
    message, mean = last.message, []
    for entry, integer in zip(release, message.direction, strict=True):
        before = float(integer) * (message.norm / 2.0**message.exponent)
        mean.append(before + gain * (float(entry) - before))
    return mean


@pytest.mark.parametrize("momentum", KINDS, ids=str)
@pytest.mark.parametrize("storage", ["int8", "int16", "int32"])
def test_messages_are_those_of_a_slow_loop_and_give_the_releases_back(momentum, storage):
    generator, last, both = np.random.default_rng(1), None, [asked(number=k) for k in (0, 1)]
    for count in range(ROUNDS):
        rows = generator.standard_normal((2, SIZE)).astype(np.float32)
        requests = [replace(both[0], last=last), both[1]]  # the other holder always starts anew
        message, other = pool(rows, momentum, **{"ledger.storage": storage})(
            None, requests
        ).messages
        expected = np.array([slow(rows[0], last, momentum.beta), slow(rows[1], None, None)])
        same = messages_of(expected, requests, [message.declaration] * 2, storage)
        assert [message.id, other.id] == [each.id for each in same]
        finest = message.norm / 2.0**message.exponent / momentum.gain(count + 1)
        found = release_behind(message, last, momentum)
        np.testing.assert_allclose(found, rows[0], rtol=1e-6, atol=0.5001 * finest)
        assert np.array_equal(release_behind(other, None, momentum), published_vector(other))
        last = LastMessage(message, count + 1)


def test_means_of_all_releases_are_the_mean_and_averages_forget():
    rows, counts = np.ones((1, SIZE), np.float32), range(1, 101)
    mean, average = Momentum(kind="mean"), Momentum(kind="ema", beta=0.9)
    assert [mean.gain(t) for t in counts] == [1 / t for t in counts]
    assert [average.gain(t) for t in (1, 2, 10, 11, 50)] == pytest.approx([1, 0.5, 0.1, 0.1, 0.1])
    for momentum, expected in ((mean, 25 / 100), (average, 1 - 0.9**25)):
        last = None
        for count in counts:  # the gradient is 0.001 for 75 rounds, then 1
            rows[:] = 1.0 if count > 75 else 1e-3
            made = pool(rows, momentum, **{"ledger.storage": "int32"})
            (message,) = made(None, [replace(asked(), last=last)]).messages
            last = LastMessage(message, count)
        assert published_vector(message).mean() == pytest.approx(expected, rel=4e-3)


def test_noise_comes_before_the_mean_and_the_attack_sees_the_mean():
    momentum, rows = KINDS[0], np.ones((1, SIZE), np.float32)
    noisy = gaussian(10, SIZE, noise_multiplier=2.0, clip=0.1)
    flip = [{"kind": "sign_flip", "holders": [0]}]
    (first,) = pool(rows, momentum)(None, [asked()]).messages
    asked_again = replace(asked(round_=4), last=LastMessage(first, 1))
    plain = replace(asked_again, last=None)
    (release,) = pool(rows, momentum, noisy)(None, [plain]).messages
    (mean,) = pool(rows, momentum, noisy)(None, [asked_again]).messages
    (withheld,) = pool(rows, momentum, noisy, attacks=flip)(None, [asked_again]).messages
    wanted = (published_vector(first) + published_vector(release)) / 2
    np.testing.assert_allclose(published_vector(mean), wanted, atol=1e-4)
    np.testing.assert_allclose(withheld.rows[0], wanted, atol=1e-4)


def test_what_attackers_decide_is_sent_as_it_is_and_not_averaged_again():
    rows, flip = np.ones((1, SIZE), np.float32), [{"kind": "sign_flip", "holders": [0]}]
    (first,) = pool(rows, KINDS[0])(None, [asked()]).messages
    decided = Withheld({0: np.arange(SIZE) - 7.0})
    request = replace(asked(round_=4), last=LastMessage(first, 1), sent=decided)
    (message,) = pool(rows, KINDS[0], attacks=flip)(None, [request]).messages
    np.testing.assert_allclose(published_vector(message), np.arange(SIZE) - 7.0, atol=1e-2)


def test_a_group_sends_the_mean_of_its_sums():
    unnoisy = {"privacy": {"kind": "skellam", "epsilon": float("inf"), "clip": 0.5}}
    scenario = grouped(**{**unnoisy, "nodes.momentum": {"kind": "mean"}})
    last, total = None, np.zeros(3)
    for count in range(1, 5):
        rows = np.random.default_rng(count).uniform(-0.1, 0.1, (10, 3))
        (message,) = said(pool_of(scenario, rows), replace(asked(round_=count), last=last))
        total += rows[:5].mean(axis=0)
        np.testing.assert_allclose(read(message), total / count, atol=1e-6)
        last = LastMessage(message, count)


def chain_of(*heights_spoken: int, top: int) -> dict[bytes, SimpleNamespace]:
    """Return blocks b"1" to b"<top>" in which participant 7 speaks at the given heights alone."""
    return {
        b"%d" % height: SimpleNamespace(
            header=SimpleNamespace(height=height, parent=b"%d" % (height - 1)),
            messages=(SimpleNamespace(round=height, who=7),) if height in heights_spoken else (),
        )
        for height in range(1, top + 1)
    }


def trail_over(blocks, keep: int = 64) -> tuple[Trail, list[bytes]]:
    read_blocks: list[bytes] = []

    def block_of(name):
        read_blocks.append(name)
        return blocks[name]

    return Trail(b"0", block_of, lambda message: message.who, keep), read_blocks


def test_a_mean_starts_anew_if_the_last_message_is_too_far_below():
    far = 3 + REMEMBERED_ROUNDS
    trail, _ = trail_over(chain_of(1, 3, far, top=far + 1))
    assert trail.at(b"0") == {}
    assert [trail.at(b"%d" % height)[7].count for height in (1, 2, 3, far - 1)] == [1, 1, 2, 2]
    assert trail.at(b"%d" % far)[7].count == 3  # the one before is just in reach
    late = far + 1
    trail, _ = trail_over(chain_of(1, 3, late, top=late))
    assert 7 not in trail.at(b"%d" % far)
    assert trail.at(b"%d" % late)[7].count == 1


def test_each_branch_has_its_own_last_messages_whatever_is_kept():
    blocks = chain_of(1, 2, 3, top=3)
    fork = SimpleNamespace(
        header=SimpleNamespace(height=2, parent=b"1"), messages=(SimpleNamespace(round=2, who=8),)
    )
    blocks[b"fork"] = fork
    for keep in (1, 64):
        trail, _ = trail_over(blocks, keep)
        for name in (b"3", b"fork", b"2", b"fork", b"3"):
            table = {who: last.count for who, last in trail.at(name).items()}
            assert table == {b"3": {7: 3}, b"2": {7: 2}, b"fork": {7: 1, 8: 1}}[name]


def test_a_block_is_read_only_while_its_table_is_missing():
    trail, read_blocks = trail_over(chain_of(*range(1, 31), top=30))
    for height in (*range(1, 31), 29, 30):
        trail.at(b"%d" % height)
    first = [b"%d" % height for height in range(1, 31) for _ in ("parent", "table", "messages")]
    assert read_blocks == [*first, b"29", b"30"]
