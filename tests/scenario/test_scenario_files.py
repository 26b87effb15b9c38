import math
import re
from pathlib import Path

import pytest
from scenario_text import GOOD

from fedchain.scenario import load, plain_values, resolved_yaml
from fedchain.scenario.reading import read_yaml
from fedchain.scenario.schema import scenario_schema

FILES = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
SCHEMA = scenario_schema()
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


def fits(value, rule):
    """Say whether a value fits a schema; knows the words that this schema uses."""
    if "$ref" in rule:
        return fits(value, SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]])
    if "anyOf" in rule and not any(fits(value, r) for r in rule["anyOf"]):
        return False
    if "if" in rule and not fits(
        value, rule.get("then" if fits(value, rule["if"]) else "else", {})
    ):
        return False
    if not all(fits(value, each) for each in rule.get("allOf", ())):
        return False
    if "const" in rule and value != rule["const"]:
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    kinds = rule.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) for kind in kinds):
        return False
    if isinstance(value, dict):
        return fits_block(value, rule)
    if isinstance(value, list):
        return all(fits(v, rule.get("items", {})) for v in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return not isinstance(value, str) or bool(re.search(rule.get("pattern", ""), value))
    low, above = rule.get("minimum", -math.inf), rule.get("exclusiveMinimum", -math.inf)
    high, below = rule.get("maximum", math.inf), rule.get("exclusiveMaximum", math.inf)
    strict = (above < value or above == -math.inf) and (value < below or below == math.inf)
    return low <= value <= high and strict


def fits_block(value, rule):
    known = rule.get("properties", {})
    free = rule.get("additionalProperties", True)
    if any(key not in value for key in rule.get("required", ())):
        return False
    if free is False and any(key not in known for key in value):
        return False
    return all(
        fits(v, known.get(k, free if isinstance(free, dict) else {})) for k, v in value.items()
    )


def test_these_are_the_scenarios_and_each_is_in_the_readme():
    names = {path.name for path in FILES}
    assert names == {
        "first_light.yaml",
        "mosd.yaml",
        "real_scans.yaml",
        "breast_cancer.yaml",
        "convergence_vs_epsilon.yaml",
        "epsilon_breast_cancer.yaml",
        "epsilon_digits.yaml",
        "epsilon_mnist.yaml",
        "epsilon_scans.yaml",
        "scans_and_holders.yaml",
        "cohort.yaml",
        "audit.yaml",
        "averages.yaml",
        "mechanisms_and_holders.yaml",
        "privacy_filter.yaml",
        "rounds_at_fixed_epsilon.yaml",
        "groups.yaml",
        "groups_and_attackers.yaml",
        "few_directions.yaml",
        "public_subspace.yaml",
        "warm_start.yaml",
        "without_tuning.yaml",
        "block_interval.yaml",
        "dishonest_compute.yaml",
        "selfish_mining.yaml",
        "double_spend.yaml",
        "stale_blocks.yaml",
        "partition.yaml",
        "attacks_and_rules.yaml",
        "byzantine_share.yaml",
        "scans_and_attackers.yaml",
        "privacy_and_robustness.yaml",
        "backdoors.yaml",
        "momentum_and_attackers.yaml",
        "robust_and_private.yaml",
        "turntable.yaml",
        "scanners.yaml",
        "refine.yaml",
        "pu_net.yaml",
    }
    readme = (FILES[0].parent / "README.md").read_text()
    assert all(name in readme for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_scenario_is_good_and_says_its_question(path):
    scenario = load(path)
    assert scenario.description.strip()
    assert scenario.name.replace("-", "_") == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_resolved_file_of_every_scenario_is_the_same_scenario(path, tmp_path):
    scenario = load(path)
    again = tmp_path / "resolved.yaml"
    again.write_text(resolved_yaml(scenario), encoding="utf-8")
    assert load(again) == scenario


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_schema_takes_every_scenario_as_written_and_as_resolved(path):
    assert fits(read_yaml(path.read_text(), "s")[0].plain(), SCHEMA)
    assert fits(plain_values(load(path)), SCHEMA)


def test_the_first_light_keeps_its_promises_on_paper():
    scenario = load(FILES[[p.stem for p in FILES].index("first_light")])
    assert (scenario.nodes.holders, scenario.nodes.compute) == (20, 3)
    assert scenario.privacy.parameters["epsilon"] <= 8
    assert scenario.privacy.parameters["delta"] == 1e-5
    (attack,) = scenario.attacks
    assert attack.part.kind == "sign_flip"
    assert len(attack.holders) == 2
    assert attack.from_round == scenario.rounds // 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rounds: 10", "rouns: 10"),
        ("rounds: 10", "rounds: ten"),
        ("rounds: 10", "rounds: 0"),
        ("kind: gaussian", "kind: gausian"),
        ("epsilon: 4", "epsilon: 0"),
        ("epsilon: 4", "epsiln: 4"),
        ("keep: 14", "keep: [14]"),
        ("[18, 19]", "18"),
        ("name: small", "name: a/b"),
        ("rounds: 10\n", ""),
    ],
)
def test_the_schema_refuses_what_load_refuses(old, new):
    assert fits(read_yaml(GOOD, "s")[0].plain(), SCHEMA)
    assert not fits(read_yaml(GOOD.replace(old, new), "s")[0].plain(), SCHEMA)


