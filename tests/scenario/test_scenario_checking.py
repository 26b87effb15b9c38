import pickle
import sys

import pytest
from scenario_text import GOOD, complaint, write

from fedchain.errors import ScenarioError
from fedchain.scenario import (
    from_mapping,
    load,
    plain_values,
    run_digest,
    run_name,
    scenario_digest,
)
from fedchain.scenario.reading import read_yaml

BOUND = "privacy.clip: must be a finite number or one of 'automatic'"
BAD = {
    "an unknown key": (
        "rounds: 10",
        "rouns: 10",
        "s.yaml:3:1: rouns: no such key; did you mean rounds?",
    ),
    "a missing section": ("rounds: 10\n", "", "rounds: is missing; write for example rounds: 40"),
    "a missing block": (
        "nodes:\n  holders: 20\n",
        "",
        "nodes: is missing; write for example nodes: {holders",
    ),
    "text for a number": (
        "rounds: 10",
        "rounds: ten",
        "s.yaml:3:9: rounds: must be a whole number, got 'ten' (text)",
    ),
    "a fraction for a whole number": (
        "rounds: 10",
        "rounds: 1.5",
        "rounds: must be a whole number, got 1.5 (a number)",
    ),
    "a truth for a number": (
        "epsilon: 4",
        "epsilon: true",
        "privacy.epsilon: must be a number, got true (true or false)",
    ),
    "quotes around a number": (
        "epsilon: 4",
        "epsilon: '4'",
        "privacy.epsilon: must be a number, got '4' (text)",
    ),
    "epsilon 0": (
        "epsilon: 4",
        "epsilon: 0",
        "s.yaml:9:12: privacy.epsilon: must be above 0, got 0",
    ),
    "epsilon nan": ("epsilon: 4", "epsilon: .nan", "s.yaml:9:12: privacy.epsilon: must be "),
    "clip nan": (
        "clip: 0.1",
        "clip: .nan",
        f"{BOUND}, got nan",
    ),
    "clip infinite": (
        "clip: 0.1",
        "clip: .inf",
        f"{BOUND}, got inf",
    ),
    "keep above holders": (
        "keep: 14",
        "keep: 40",
        "s.yaml:11:38: aggregation.keep: must be between 1 and 20 (the number of holders or "
        "groups asked in a round), got 40",
    ),
    "a cohort above the holders": (
        "  holders: 20",
        "  holders: 20\n  cohort: 21",
        "nodes.cohort: must be between 1 and 20 (the number of holders), got 21",
    ),
    "momentum of no kind": (
        "  holders: 20",
        "  holders: 20\n  momentum: {kind: nesterov}",
        "nodes.momentum.kind: must be one of 'ema' or 'mean', got 'nesterov'",
    ),
    "an exponential average without a share": (
        "  holders: 20",
        "  holders: 20\n  momentum: {kind: ema}",
        "nodes.momentum.beta: is missing; ema needs it: the share of the last mean that stays",
    ),
    "an exponential average that keeps everything": (
        "  holders: 20",
        "  holders: 20\n  momentum: {kind: ema, beta: 1.0}",
        "nodes.momentum.beta: must be below 1, got 1.0",
    ),
    "a mean with a share": (
        "  holders: 20",
        "  holders: 20\n  momentum: {kind: mean, beta: 0.9}",
        "nodes.momentum.beta: must be left out where kind is mean, which weighs all releases "
        "alike, got 0.9",
    ),
    "momentum of holders that are asked now and then": (
        "  holders: 20",
        "  holders: 20\n  cohort: 15\n  momentum: {kind: ema, beta: 0.9}",
        "s.yaml:8:13: nodes.momentum: must be null where a round asks only some holders "
        "(nodes.cohort: 15 of 20): the last message of most would be many rounds old, and its "
        "gradient out of date, got ema",
    ),
    "groups that do not divide the holders": (
        "  holders: 20",
        "  holders: 20\n  groups: {size: 6, honest: 0.8}",
        "nodes.groups.size: must divide the number of holders (20), got 6; 2, 4, 5, 10, 20 would",
    ),
    "groups without an assumption": (
        "  holders: 20",
        "  holders: 20\n  groups: {size: 5}",
        "nodes.groups.honest: is missing; it has no default",
    ),
    "groups whose honest members may all be lost": (
        "  holders: 20",
        "  holders: 20\n  groups: {size: 10, honest: 0.3, dropout: 0.3}",
        "nodes.groups.honest: 3 of 10 members, 3 of whom may be lost, leave no noise in a sum; at "
        "least 0.4 is allowed",
    ),
    "groups that may lose half": (
        "  holders: 20",
        "  holders: 20\n  groups: {size: 10, honest: 0.9, dropout: 0.5}",
        "nodes.groups.dropout: must be at most 0.34, got 0.5",
    ),
    "groups with noise that is not whole numbers": (
        "  holders: 20",
        "  holders: 20\n  groups: {size: 5, honest: 0.8}",
        "privacy.kind: must be skellam where holders form groups (whole numbers, whose sums have "
        "the same law; epsilon .inf for none), got gaussian",
    ),
    "an update around another of its kind": (
        "attacks:",
        "update:\n  kind: averaged\n  of:\n    kind: filtered\n    of:\n      kind: averaged\n"
        "      of: {kind: adam, learning_rate: 0.1}\nattacks:",
        "s.yaml:17:13: update.of.of.kind: must not be averaged again, which stands around it; each "
        "kind only once",
    ),
    "an update around nothing": (
        "attacks:",
        "update: {kind: filtered}\nattacks:",
        "update.of: is missing; it has no default",
    ),
    "more messages to keep than groups": (
        "  holders: 20",
        "  holders: 20\n  groups: {size: 5, honest: 0.8}",
        "aggregation.keep: must be between 1 and 4 (the number of holders or groups asked in a "
        "round), got 14",
    ),
    "keep above the cohort": (
        "  holders: 20",
        "  holders: 20\n  cohort: 13",
        "keep: must be between 1 and 13 (the number of holders or groups asked in a round), got 14",
    ),
    "more holders than a round can ask": (
        "  holders: 20",
        "  holders: 65537",
        "nodes.holders: must be between 1 and 65536 (all are asked in every round; nodes.cohort "
        "asks fewer), got 65537",
    ),
    "a cohort that no sum can hold": (
        "  holders: 20",
        "  holders: 100000\n  cohort: 65537",
        "nodes.cohort: must be at most 65536, got 65537",
    ),
    "more holders than can be registered": (
        "  holders: 20",
        "  holders: 10000001\n  cohort: 10",
        "nodes.holders: must be at most 10000000, got 10000001",
    ),
    "an attacker that is no holder": (
        "[18, 19]",
        "[18, 20]",
        "s.yaml:13:37: attacks[0].holders[1]: must be between 0 and 19 (the last holder), got 20",
    ),
    "a negative attacker": ("[18, 19]", "[-1]", "attacks[0].holders[0]: must be between 0 and 19"),
    "an attacker twice": (
        "[18, 19]",
        "[18, 18]",
        "attacks[0].holders[1]: holder 18 is listed twice",
    ),
    "no attackers": (
        "[18, 19]",
        "[]",
        "s.yaml:13:32: attacks[0].holders: must have at least 1 entry, got [] (a list)",
    ),
    "attackers that nothing names": (
        "holders: [18, 19], ",
        "",
        "s.yaml:13:5: attacks[0]: needs holders, share or count, got none; exactly one of them",
    ),
    "attackers that two keys name": (
        "[18, 19]",
        "[18, 19], share: 0.2",
        "attacks[0]: needs holders, share or count, got holders and share; exactly one of them",
    ),
    "a share of more than all": (
        "holders: [18, 19]",
        "share: 1.5",
        "attacks[0].share: must be at most 1, got 1.5",
    ),
    "more attackers than holders": (
        "holders: [18, 19]",
        "count: 21",
        "attacks[0].count: asks for 21 holders, but the other attacks leave 20",
    ),
    "an unknown knowledge": (
        "[18, 19]",
        "[18, 19], knowledge: everything",
        "attacks[0].knowledge: must be one of 'own', 'heard' or 'omniscient', got 'everything'",
    ),
    "a poison that does not exist": (
        "kind: sign_flip",
        "kind: poisoned, records: {kind: label_flipp}",
        "attacks[0].records.kind: no poison called 'label_flipp'; did you mean label_flip?",
    ),
    "an attack that ends before it begins": (
        "from_round: 5",
        "from_round: 5, to_round: 4",
        "attacks[0].to_round: must be at least from_round (5), got 4",
    ),
    "a misspelt key of an attack": (
        "from_round",
        "from_rund",
        "s.yaml:13:42: attacks[0].from_rund: no such key; did you mean from_round?",
    ),
    "an attack without a kind": (
        "kind: sign_flip, ",
        "",
        "s.yaml:13:5: attacks[0]: needs a block with a kind: one of",
    ),
    "a compute node that is no block": (
        "holders: 20",
        "holders: 20\n  compute: [1, {hash_share: 2}]",
        "nodes.compute[0]: must be a block of keys, got 1 (a whole number)",
    ),
    "a compute node without work": (
        "holders: 20",
        "holders: 20\n  compute: [{hash_share: 1}, {hash_share: 0}]",
        "nodes.compute[1].hash_share: must be above 0, got 0",
    ),
    "a compute node with a key of its own": (
        "holders: 20",
        "holders: 20\n  compute: [{hash_share: 1, power: 2}]",
        "nodes.compute[0].power: no such key",
    ),
    "compute nodes that are no number": (
        "holders: 20",
        "holders: 20\n  compute: many",
        "nodes.compute: must be a whole number or a list, got 'many' (text)",
    ),
    "a misbehaving node that is no compute node": (
        "kind: sign_flip, holders: [18, 19]",
        "kind: spam, nodes: [3]",
        "attacks[0].nodes[0]: must be between 0 and 2 (the last compute node), got 3",
    ),
    "a compute node that is to send other gradients": (
        "holders: [18, 19]",
        "nodes: [0]",
        "attacks[0].kind: no misconduct called 'sign_flip'; allowed: bad_time, censorship",
    ),
    "holders that are to mine selfishly": (
        "kind: sign_flip",
        "kind: selfish_mining",
        "attacks[0].nodes: is missing",
    ),
    "a misspelt key of a misconduct": (
        "kind: sign_flip, holders: [18, 19]",
        "kind: spam, nodes: [0], blokcs: 3",
        "attacks[0].blokcs: no such key; did you mean blocks?",
    ),
    "a censored holder that is none": (
        "kind: sign_flip, holders: [18, 19]",
        "kind: censorship, nodes: [0], holders: [20]",
        "attacks[0].holders[0]: must be between 0 and 19 (the last holder), got 20",
    ),
    "attacks that are no list": (
        "  - {kind: sign_flip, holders: [18, 19], from_round: 5}",
        "  kind: x",
        "attacks: must be a list of blocks",
    ),
    "an unknown kind": (
        "l_nearest",
        "l_nearst",
        "s.yaml:11:21: aggregation.kind: no aggregation called 'l_nearst'; did you mean l_nearest?",
    ),
    "a kind that is no text": (
        "kind: gaussian",
        "kind: [gaussian]",
        "privacy.kind: no mechanism called",
    ),
    "a block that is no block": (
        "nodes:\n  holders: 20",
        "nodes: 20",
        "s.yaml:5:8: nodes: must be a block of keys, got 20 (a whole number)",
    ),
    "a part that is no block": (
        "{kind: l_nearest, keep: 14}",
        "l_nearest",
        "aggregation: needs a block with a kind",
    ),
    "a name that is no file name": (
        "small",
        "../small",
        "s.yaml:2:7: name: must be letters, digits, dash, underscore or dot, at most 64",
    ),
    "another version": ("version: 1", "version: 2", "version: must be one of 1, got 2"),
    "two ways to fix the noise": (
        "epsilon: 4",
        "epsilon: 4\n  noise_multiplier: 1",
        "privacy: needs epsilon or noise_multiplier, got 4.0 and 1",
    ),
    "no way to fix the noise": (
        "  epsilon: 4\n",
        "",
        "privacy: needs epsilon or noise_multiplier, got None and None",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_scenario_says_where_and_what(tmp_path, case):
    old, new, said = BAD[case]
    assert old in GOOD
    assert said in complaint(write(tmp_path, GOOD.replace(old, new)))


def test_all_problems_come_at_once_with_a_caret_each(tmp_path):
    text = GOOD.replace("epsilon: 4", "epsilon: 0").replace("keep: 14", "keep: 40")
    text = text.replace("[18, 19]", "[18, 25]").replace("name: small", "name: a b") + "seed: -1\n"
    said = complaint(write(tmp_path, text))
    assert said.count("s.yaml:") == 5
    assert sum(line.strip() == "^" for line in said.splitlines()) == 5
    lines = said.splitlines()
    keep = next(i for i, line in enumerate(lines) if "aggregation.keep" in line)
    assert lines[keep + 2].index("^") == lines[keep + 1].index("40")


def test_one_compute_node_misbehaves_in_one_way_at_a_time_and_holders_are_others(tmp_path):
    spam = "  - {kind: spam, nodes: [1], from_round: 3}\n"
    lie = "  - {kind: wrong_weights, nodes: [0, 1]}\n"
    assert len(load(write(tmp_path, GOOD + spam)).attacks) == 2
    said = complaint(write(tmp_path, GOOD + spam + lie))
    assert "attacks[2].nodes: compute node 1 is in attacks[1] in round 3 too" in said


def test_a_member_of_a_group_has_no_names_of_its_own(tmp_path):
    grouped = GOOD.replace("  holders: 20", "  holders: 20\n  groups: {size: 5, honest: 0.8}")
    text = complaint(write(tmp_path, grouped.replace("[18, 19]", "[18, 19], names: 3")))
    assert "attacks[0].names: must be 1 where holders form groups: a member speaks through" in text


def test_one_holder_makes_one_attack_at_a_time(tmp_path):
    attack = "  - {kind: sign_flip, holders: [19], from_round: 7}\n"
    said = complaint(write(tmp_path, GOOD + attack))
    assert "attacks[1].holders: holder 19 is in attacks[0] in round 7 too" in said
    ended = GOOD.replace("from_round: 5", "from_round: 5, to_round: 6")
    assert len(load(write(tmp_path, ended + attack)).attacks) == 2


def test_too_few_holders_are_left_to_draw_from(tmp_path):
    more = "  - {kind: sign_flip, count: 10}\n  - {kind: random_direction, share: 0.5}\n"
    said = complaint(write(tmp_path, GOOD + more))
    assert "attacks[2].share: asks for 10 holders, but the other attacks leave 8" in said


def test_no_parameter_of_a_users_attack_has_a_name_that_every_attack_has(tmp_path, monkeypatch):
    (tmp_path / "clash_lab.py").write_text("def mine(view, *, share: float = 0.5): return view.own")
    monkeypatch.syspath_prepend(tmp_path)
    said = complaint(write(tmp_path, GOOD.replace("sign_flip", "clash_lab:mine")))
    assert "'clash_lab:mine' has a parameter share, which is a key of every attack" in said


def test_whole_numbers_are_numbers_too(tmp_path):
    assert isinstance(load(write(tmp_path, GOOD)).privacy.parameters["epsilon"], float)


def test_epsilon_may_be_infinite(tmp_path):
    scenario = load(write(tmp_path, GOOD), set={"privacy.epsilon": float("inf")})
    assert scenario.privacy.parameters["epsilon"] == float("inf")


@pytest.mark.parametrize("name", ["a", "a.b", "A-1_2", "x" * 64, "console", "a.con"])
def test_good_names_are_taken(tmp_path, name):
    assert load(write(tmp_path, GOOD), name=name).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a.", "a/b", "a b", "é", "x" * 65, "-a", "a\n"]
)
def test_bad_names_are_refused(tmp_path, name):
    assert "must be letters, digits" in complaint(write(tmp_path, GOOD), name=name)


@pytest.mark.parametrize("name", ["con", "NUL", "Com1.a"])
def test_names_of_devices_of_windows_are_refused_everywhere(tmp_path, name):
    said = complaint(write(tmp_path, GOOD), name=name)
    assert f"must not begin with the name of a device of Windows, got {name!r}" in said


def test_a_grid_is_checked_at_every_point(tmp_path):
    sweep = "sweep:\n  grid: {privacy.epsilon: [1, -1], aggregation.keep: [3, 30]}\n"
    said = complaint(write(tmp_path, GOOD + sweep))
    assert "s.yaml:15:31: privacy.epsilon: must be above 0, got -1" in said
    assert "s.yaml:15:58: aggregation.keep: must be between 1 and 20" in said
    assert said.count("s.yaml") == 2


def test_a_grid_with_an_unknown_path_or_axis_is_refused(tmp_path):
    said = complaint(write(tmp_path, GOOD + "sweep: {grid: {privacy.epsiln: [1]}}\n"))
    assert "s.yaml:14:16: privacy.epsiln: no such key; did you mean epsilon?" in said
    said = complaint(write(tmp_path, GOOD + "sweep: {grid: {rounds: [1]}, x: round}\n"))
    assert "sweep.x: no such path in the grid; did you mean rounds?" in said
    assert "no path" in complaint(write(tmp_path, GOOD + "sweep: {grid: {a..b: [1]}}\n"))
    assert "sweep.grid.rounds" in complaint(write(tmp_path, GOOD + "sweep: {grid: {rounds: []}}\n"))


def test_a_grid_may_change_a_kind(tmp_path):
    grid = "sweep: {grid: {aggregation: [{kind: mean}, {kind: l_nearest, keep: 3}]}}\n"
    assert load(write(tmp_path, GOOD + grid)).sweep is not None


def test_an_enormous_grid_is_refused_before_it_is_made(tmp_path):
    values = ", ".join(map(str, range(1, 100)))
    grid = f"sweep: {{grid: {{rounds: [{values}], seed: [{values}], nodes.compute: [{values}]}}}}\n"
    assert "970299 points; at most 2000" in complaint(write(tmp_path, GOOD + grid))


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_lab.py").write_text(
        "def halves(received, *, share: float = 0.5):\n    'Half.'\n"
        "def wrong(directions, norms, *, share: float = 0.5):\n    'No.'\n"
        "def untyped(received, *, share=0.5):\n    'No.'\n"
        "class Rule:\n    pass\n"
    )
    yield tmp_path
    sys.modules.pop("my_lab", None)


