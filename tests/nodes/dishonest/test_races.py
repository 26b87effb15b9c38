"""The two state machines against the published laws, without a network."""

from __future__ import annotations

import random

import pytest
from ledger_world import reference

from fedchain.nodes.dishonest import double_spend, selfish_mining
from fedchain.nodes.dishonest.double_spend import Attempt, verdict
from fedchain.nodes.dishonest.selfish_mining import Lead
from fedchain.studies.laws import double_spend as success
from fedchain.studies.laws import selfish_revenue as revenue

SEEDS = 5
BLOCKS = 80_000
ATTEMPTS = 10_000
GIVES_UP = 15


def mined(a: float, g: float, seed: int) -> float:
    """Share of the main chain by the longest-chain rule, the attacker showing what it decides."""
    draw = random.Random(f"{a} {g} {seed}").random
    lead, secret, shown, public = Lead(), 0, 0, 0
    main = [0, 0]
    for _ in range(BLOCKS):
        if draw() < a:
            secret += 1
            lead, count = selfish_mining.after_own(lead)
        else:
            if shown == public > 0 and draw() < g:  # it builds on what the attacker has shown
                main[1] += shown
                secret, shown, public = secret - shown, 0, 0
            public += 1
            lead, count = selfish_mining.after_public(lead)
        shown += count
        if shown > public:
            main[1] += shown
            secret, shown, public = secret - shown, 0, 0
        elif public > secret:
            main[0] += public
            secret, shown, public = 0, 0, 0
    return main[1] / sum(main)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.25, 0.3, 0.4])
def test_the_selfish_state_machine_earns_what_eyal_and_sirer_say(share, gamma):
    tolerance = reference()["selfish_mining_relative_revenue"]["tolerance"]
    mean = sum(mined(share, gamma, seed) for seed in range(SEEDS)) / SEEDS
    assert abs(mean - revenue(share, gamma)) < tolerance


def test_the_formula_is_that_of_the_reference():
    said = reference()["selfish_mining_relative_revenue"]
    for share, value in {"0.2": 0.2, "0.3": 0.3, "1/3": 1 / 3, "0.4": 0.4}.items():
        assert revenue(value, 0.0) == pytest.approx(said["gamma_0"][share], abs=5e-6)
    for share in said["gamma_0.5"]:
        assert revenue(float(share), 0.5) == pytest.approx(said["gamma_0.5"][share], abs=5e-6)
    spent = reference()["double_spend_exact_rosenfeld"]
    for q, values in ((0.1, spent["q0.1"]), (0.3, spent["q0.3"])):
        for z, value in values.items():
            assert success(q, int(z)) == pytest.approx(value, rel=1e-5)


def test_a_lead_of_two_ends_and_a_longer_one_shrinks_by_one():
    lead = Lead()
    for expected in (1, 2, 3):
        lead, count = selfish_mining.after_own(lead)
        assert (lead.blocks, count) == (expected, 0)
    lead, count = selfish_mining.after_public(lead)
    assert (lead, count) == (Lead(2), 1)
    lead, count = selfish_mining.after_public(lead)
    assert (lead, count) == (Lead(), 2)


def test_the_others_win_a_tie_by_the_next_block():
    lead, _ = selfish_mining.after_public(Lead(1))
    assert lead.tie
    assert selfish_mining.after_public(lead) == (Lead(), 0)


def spends(q: float, z: int, seed: int) -> bool:
    draw = random.Random(f"{q} {z} {seed}").random
    attempt = Attempt()
    while (said := verdict(attempt, z, GIVES_UP)) == "goes on":
        step = double_spend.after_own if draw() < q else double_spend.after_public
        attempt = step(attempt)
    return said == "succeeds"


@pytest.mark.parametrize("z", range(1, 7))
@pytest.mark.parametrize("q", [0.1, 0.3])
def test_attempts_succeed_as_often_as_the_exact_law_says(q, z):
    found = sum(spends(q, z, seed) for seed in range(ATTEMPTS)) / ATTEMPTS
    law = success(q, z)
    error = (law * (1 - law) / ATTEMPTS) ** 0.5
    assert abs(found - law) < 3.5 * error


def test_that_test_would_refuse_nakamotos_poisson_figures():
    poisson = reference()["double_spend_nakamoto_poisson"]["q0.3"]["5"]
    law = success(0.3, 5)
    assert abs(poisson - law) > 3.5 * (law * (1 - law) / ATTEMPTS) ** 0.5


def test_an_attempt_without_a_secret_block_has_no_payment_to_confirm():
    assert double_spend.after_public(Attempt()) == Attempt()


@pytest.mark.parametrize(
    ("secret", "public", "said"),
    [
        (1, 0, "goes on"),
        (2, 1, "goes on"),
        (2, 2, "goes on"),
        (3, 2, "succeeds"),
        (1, 4, "gives up"),
    ],
)
def test_a_branch_is_shown_when_the_payment_is_confirmed_and_it_is_longer(secret, public, said):
    assert verdict(Attempt(secret, public), 2, 3) == said


def test_the_majority_never_gives_up():
    assert verdict(Attempt(1, 1000), 6, None) == "goes on"
