"""Noise follows its law, and has the same bits with and without the kernels."""

from __future__ import annotations

import hashlib
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fedchain import transforms
from fedchain.native.loading import library
from fedchain.randomness import digest, laplaces, normals
from fedchain.transforms import add_gradients, lengths, to_laplaces, to_normals

KEYS = [digest(0, "transforms", number) for number in range(8)]
EDGES = [0, 1, 2, 3, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 3 * 2**30, 2**32 - 2, 2**32 - 1]
DIGESTS = [
    "81cd62e309de70caef772110012c65334db75a6a63aa85244e195b2eb3faee93",
    "cc035dbf190f06171e6af436b6e81261f01ce8a55b250307ba819c2fcdc07daf",
]
"""Of normal and of Laplace numbers."""
WORDS = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**32 - 1))


def tail(place):
    return (place + 1) * 2.0**-60


def made(transform, words):
    words, found = np.array(words, dtype=np.uint32), np.empty(len(words), np.float32)
    transform(words, found, tail)
    return found


@pytest.fixture
def plain(monkeypatch):
    """Compute without the kernels."""
    monkeypatch.setattr(transforms, "library", lambda: None)
    monkeypatch.setattr(transforms, "library", lambda: None)


@pytest.mark.skipif(library() is None, reason="the kernels are not compiled here")
@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=80))
def test_kernels_give_the_bits_of_numpy(words):
    words = words[: len(words) // 2 * 2]
    for transform in (to_normals, to_laplaces):
        fast = made(transform, words)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transforms, "library", lambda: None)
            assert made(transform, words).tobytes() == fast.tobytes()


def test_numbers_of_a_key_are_known_bits():
    digests = [hashlib.sha256(law(KEYS, 3001).tobytes()).hexdigest() for law in (normals, laplaces)]
    assert digests == DIGESTS


def test_numbers_of_a_key_are_the_same_without_kernels(plain):
    test_numbers_of_a_key_are_known_bits()


@pytest.mark.parametrize("words", [[word, other] for word in EDGES for other in EDGES])
def test_normal_numbers_are_those_of_box_and_muller(words):
    first, second = made(to_normals, words)
    lifted = words[0] + mpmath.mpf(1) / 2 if words[0] else mpmath.mpf(tail(0))
    radius = mpmath.sqrt(-2 * mpmath.log(lifted / 2**32)) if lifted < 2**32 else mpmath.mpf(0)
    # The angle is in the quarter of its first two bits, 45 degrees to either side of its middle.
    turn = mpmath.pi / 2 * (words[1] >> 30) + mpmath.pi / 4 * (
        mpmath.mpf(words[1] % 2**30) / 2**29 - 1
    )
    wanted = float(radius * mpmath.cos(turn)), float(radius * mpmath.sin(turn))
    near = 4e-7 * float(radius) + 1e-4 * (words[0] > 2**32 - 300)
    assert abs(first - wanted[0]) <= near
    assert abs(second - wanted[1]) <= near


@pytest.mark.parametrize("word", EDGES)
def test_laplace_numbers_are_logarithms(word):
    (found,) = made(to_laplaces, [word])
    lifted = (word >> 1) + mpmath.mpf(1) / 2 if word >> 1 else mpmath.mpf(tail(0))
    wanted = float(mpmath.log(lifted / 2**31)) * (-1 if word & 1 else 1)
    assert found == pytest.approx(wanted, rel=3e-7, abs=3e-8)


def law_of(draw, total):
    """Return the moments, the Kolmogorov-Smirnov distance and the tails of many numbers."""
    many = np.concatenate(
        [draw([digest(1, "law", k)], 2**20)[0] for k in range(-(-total // 2**20))]
    )
    return many.astype(np.float64)


def check_law(total):
    # Five standard deviations of each statistic, for as many numbers.
    for draw, law in ((normals, stats.norm), (laplaces, stats.laplace)):
        many = law_of(draw, total)
        count, width = len(many), law.std()
        assert abs(many.mean()) < 5 * width / math.sqrt(count)
        squares = many**2
        assert abs(squares.mean() - width**2) < 5 * squares.std() / math.sqrt(count)
        many.sort()
        steps = np.arange(1, count + 1) / count
        distance = max((steps - law.cdf(many)).max(), (law.cdf(many) - steps + 1 / count).max())
        assert distance * math.sqrt(count) < 2.3  # one in 10^4 is above
        for far in (2.0, 4.0, 5.0, 5.5):
            expected = count * 2 * law.sf(far)
            seen = count - np.searchsorted(many, far) + np.searchsorted(many, -far)
            assert abs(seen - expected) < 5 * math.sqrt(expected) + 5


def test_noise_follows_its_law():
    check_law(2**21)


@pytest.mark.long
def test_a_hundred_million_numbers_follow_their_law():
    check_law(10**8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 70), st.integers(-60, 60), st.integers(0, 2**32 - 1))
def test_a_length_is_the_root_of_sixteen_partial_sums_of_squares(count, power, seed):
    row = np.random.default_rng(seed).standard_normal(count) * 2.0**power
    for kind in (np.float32, np.float64):
        sums = [0.0] * 16
        for place, value in enumerate(row.astype(kind).tolist()):
            sums[place % 16] += value * value
        total = 0.0
        for each in sums:
            total += each
        wanted = math.sqrt(total)
        with pytest.MonkeyPatch.context() as patch:
            assert lengths(row.astype(kind)[None]).tolist() == [wanted]
            patch.setattr(transforms, "library", lambda: None)
            assert lengths(row.astype(kind)[None]).tolist() == [wanted]


def test_a_row_with_an_infinite_entry_has_an_infinite_length():
    found = lengths(np.array([[1.0, np.inf], [np.nan, 0.0]], dtype=np.float32))
    assert found[0] == math.inf
    assert math.isnan(found[1])


def test_releases_have_the_same_bits_without_kernels(monkeypatch):
    generator = np.random.default_rng(5)
    noise = generator.standard_normal((3, 101)).astype(np.float32)
    gradients, scales = generator.standard_normal((3, 101)), [0.3, 7.0, 1e-9]
    fast, slow = noise.copy(), noise.copy()
    add_gradients(fast, scales, gradients)
    monkeypatch.setattr(transforms, "library", lambda: None)
    add_gradients(slow, scales, gradients)
    assert fast.tobytes() == slow.tobytes()
    products = noise * np.array(scales, dtype=np.float32)[:, None]
    assert (fast == (products.astype(np.float64) + gradients).astype(np.float32)).all()
