"""What is agreed stands in the rules of the chain, and a scenario that says otherwise is named."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from group_runs import grouped
from small_runs import small

from fedchain.agreement import (
    byzantine_messages,
    disagreements,
    mechanism_of,
    registered_records,
    rule_of,
    rules_of,
)
from fedchain.ledger.chain.rules import Rules, decode_rules, encode_rules
from fedchain.scenario import Scenario

LAYOUT = (("weight", (1, 30)), ("bias", (1,)))
COUNTS = [43, 43, 43, 43, 43, 43, 43, 42, 42, 42]


def agreed(scenario: Scenario, **changed: Any) -> Rules:
    """Return the rules of a scenario of ten holders, whose data are never read."""
    mechanism = mechanism_of(scenario, 31)
    if changed:
        mechanism = replace(mechanism, **changed)
    return rules_of(scenario, mechanism, LAYOUT, registered_records(scenario, COUNTS))


def text(scenario: Scenario) -> dict[str, Any]:
    return dict(json.loads(encode_rules(agreed(scenario))))


ROOTED = {"kind": "public_root", "of": {"kind": "breast_cancer"}, "records": 30}
CHANGES = {
    "task.records": ({"task": ROOTED}, "root"),
    "task.kind": ({"task": {"kind": "digits"}}, "task.kind"),
    "task.held_out": ({"task.held_out": 0.3}, "task.held_out"),
    "task.loss": ({"task.loss": {"kind": "focal"}}, "task.loss.kind"),
    "task.model": ({"task.model": {"kind": "mlp"}}, "task.model.kind"),
    "task.split": ({"task.split": {"kind": "dirichlet", "alpha": 1.0}}, "task.split.kind"),
    "privacy.epsilon": ({"privacy.epsilon": 4.0}, "privacy.epsilon"),
    "privacy.noise": ({"privacy.epsilon": 4.0}, r"privacy.noise\[0\]"),
    "privacy.delta": ({"privacy.delta": 1e-4}, "privacy.delta"),
    "privacy.clip": ({"privacy.clip": 0.5}, "privacy.clip"),
    "privacy.automatic": ({"privacy.clip": "automatic"}, "privacy.automatic"),
    "privacy.clip_quantile": ({"privacy.clip_quantile": 0.5}, "privacy.clip_quantile"),
    "privacy.unit": ({"privacy.unit": "holder"}, "privacy.unit"),
    "privacy.sampling_rate": ({"privacy.sampling_rate": 0.5}, "privacy.sampling_rate"),
    "privacy.spare_releases": ({"privacy.spare_releases": 3}, "privacy.spare_releases"),
    "privacy.releases": ({"privacy.spare_releases": 3}, "privacy.releases"),
    "privacy.accountant": ({"privacy.accountant": "rdp"}, "privacy.accountant"),
    "privacy.kind": ({"privacy": {"kind": "clipped", "clip": 1.0}}, "privacy.kind"),
    "aggregation.keep": ({"aggregation.keep": 6}, "aggregation.keep"),
    "aggregation.kind": ({"aggregation": {"kind": "trimmed_mean", "trim": 2}}, "aggregation.kind"),
    "threat.byzantine": ({"aggregation": {"kind": "trimmed_mean", "trim": 2}}, "threat.byzantine"),
    "threat.identity": ({"nodes.identity": "open"}, "threat.identity"),
    "update": ({"update.learning_rate": 0.2}, "update.learning_rate"),
    "rounds": ({"rounds": 7}, "ledger.rounds"),
    "cohort": ({"nodes.cohort": 8}, "ledger.holders"),
    "identity": ({"nodes.identity": "open"}, "ledger.identity"),
    "quorum": ({"ledger.quorum": 0.5}, "ledger.quorum"),
    "storage": ({"ledger.storage": "int8"}, "ledger.storage"),
    "weights": ({"ledger.weights": "float32"}, "model.dtype"),
    "difficulty": ({"ledger.work.difficulty_bits": 7}, "ledger.bits"),
    "holders": ({"nodes.holders": 9, "attacks": []}, "records"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_agreed_value_that_the_scenario_says_otherwise_is_named(name):
    changes, key = CHANGES[name]
    named = list(disagreements(agreed(small()), small(**changes)))
    assert [line for line in named if line.startswith(f"genesis: {key.replace(chr(92), '')}")]


def test_both_values_are_said():
    named = list(disagreements(agreed(small()), small(**{"privacy.delta": 1e-4})))
    assert "genesis: privacy.delta: is 0.001; the scenario says 0.0001" in named


def test_a_scenario_agrees_with_its_own_genesis():
    for scenario in (small(), grouped(), small(**{"privacy.clip_quantile": 0.5})):
        rules = agreed(scenario)
        assert list(disagreements(decode_rules(encode_rules(rules)), scenario)) == []


@pytest.mark.parametrize(
    "other", [{"name": "other"}, {"evaluate.every": 2}, {"disk.keep_weights": "last"}, {"seed": 1}]
)
def test_what_is_not_agreed_is_not_compared(other):
    assert list(disagreements(agreed(small()), small(**other))) == []


def test_genesis_does_not_say_who_attacks():
    attacked, honest = small(), small(attacks=[])
    assert encode_rules(agreed(attacked)) == encode_rules(agreed(honest))


def test_noise_that_another_machine_solved_in_other_last_bits_is_the_same_noise():
    noise = mechanism_of(small(), 31).noise_multiplier
    near, far = (agreed(small(), noise_multiplier=noise * (1 + e)) for e in (1e-9, 1e-4))
    assert list(disagreements(near, small())) == []
    assert "privacy.noise[0]" in next(disagreements(far, small()))


def test_clips_of_every_kind_are_said():
    fixed, automatic, following, none = (
        text(small(privacy=privacy))["privacy"]
        for privacy in (
            {"kind": "gaussian", "epsilon": 8.0, "clip": 0.25},
            {"kind": "gaussian", "epsilon": 8.0, "clip": "automatic"},
            {"kind": "gaussian", "epsilon": 8.0, "clip": 0.25, "clip_quantile": 0.5},
            {"kind": "none"},
        )
    )
    assert (fixed["clip"], fixed["automatic"]) == (0.25, False)
    assert (automatic["clip"], automatic["clip_asked"], automatic["automatic"]) == (
        1,
        "automatic",
        True,
    )
    assert (following["clip"], following["clip_asked"], following["clip_quantile"]) == (
        None,
        0.25,
        0.5,
    )
    assert (none["kind"], none["noise"], none["clip"]) == ("none", [0], "inf")


def test_a_group_registers_the_records_of_all_its_members():
    scenario = grouped()
    assert registered_records(scenario, COUNTS) == [215, 212]
    assert agreed(scenario).records == ((212, 1), (215, 1))
    assert text(scenario)["groups"]["honest"] == 0.8


def test_a_public_root_is_registered_without_records_and_weighs_nothing_in_the_rule():
    plain, rooted = small(), small(task=ROOTED)
    assert registered_records(rooted, COUNTS) == [*COUNTS, 0]
    assert agreed(rooted).records == agreed(plain).records == ((42, 3), (43, 7))
    assert (agreed(rooted).root, agreed(plain).root) == (True, False)
    assert agreed(rooted).holders == agreed(plain).holders == 10
    assert agreed(rooted).aggregation == agreed(plain).aggregation
    even = small(task=ROOTED, **{"aggregation.weights": None})
    mechanism = mechanism_of(even, 31)
    rule = rules_of(even, mechanism, LAYOUT, [43] * 10 + [0]).aggregation
    assert '"weights":"equal"' in rule  # 0 is no other number of records
    assert rule_of(even, mechanism, [43] * 10 + [0]).parameters["weights"] == "equal"


def test_where_identities_are_open_nothing_is_registered():
    assert agreed(small(**{"nodes.identity": "open"})).records == ()


def test_parameters_that_bear_the_name_of_an_agreed_field_are_kept_beside_it():
    part = SimpleNamespace(plain=lambda: {"kind": "my_lab:mine", "noise": 3, "releases": 6})
    scenario = SimpleNamespace(privacy=part)
    from fedchain.agreement import _privacy

    told = _privacy(scenario.privacy, mechanism_of(small(privacy={"kind": "none"}), 31))
    assert told["kind_asked"] == "my_lab:mine"
    assert told["noise_asked"] == 3
    assert "releases_asked" not in told
    assert not {"kind", "noise", "clip"} & told.keys()  # the rules have them in fields


def test_numbers_and_texts_that_have_no_canonical_form_are_said_in_words():
    task = {"kind": "subset", "of": {"kind": "breast_cancer"}, "data_seed": 2**60}
    assert text(small(task=task))["task"]["data_seed"] == str(2**60)
    endless = small(privacy={"kind": "gaussian", "epsilon": math.inf, "clip": 1.0})
    assert text(endless)["privacy"]["epsilon"] == "inf"
    odd = {"kind": "scan_folder", "path": "/scans", "dirty": "br\udcfcst_*.ply"}
    assert text(small(task=odd))["task"]["dirty"] == "br\\xfcst_*.ply"


def test_where_the_data_lie_is_not_said():
    scans = {"kind": "scan_folder", "path": "/home/somebody/scans"}
    for task in (scans, {"kind": "warm_start", "of": scans}):
        assert b"somebody" not in encode_rules(agreed(small(task=task)))
    moved = small(task={**scans, "path": "/elsewhere"})
    assert list(disagreements(agreed(small(task=scans)), moved)) == []


def test_a_part_has_one_text_whatever_the_order_of_its_parameters():
    one, other = {"keep": 7, "scale": "unit"}, {"scale": "unit", "keep": 7}
    texts = {
        agreed(small(aggregation={"kind": "l_nearest", **each})).aggregation
        for each in (one, other)
    }
    assert texts == {'{"keep":7,"kind":"l_nearest","scale":"unit","weights":"records"}'}


ATTACKS = [{"kind": "sign_flip", "holders": [0, 1, 9]}]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"attacks": []}, 0),
        ({"attacks": ATTACKS}, 3),
        ({"attacks": [{"kind": "sign_flip", "share": 0.2}, *ATTACKS]}, 5),
        ({"attacks": ATTACKS, "nodes.cohort": 5}, 2),
        ({"attacks": [{**ATTACKS[0], "names": 3}], "nodes.identity": "open"}, 9),
        ({"attacks": [{"kind": "withholding", "nodes": [0]}]}, 0),
    ],
)
def test_a_rule_that_is_told_nothing_is_told_what_the_attacks_send(changes, number):
    given = {"kind": "average_of", "rules": [{"kind": "dnc"}, {"kind": "trimmed_mean"}]}
    given["rules"][0]["first"] = [{"kind": "nnm"}, {"kind": "nnm", "byzantine": 1}]
    rules = agreed(small(aggregation=given, **changes))
    dnc, trimmed = json.loads(rules.aggregation)["rules"]
    assert (dnc["byzantine"], trimmed["trim"]) == (number, number)
    assert [each["byzantine"] for each in dnc["first"]] == [number, 1]
    assert json.loads(rules.agreed)["threat"]["byzantine"] == max(number, 1)


def test_an_attacked_group_is_one_attacker():
    scenario = grouped(aggregation={"kind": "krum"}, attacks=[])
    size = scenario.nodes.groups.size
    attacks = [{"kind": "sign_flip", "holders": [0, 1, size]}]
    assert byzantine_messages(grouped(attacks=attacks)) == 2


def test_a_rule_without_pre_aggregations_says_nothing_of_them():
    text = agreed(small(aggregation={"kind": "krum", "byzantine": 2})).aggregation
    assert json.loads(text) == {"byzantine": 2, "keep": 1, "kind": "krum", "scale": "restore"}