def test_a_part_of_the_users_own_gets_the_same_checks(lab):
    path = write(lab, GOOD)
    scenario = load(path, set={"aggregation": {"kind": "my_lab:halves", "share": 0.25}})
    assert scenario.aggregation.plain() == {"kind": "my_lab:halves", "share": 0.25}
    said = complaint(path, set={"aggregation": {"kind": "my_lab:halves", "shar": 1}})
    assert "no such key; did you mean share?" in said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("my_lab:gone", "cannot import 'my_lab:gone'"),
        ("no_such_lab:rule", "cannot import 'no_such_lab:rule'"),
        (":", "cannot import ':'"),
        ("my_lab:Rule", "is no Python function"),
        ("os:system", "is no Python function"),
        (
            "my_lab:wrong",
            "takes 2 values from the simulator (directions, norms); a part of this family is "
            "written def wrong(received, *, ..) -> Aggregate, where received has directions, "
            "norms, records, memory",
        ),
        ("my_lab:untyped", "must give its parameter share a type"),
    ],
)
def test_what_is_no_part_is_refused(lab, kind, said):
    assert said in complaint(write(lab, GOOD), set={"aggregation": {"kind": kind}})


def test_only_rules_that_can_weight_holders_take_weights(tmp_path):
    rule = {"kind": "krum", "byzantine": 1, "weights": "records"}
    said = complaint(write(tmp_path, GOOD), set={"aggregation": rule})
    words = "no such key: only l_nearest and mean weight holders; other rules count all alike"
    assert f"aggregation.weights: {words}" in said


