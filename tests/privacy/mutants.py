"""Simulators that make a mistake each: fedchain with one thing broken, for the checks to find."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

from fedchain import agreement
from fedchain.learning.gradients import cohort as gradients
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.ledger.chain.message import Message
from fedchain.nodes.holders import holder_pool as pool
from fedchain.nodes.holders import pool_parts, release
from fedchain.privacy import guarantee, skellam_law
from fedchain.privacy.budget import Budget
from fedchain.privacy.mechanisms import Terms, gaussian, knorm, laplace, skellam
from fedchain.privacy.mechanisms.gaussian import Gaussian
from fedchain.simulation.simulation import Simulation

MODULES = {
    made.__name__: __import__(made.__module__, fromlist=["_"])
    for made in (gaussian, knorm, laplace, skellam)
}
"""The module of each mechanism, whose names the mutants replace."""


def noise_of_the_sum_on_the_mean(patch):
    patch.setattr(Terms, "sensitivity", lambda terms, _: terms.clip)


def noise_of_the_mean_on_the_sum(patch):
    true = gradients.Segments
    patch.setattr(gradients, "Segments", lambda n, _, *rest: true(n, [1.0] * len(n), *rest))


def normalises_before_the_noise(patch):
    true = pool.private_releases

    def normalising(rows, *rest):
        norms = np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12
        return true((rows / norms).astype(np.float32), *rest)

    patch.setattr(pool, "private_releases", normalising)


def clips_the_batch(patch):
    true = CohortGradients.__init__

    def whole(self, task, clip, unit="record", *rest, **named):
        true(self, task, clip, "holder", *rest, **named)

    patch.setattr(CohortGradients, "__init__", whole)


def clips_nothing(patch):
    true = CohortGradients.__init__

    def bare(self, task, clip, *rest, **named):
        true(self, task, None, *rest, **named)

    patch.setattr(CohortGradients, "__init__", bare)


def _nameless(place):
    """Leave one step out of the names of the noise: 1 the holder, 2 the round, 3 the parent."""

    def forget(patch):
        true = release.digest

        def shorter(seed, *names):
            return true(seed, *(name for at, name in enumerate(names) if at not in place))

        patch.setattr(release, "digest", shorter)

    return forget


holders_share_their_noise = _nameless((1,))
rounds_share_their_noise = _nameless((2, 3))
forks_share_their_noise = _nameless((3,))
rounds_of_a_fork_share_their_noise = _nameless((2,))


def a_resumed_release_has_new_noise(patch):
    patch.setattr(release, "digest", lambda *_: os.urandom(32))


def _totals(broken):
    def break_it(patch):
        true = MODULES["gaussian"].GAUSSIAN_TOTALS
        changed = {kind: broken(total) for kind, total in true.items()}
        patch.setattr(MODULES["gaussian"], "GAUSSIAN_TOTALS", changed)

    return break_it


forgets_the_steps = _totals(lambda total: lambda s, _, delta, rate: total(s, 1, delta, rate))
counts_half_the_steps = _totals(
    lambda total: lambda s, steps, delta, rate: total(s, max(1, steps // 2), delta, rate)
)
forgets_the_rate = _totals(lambda total: lambda s, steps, delta, _: total(s, steps, delta, 1.0))
halves_the_rate = _totals(
    lambda total: lambda s, steps, delta, rate: total(s, steps, delta, rate / 2)
)


def counts_every_release_twice(patch):
    true = Budget.spend

    def spend(self, parent, round_):
        before = self.releases
        true(self, parent, round_)
        self.releases += self.releases - before

    patch.setattr(Budget, "spend", spend)


def forgets_every_third_release(patch):
    true = Budget.spend

    def spend(self, parent, round_):
        true(self, parent, round_)
        self.releases -= self.releases == 3

    patch.setattr(Budget, "spend", spend)


def counts_rounds_of_the_chain(patch):
    true = Simulation.releases.fget

    def by_height(self):
        return {holder: min(made, self.chain.height) for holder, made in true(self).items()}

    patch.setattr(Simulation, "releases", property(by_height))


def lets_batch_norm_in(patch):
    patch.setattr(gradients, "refuse_layers", lambda module: module.train())
    patch.setattr(gradients, "method_for", lambda *_, **__: "layers")


def shows_one_release_as_the_total(patch):
    true = Gaussian.epsilon_after
    patch.setattr(Gaussian, "epsilon_after", lambda self, releases: true(self, min(1, releases)))


def cuts_the_tails(patch):
    true = MODULES["gaussian"].normals
    cut = lambda keys, count: np.clip(true(keys, count), -4, 4)  # noqa: E731
    patch.setattr(MODULES["gaussian"], "normals", cut)


def takes_a_radius_of_one_dimension_less(patch):
    true = MODULES["knorm"].stream

    def smaller(*names):
        generator = true(*names)
        return SimpleNamespace(standard_gamma=lambda shape: generator.standard_gamma(shape - 1))

    patch.setattr(MODULES["knorm"], "stream", smaller)


def draws_laplace_from_too_few_bits(patch):
    true = MODULES["laplace"].laplaces

    def coarse(keys, count):
        drawn = true(keys, count)
        return np.sign(drawn) * np.round(abs(drawn) * 50) / 50

    patch.setattr(MODULES["laplace"], "laplaces", coarse)


def leaves_the_rest_of_skellam_out(patch):
    patch.setattr(skellam_law, "_settle", lambda *_: None)


def publishes_the_raw_norm(patch):
    true, last, speak = pool.private_releases, {}, pool.messages_of

    def remember(rows, *rest):
        last["norms"] = np.linalg.norm(rows, axis=1)
        return true(rows, *rest)

    def raw(*arguments):
        said = speak(*arguments)
        return [replace(m, norm=float(n)) for m, n in zip(said, last["norms"], strict=True)]

    patch.setattr(pool, "private_releases", remember)
    patch.setattr(pool, "messages_of", raw)


def clips_at_the_median_of_private_norms(patch):
    true, last, declare = pool.private_releases, {}, pool.declaration_of

    def remember(rows, *rest):
        last["median"] = float(np.median(np.linalg.norm(rows, axis=1)))
        return true(rows, *rest)

    def declared(*said):
        return replace(declare(*said), clip=last["median"])

    patch.setattr(pool, "private_releases", remember)
    patch.setattr(pool, "declaration_of", declared)


def follows_the_quantile_without_noise(patch):
    patch.setattr(Gaussian, "count_noise", 0.0)


def forgets_the_cost_of_the_count(patch):
    patch.setattr(Gaussian, "joint_multiplier", property(lambda self: self.noise_multiplier))


def publishes_the_loss(patch):
    @dataclass(frozen=True, eq=False)
    class Telling(Message):
        loss: float = 0.5

    patch.setattr(release, "Message", Telling)


def adds_noise_after_the_last_local_step(patch):
    patch.setattr(pool_parts, "releases_in_message", lambda *_: 1)


def local_steps_share_their_noise(patch):
    true = pool_parts.private_releases

    def shared(rows, mechanism, records, contexts):
        same = [replace(each, local_step=0) for each in contexts]
        return true(rows, mechanism, records, same)

    patch.setattr(pool_parts, "private_releases", shared)


def counts_the_local_steps_as_one_release(patch):
    patch.setattr(agreement, "releases_in_message", lambda *_: 1)


def never_warns(patch):
    patch.setattr(guarantee, "warnings_for", lambda *_: [])


def warns_by_the_smallest_holder(patch):
    true = guarantee.warnings_for
    patch.setattr(guarantee, "warnings_for", lambda made, records: true(made, [min(records)]))


def halves_the_noise(patch):
    true = MODULES["gaussian"].normals
    patch.setattr(MODULES["gaussian"], "normals", lambda *asked: true(*asked) / 2)