@pytest.mark.parametrize(
    ("block", "good"),
    [
        ("{kind: selfish_mining, nodes: [0], gamma: 0.5}", True),
        ("{kind: censorship, nodes: [0], holders: [1], to_round: 3}", True),
        ("{kind: selfish_mining, holders: [0]}", False),
        ("{kind: sign_flip, nodes: [0]}", False),
    ],
)
def test_the_schema_knows_who_can_do_what(block, good):
    text = GOOD.replace("{kind: sign_flip, holders: [18, 19], from_round: 5}", block)
    assert fits(read_yaml(text, "s")[0].plain(), SCHEMA) == good


def test_the_schema_takes_parts_of_the_users_own_and_extending_files():
    assert fits(read_yaml(GOOD.replace("l_nearest", "lab.rules:mine"), "s")[0].plain(), SCHEMA)
    assert fits({"extends": "base.yaml", "rounds": 3}, SCHEMA)


def test_every_key_in_the_schema_is_described():
    def undescribed(rule, at=""):
        for name, inner in rule.get("properties", {}).items():
            if name != "kind" and name != "attacks" and "$ref" not in inner:
                if "description" not in inner:
                    yield f"{at}.{name}"
                yield from undescribed(inner, f"{at}.{name}")

    assert list(undescribed(SCHEMA)) == []
    for family, rule in SCHEMA["$defs"].items():
        for part in rule["allOf"]:
            assert list(undescribed(part["then"], family)) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("keep: 14", "kepe: 14", "aggregation"),
        ("kind: l_nearest", "kind: l_neerest", "aggregation.kind"),
        ("clip: 0.1", "clip: many", "privacy.clip"),
        ("kind: sign_flip", "kind: sign_flap", "attacks.0.kind"),
        ("from_round: 5", "from_rund: 5", "attacks.0"),
        ("attacks:", "nodes2: 3\nattacks:", ""),
        ("attacks:", "sweep: {grid: {privcy.epsilon: [1]}}\nattacks:", "sweep.grid"),
        ("attacks:", "sweep: {grid: {privacy.epsilon: 1}}\nattacks:", "sweep.grid.privacy.epsilon"),
        ("attacks:", "update: {learning_rat: .1}\nattacks:", "update"),
        ("attacks:", "gossip: {churn: {awya: .5}}\nattacks:", "gossip.churn"),
    ],
)
def test_an_editor_shows_one_error_for_one_mistake_and_where_it_is(old, new, place):
    validator = pytest.importorskip("jsonschema").Draft202012Validator(SCHEMA)
    assert list(validator.iter_errors(read_yaml(GOOD, "s")[0].plain())) == []
    assert old in GOOD
    errors = list(validator.iter_errors(read_yaml(GOOD.replace(old, new), "s")[0].plain()))
    assert {".".join(map(str, error.absolute_path)) for error in errors} == {place}
    missing = [error for error in errors if error.validator == "required"]
    assert len(errors) - len(missing) == 1  # a misspelt key may be one that is required
