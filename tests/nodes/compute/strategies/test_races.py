"""The two state machines against the published laws, without a network."""

from __future__ import annotations

import random

import pytest

from fedchain.nodes.compute.strategies import double_spend, selfish_mining
from fedchain.nodes.compute.strategies.double_spend import Attempt, verdict
from fedchain.nodes.compute.strategies.selfish_mining import Lead
from fedchain.reports.laws import double_spend_success as success
from fedchain.reports.laws import selfish_revenue as revenue

SEEDS = 5
BLOCKS = 80_000
ATTEMPTS = 10_000
GIVES_UP = 15
EYAL_SIRER = {
    (0.2, 0.0): 0.12967,
    (0.3, 0.0): 0.27313,
    (1 / 3, 0.0): 0.33333,
    (0.4, 0.0): 0.48372,
    (0.25, 0.5): 0.25,
    (0.3, 0.5): 0.32687,
    (0.4, 0.5): 0.52558,
}
"""Share of the work and gamma to the share of the main chain: Eyal and Sirer 2014, equation (8). At
gamma 0 the third and the fourth stand in Sapirshtein, Sompolinsky and Zohar 2016, table 1, too."""
ROSENFELD = {
    (0.1, 1): 0.2,
    (0.1, 2): 0.056,
    (0.1, 3): 0.01712,
    (0.1, 4): 0.005456,
    (0.3, 6): 0.1564496,
}
"""Share of the work and confirmations to the success of a double spend, one block made before:
Rosenfeld 2014, equation (1), and in per cent his table 1."""
NAKAMOTO = 0.1773523
"""The Poisson approximation at a share of .3 and 5 confirmations: Nakamoto 2008, section 11."""


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
    mean = sum(mined(share, gamma, seed) for seed in range(SEEDS)) / SEEDS
    assert abs(mean - revenue(share, gamma)) < 0.004


def test_the_formulas_give_the_published_values():
    for (share, gamma), value in EYAL_SIRER.items():
        assert revenue(share, gamma) == pytest.approx(value, abs=5e-6)
    for (share, confirmations), value in ROSENFELD.items():
        assert success(share, confirmations) == pytest.approx(value, rel=1e-5)


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
        step = double_spend.after_secret_block if draw() < q else double_spend.after_public_block
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
    law = success(0.3, 5)
    assert abs(NAKAMOTO - law) > 3.5 * (law * (1 - law) / ATTEMPTS) ** 0.5


def test_an_attempt_without_a_secret_block_has_no_payment_to_confirm():
    assert double_spend.after_public_block(Attempt()) == Attempt()


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
