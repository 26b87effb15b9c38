"""Lists of parts in a scenario: read, set, written, and refused with their place."""

from __future__ import annotations

import pytest
from small_runs import small

from fedchain.commands.parts import described
from fedchain.errors import ScenarioError
from fedchain.scenario import from_mapping, load, plain_values, resolved_yaml
from fedchain.scenario.schema import scenario_schema

MIXED = {"kind": "caf", "first": [{"kind": "nnm"}, {"kind": "bucketing", "size": 3}]}
BOTH = {"kind": "average_of", "rules": [MIXED, {"kind": "dnc", "byzantine": 2}]}


@pytest.mark.parametrize("rule", [MIXED, BOTH, {"kind": "caf"}])
def test_a_scenario_with_lists_of_parts_is_written_and_read_again(rule, tmp_path):
    scenario = small(aggregation=rule)
    assert from_mapping(plain_values(scenario)) == scenario
    file = tmp_path / "again.yaml"
    file.write_text(resolved_yaml(scenario))
    assert load(file).aggregation == scenario.aggregation


def test_options_set_a_list_or_what_is_in_it():
    values = {"aggregation.kind": "mean", "aggregation.first": [{"kind": "nnm", "byzantine": 3}]}
    part = small(**values).aggregation.parameters["first"][0]
    assert part.plain() == {"kind": "nnm", "byzantine": 3}
    base = plain_values(small(aggregation=MIXED))
    changed = from_mapping(base, set={"aggregation.first[1].size": 4}).aggregation
    assert changed.parameters["first"][1].parameters["size"] == 4
    # a new kind keeps no key of the old one
    other = from_mapping(base, set={"aggregation.first[1].kind": "nnm"}).aggregation
    assert other.parameters["first"][1].plain() == {"kind": "nnm", "byzantine": None}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({**MIXED, "first": [{"kind": "nnm", "byzantine": 11}]}, "aggregation.first[0].byzantine"),
        ({**BOTH, "rules": [MIXED, BOTH]}, "aggregation.rules[1].kind: must be another rule than"),
        ({**BOTH, "rules": []}, "aggregation.rules: must have 1 to 8 blocks, got 0"),
        ({**BOTH, "rules": [{"kind": "mean", "keep": 3}]}, "aggregation.rules[0].keep: no such"),
    ],
)
def test_what_is_wrong_in_a_list_is_named_with_its_place(rule, words):
    with pytest.raises(ScenarioError) as caught:
        small(aggregation=rule)
    assert words in str(caught.value)


def test_lists_of_parts_are_described_and_in_the_schema():
    (caf,) = described("caf")
    (first,) = [each for each in caf.parameters if each["name"] == "first"]
    assert first["allowed"].startswith("a list of 0 to 8 blocks, each a pre_aggregation: bucketing")
    (both,) = described("average_of")
    assert both.example == "aggregation: {kind: average_of, rules: [{kind: ..}]}"
    (nnm,) = described("nnm")
    assert nnm.example.startswith("aggregation:\n  kind: ..\n  first:\n  - {kind: nnm")
    schema = scenario_schema()["$defs"]
    assert {"$ref": "#/$defs/pre_aggregation"} in [
        inner.get("items")
        for each in schema["aggregation"]["allOf"]
        for inner in each["then"]["properties"].values()
    ]