@pytest.mark.parametrize("weights", ["records", {"kind": "records", "cap": "median"}])
def test_holders_are_not_weighted_where_nobody_vouches_for_their_numbers(weights, tmp_path):
    path, rule = write(tmp_path, GOOD), {"kind": "mean", "weights": weights}
    open_ = {"nodes.identity": "open", "aggregation": rule}
    assert "aggregation.weights: must be equal where identities are open: nobody vouches" in (
        complaint(path, set=open_)
    )
    assert load(path, set={"aggregation": rule}).aggregation.plain()["weights"] == weights
    assert load(path, set={**open_, "aggregation": {"kind": "mean", "weights": "equal"}})


def test_a_rule_that_trusts_a_public_root_needs_one(tmp_path):
    path, rule = write(tmp_path, GOOD), {"kind": "fltrust"}
    said = complaint(path, set={"aggregation": rule})
    assert "aggregation: fltrust compares messages with that of a public root, which the" in said
    inside = {"kind": "average_of", "rules": [{"kind": "mean"}, rule]}
    assert "public root, which the task does not declare" in complaint(
        path, set={"aggregation": inside}
    )
    task = {"kind": "public_root", "of": {"kind": "digits"}}
    assert load(path, set={"aggregation": rule, "task": task}).rooted
    assert load(path, set={"task": {"kind": "subset", "of": task}}).rooted
    assert not load(path).rooted


