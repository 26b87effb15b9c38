"""Mistakes of noise that hide behind what is right: in a few rounds, holders, keys or releases."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from fedchain.nodes.holders import holder_pool as pool
from fedchain.nodes.holders import release
from fedchain.privacy.mechanisms import Terms, gaussian, skellam
from fedchain.privacy.mechanisms.gaussian import Gaussian

GAUSSIAN = __import__(gaussian.__module__, fromlist=["_"])
SKELLAM = __import__(skellam.__module__, fromlist=["_"])


def _scaled(factor):
    """Multiply the noise of a release by a factor of its context."""

    def break_it(patch):
        true = pool.private_releases

        def scaled(rows, mechanism, records, contexts):
            noisy = true(rows, mechanism, records, contexts)
            factors = np.array([factor(at) for at in contexts], np.float32)[:, None]
            return rows + factors * (noisy - rows)

        patch.setattr(pool, "private_releases", scaled)

    return break_it


leaves_out_one_round = _scaled(lambda at: float(at.round != 17))
leaves_out_every_tenth_round = _scaled(lambda at: float(at.round % 10 != 0))
leaves_out_one_release = _scaled(lambda at: float((at.round, at.holder) != (17, 3)))
shrinks_the_noise_after_round_20 = _scaled(lambda at: 20 / max(20, at.round))
halves_the_noise_of_two_holders = _scaled(lambda at: 1.0 - 0.5 * (at.holder in (3, 11)))


def _keyed(changed):
    """Draw everything from keys of another purpose or context: ``changed(purpose, context)``."""

    def break_it(patch):
        true = release.secret_key

        def other(purpose, context):
            return true(*changed(purpose, context))

        patch.setattr(release, "secret_key", other)
        patch.setattr(pool, "secret_key", other)

    return break_it


cuts_the_holder_to_a_byte = _keyed(lambda what, at: (what, replace(at, holder=at.holder & 255)))
cuts_the_round_to_a_byte = _keyed(lambda what, at: (what, replace(at, round=at.round & 255)))
cuts_the_parent_to_a_byte = _keyed(lambda what, at: (what, replace(at, parent=at.parent[:1])))
forgets_the_purpose = _keyed(lambda _, at: ("noise", at))
forgets_the_holder = _keyed(lambda what, at: (what, replace(at, holder=0)))
forgets_the_round = _keyed(lambda what, at: (what, replace(at, round=0)))
forgets_the_parent = _keyed(lambda what, at: (what, replace(at, parent=b"")))
forgets_the_secret = _keyed(lambda what, at: (what, replace(at, secret=bytes(32))))
counts_from_the_stream_of_the_noise = _keyed(
    lambda what, at: ("noise" if what == "clip" else what, at)
)
draws_records_from_the_stream_of_the_noise = _keyed(
    lambda what, at: ("noise" if what == "records" else what, at)
)


def numbers_releases_as_they_are_computed(patch):
    """A resumed run begins anew: its first release would have the noise of the run's first."""
    numbers, true = itertools.count(1), release.secret_key
    counted = lambda what, at: true(what, replace(at, round=next(numbers), parent=b""))  # noqa: E731
    patch.setattr(release, "secret_key", counted)


def numbers_holders_within_their_cohort(patch):
    true = pool.private_releases

    def numbered(rows, mechanism, records, contexts):
        places = [replace(at, holder=place) for place, at in enumerate(contexts)]
        return true(rows, mechanism, records, places)

    patch.setattr(pool, "private_releases", numbered)


def leaves_out_all_but_the_first_call(patch):
    true, calls = pool.private_releases, itertools.count()

    def first(rows, *rest):
        return rows if next(calls) else true(rows, *rest)

    patch.setattr(pool, "private_releases", first)


def scales_the_noise_by_the_first_clip(patch):
    true, first = pool.private_releases, {}

    def at_first(rows, mechanism, records, contexts):
        clip = first.setdefault("clip", mechanism.terms.clip)
        return true(rows, mechanism.with_clip(clip), records, contexts)

    patch.setattr(pool, "private_releases", at_first)


def _records(chosen):
    def break_it(patch):
        true = pool.private_releases

        def equal(rows, mechanism, records, contexts):
            return true(rows, mechanism, [chosen(records)] * len(records), contexts)

        patch.setattr(pool, "private_releases", equal)

    return break_it


takes_the_largest_holder_for_all = _records(max)
takes_the_smallest_holder_for_all = _records(min)


def forgets_the_rate_of_the_mean(patch):
    patch.setattr(Terms, "sensitivity", lambda terms, records: terms.clip / terms.units(records))


def _drawn(changed):
    def break_it(patch):
        true = GAUSSIAN.normals
        patch.setattr(GAUSSIAN, "normals", lambda keys, count: changed(true, keys, count))

    return break_it


draws_in_half_precision = _drawn(
    lambda true, keys, count: true(keys, count).astype(np.float16).astype(np.float32)
)
repeats_the_noise_within_a_vector = _drawn(
    lambda true, keys, count: np.tile(true(keys, 1000), (1, count // 1000 + 1))[:, :count]
)
draws_the_first_half_only = _drawn(
    lambda true, keys, count: true(keys, count) * (np.arange(count) <= count // 2)
)


def momentum_before_the_noise(patch):
    true_noise, true_mean = pool.private_releases, pool.with_momentum
    later = {}

    def wait(rows, *rest):
        later["noise"] = true_noise(rows, *rest) - rows
        return rows

    def mean_first(rows, last, momentum):
        return true_mean(rows, last, momentum) + later["noise"]

    patch.setattr(pool, "private_releases", wait)
    patch.setattr(pool, "with_momentum", mean_first)


def rounds_to_the_grid_for_nothing(patch):
    patch.setattr(SKELLAM, "on_the_grid", lambda sigma, _, __: sigma)
    patch.setattr(SKELLAM, "_skellam_total", SKELLAM._skellam_total.__wrapped__)  # no cache


def moves_the_clip_without_noise(patch):
    patch.setattr(Gaussian, "count_noise", 0.0)


def forgets_the_spare_releases(patch):
    true = GAUSSIAN._solved_sigma

    def fewer(accountant, releases, *rest):
        return true(accountant, max(1, releases - 4), *rest)

    patch.setattr(GAUSSIAN, "_solved_sigma", fewer)