def test_a_public_root_needs_registered_identities(tmp_path):
    task = {"kind": "public_root", "of": {"kind": "digits"}}
    said = complaint(write(tmp_path, GOOD), set={"task": task, "nodes.identity": "open"})
    assert "nodes.identity: must be registered where the task declares a public root" in said


def test_plain_values_come_back_as_the_same_scenario(tmp_path):
    scenario = load(write(tmp_path, GOOD + "sweep: {grid: {rounds: [10, 20]}, seeds: 2}\n"))
    assert from_mapping(plain_values(scenario)) == scenario
    assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_a_mapping_is_checked_as_a_file_is():
    with pytest.raises(ScenarioError, match=r"privacy\.epsilon: must be above 0"):
        from_mapping({**read_yaml(GOOD, "s")[0].plain()}, set={"privacy.epsilon": 0})
    with pytest.raises(ScenarioError, match="is empty"):
        from_mapping({})


def test_the_digest_is_what_is_computed_and_nothing_else(tmp_path):
    path = write(tmp_path, GOOD)
    first = load(path)
    assert len(scenario_digest(first)) == 64
    for same in (
        {"name": "x"},
        {"description": "x"},
        {"seed": 9},
        {"sweep": {"grid": {"seed": [3]}}},
    ):
        assert scenario_digest(load(path, set=same)) == scenario_digest(first)
    for other in ({"rounds": 11}, {"privacy.epsilon": 5}, {"ledger.quorum": 0.9}, {"attacks": []}):
        assert scenario_digest(load(path, set=other)) != scenario_digest(first)
    assert run_name(load(path, seed=3)) == f"small-{run_digest(first)[:12]}-s3"


def test_a_default_that_is_written_out_changes_no_digest(tmp_path):
    written = load(write(tmp_path, GOOD + "ledger: {quorum: 0.8}\n", "w.yaml"))
    assert scenario_digest(written) == scenario_digest(load(write(tmp_path, GOOD)))
