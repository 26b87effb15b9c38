import pytest
from scenario_text import GOOD, complaint, write

from fedchain.errors import ScenarioError
from fedchain.scenario import load, parse_choices, parse_overrides, plain_values, resolved_yaml


def test_later_layers_win(tmp_path):
    write(tmp_path, GOOD.replace("rounds: 10", "rounds: 30\nseed: 1"), "base.yaml")
    path = write(tmp_path, "extends: base.yaml\nname: top\nprivacy: {epsilon: 2}\n")
    scenario = load(path, set={"rounds": 12, "seed": 2}, seed=3)
    assert (scenario.name, scenario.rounds, scenario.seed) == ("top", 12, 3)
    assert scenario.privacy.parameters["epsilon"] == 2.0
    assert scenario.privacy.parameters["clip"] == 0.1


def test_another_kind_keeps_the_keys_that_it_knows(tmp_path):
    path = write(tmp_path, GOOD)
    skellam = load(path, set={"privacy.kind": "skellam"}).privacy
    assert (skellam.kind, skellam.parameters["epsilon"], skellam.parameters["clip"]) == (
        "skellam", 4.0, 0.1
    )  # fmt: skip
    text = GOOD.replace("clip: 0.1", "clip: 0.1\n  delta: 1e-4\n  clip_quantile: 0.5")
    path = write(tmp_path, text)
    for kind in ("skellam", "knorm", "laplace"):
        there = load(path, set={"privacy.kind": kind}).privacy.parameters
        assert (there["epsilon"], there["clip"]) == (4.0, 0.1)
        assert "clip_quantile" not in there
    assert load(path, set={"privacy.kind": "none"}).privacy.plain() == {"kind": "none"}


def test_a_key_that_is_set_beside_a_new_kind_wins_and_must_be_known(tmp_path):
    path = write(tmp_path, GOOD + "update: {kind: adam, learning_rate: 0.5, beta1: 0.8}\n")
    values = {"update.learning_rate": 0.25, "update.kind": "momentum"}
    assert load(path, set=values).update.plain() == {
        "kind": "momentum", "learning_rate": 0.25, "momentum": 0.9, "decay": 0.0,
        "weight_decay": 0.0,
    }  # fmt: skip
    said = complaint(path, set={"update.kind": "momentum", "update.beta1": 0.7})
    assert said.startswith("--set update.beta1: no such key")


def test_another_kind_of_attack_keeps_who_makes_it_and_when(tmp_path):
    attack = load(write(tmp_path, GOOD), set={"attacks[0].kind": "random_direction"}).attacks[0]
    assert (attack.part.kind, attack.holders, attack.from_round) == (
        "random_direction",
        (18, 19),
        5,
    )


def test_another_kind_inside_a_part_keeps_the_keys_that_it_knows(tmp_path):
    latency = "{kind: lognormal, median: 80, sigma: 0.5}"
    path = write(tmp_path, GOOD + f"network: {{kind: complete, latency_ms: {latency}}}\n")
    values = {"network.latency_ms.kind": "regions", "network.latency_ms.matrix": [[10]]}
    there = load(path, set=values).network.parameters["latency_ms"]
    assert (there.kind, there.parameters["sigma"]) == ("regions", 0.5)


def test_a_kind_that_is_no_kind_is_the_only_problem(tmp_path):
    said = complaint(write(tmp_path, GOOD), set={"privacy.kind": "skelam"})
    assert said.count("\n") == 0
    assert "did you mean skellam?" in said


def test_a_path_with_one_value_is_no_axis_any_more(tmp_path):
    axes = "{privacy.epsilon: [1, 2], privacy.clip: [0.1, 0.2]}"
    path = write(tmp_path, GOOD + f"sweep: {{grid: {axes}, x: privacy.epsilon}}\n")
    left = load(path, set={"privacy.epsilon": 3}).sweep
    assert (dict(left.grid), left.x) == ({"privacy.clip": (0.1, 0.2)}, None)
    assert load(path, set={"privacy.clip": 3}).sweep.x == "privacy.epsilon"
    assert load(path, set={"privacy.clip": 3, "privacy.epsilon": 3}).sweep.grid == {}
    text = GOOD + "sweep: {grid: {privacy.clip_quantile: [0.4, 0.5]}}\n"
    values = {"privacy.kind": "knorm"}
    assert "no such key" in complaint(write(tmp_path, text), set=values)


def test_another_kind_in_a_file_empties_the_block_of_the_file_below(tmp_path):
    write(tmp_path, GOOD, "base.yaml")
    path = write(tmp_path, "extends: base.yaml\nprivacy: {kind: none}\n")
    assert load(path).privacy.plain() == {"kind": "none"}


def test_the_same_kind_keeps_its_block(tmp_path):
    scenario = load(write(tmp_path, GOOD), set={"privacy.kind": "gaussian"})
    assert scenario.privacy.parameters["epsilon"] == 4.0


def test_the_order_of_overrides_does_not_matter(tmp_path):
    path = write(tmp_path, GOOD)
    values = {"aggregation.kind": "mean", "nodes": {"holders": 20}, "nodes.compute": 5}
    backwards = dict(reversed(values.items()))
    assert plain_values(load(path, set=values)) == plain_values(load(path, set=backwards))
    assert load(path, set=backwards).nodes.compute == 5


def test_a_default_block_can_be_overridden_in_part(tmp_path):
    scenario = load(write(tmp_path, GOOD), set={"ledger.work.difficulty_bits": 8})
    assert scenario.ledger.work.kind == "hashcash"
    assert scenario.ledger.work.parameters["difficulty_bits"] == 8


@pytest.mark.parametrize("path", ["attacks[0].holders", "attacks.0.holders"])
def test_a_list_entry_goes_by_its_number(tmp_path, path):
    scenario = load(write(tmp_path, GOOD), set={path: [1, 2]})
    assert scenario.attacks[0].holders == (1, 2)


def test_an_unknown_path_is_an_error_with_a_suggestion(tmp_path):
    path = write(tmp_path, GOOD)
    said = complaint(path, set={"privacy.epsiln": 2})
    assert said.startswith("--set privacy.epsiln: no such key; did you mean epsilon?")
    said = complaint(path, set={"privcy.epsilon": 2})
    assert said.startswith("--set privcy.epsilon: privcy: no such key; did you mean privacy?")


def test_a_path_that_leads_nowhere_is_an_error(tmp_path):
    path = write(tmp_path, GOOD)
    assert complaint(path, set={"rounds.x": 2}) == (
        "--set rounds.x: rounds is no block; it is 10 (a whole number)"
    )
    assert complaint(path, set={"attacks[1].holders": [2]}) == (
        "--set attacks[1].holders: attacks has 1 entries, from 0"
    )
    for bad in ("", ".", "a..b", "a[x]", ".a", "a[0"):
        assert "no path" in complaint(path, set={bad: 2})


def test_a_value_that_yaml_cannot_say_is_an_error(tmp_path):
    assert "must be plain values" in complaint(write(tmp_path, GOOD), set={"rounds": object()})


def test_options_are_yaml():
    values = parse_overrides(["a=1e-5", "b=[1, 2]", "c={kind: adam}", "d=.inf", "e=x=y", "f="])
    assert values == {
        "a": 1e-5, "b": [1, 2], "c": {"kind": "adam"}, "d": float("inf"), "e": "x=y", "f": None
    }  # fmt: skip


@pytest.mark.parametrize(
    "option", ["rounds", "=3", "rounds=[1", "rounds=[!x 3]", "rounds={a: 1, a: 2}"]
)
def test_an_option_that_is_no_override_names_itself(option):
    with pytest.raises(ScenarioError, match="--set"):
        parse_overrides([option])


@pytest.mark.parametrize(
    "text",
    ["sc/scans #2", "#2", "a: b", "*_raw.ply", "&a", "!t x", "% x", "@x", "`x", "- x", "? x",
     "| x", "> x", "[old]", "[old]/x", "{a}", "'a' b", 'a "b"', "null", "~", "1e5", "true",
     "007", "--- x"],
)  # fmt: skip
@pytest.mark.parametrize("key", ["task.path", "name", "task.dirty"])
def test_a_path_or_a_name_is_text_whatever_its_characters_mean_in_yaml(key, text):
    assert parse_overrides([f"{key}={text}"]) == {key: text}
    assert parse_choices([f"{key}=x,{text}"]) == {key: ("x", text)}


def test_a_path_with_a_number_sign_reaches_the_task(tmp_path):
    path = write(tmp_path, GOOD)
    values = parse_overrides(["task={kind: scan_folder, path: x}", "task.path=/sc/scans #2"])
    assert load(path, set=values).task.parameters["path"] == "/sc/scans #2"


def test_quotation_marks_around_a_value_are_no_part_of_it():
    assert parse_overrides(["name='a b'", 'x="1"', "y='it''s'"]) == {
        "name": "a b", "x": "1", "y": "it's"
    }  # fmt: skip


def test_other_values_are_words_of_yaml_or_text_as_it_stands():
    assert parse_overrides(["a=0o17", "b=~", "c=x # y", "d=*a", "e=a: b", "f=yes"]) == {
        "a": 15, "b": None, "c": "x # y", "d": "*a", "e": "a: b", "f": "yes"
    }  # fmt: skip


def test_values_of_an_axis_end_at_commas_outside_of_brackets_and_quotation_marks():
    found = parse_choices(["a=1,.inf", "b=[1, 2],[3]", "c={k: a, l: [1, 2]},{k: b}", "d='x,y',z #"])
    assert found == {
        "a": (1, float("inf")),
        "b": ([1, 2], [3]),
        "c": ({"k": "a", "l": [1, 2]}, {"k": "b"}),
        "d": ("x,y", "z #"),
    }
    for option in ("a=1,,2", "a=1,"):
        with pytest.raises(ScenarioError, match="--set a: an empty value in"):
            parse_choices([option])


def test_a_path_given_twice_is_an_error():
    with pytest.raises(ScenarioError, match="--set a: given twice"):
        parse_overrides(["a=1", "a=2"])


def test_choices_keep_blocks_and_lists_together():
    assert parse_choices(["a=1,[2,3],{kind: x}"]) == {"a": (1, [2, 3], {"kind": "x"})}


def test_files_that_extend_each_other_in_a_ring_are_refused(tmp_path):
    write(tmp_path, "extends: s.yaml\n", "other.yaml")
    assert "extends itself" in complaint(write(tmp_path, "extends: other.yaml\n"))
    assert "extends itself" in complaint(write(tmp_path, "extends: s.yaml\n"))


def test_a_long_chain_of_files_is_refused(tmp_path):
    for i in range(12):
        write(tmp_path, f"extends: {i + 1}.yaml\n", f"{i}.yaml")
    write(tmp_path, GOOD, "12.yaml")
    assert "more than 8 files" in complaint(tmp_path / "0.yaml")


def test_extending_no_file_shows_the_line(tmp_path):
    said = complaint(write(tmp_path, "extends: gone.yaml\n"))
    assert said.startswith("s.yaml:1:10: extends: no file gone.yaml")
    assert "must be the path" in complaint(write(tmp_path, "extends: [a]\n"))


def test_a_problem_in_an_extended_file_is_shown_there(tmp_path):
    write(tmp_path, GOOD.replace("epsilon: 4", "epsilon: 0"), "base.yaml")
    said = complaint(write(tmp_path, "extends: base.yaml\n"))
    assert "base.yaml:9:12: privacy.epsilon: must be above 0, got 0" in said


def test_a_path_starts_from_its_file_and_an_override_from_here(tmp_path, monkeypatch):
    folder = tmp_path / "a"
    folder.mkdir()
    text = GOOD.replace("{kind: breast_cancer}", "{kind: scan_folder, path: scans}")
    path = write(folder, text)
    assert load(path).task.parameters["path"] == str(folder / "scans")
    monkeypatch.chdir(tmp_path)
    assert load(path, set={"task.path": "x"}).task.parameters["path"] == str(tmp_path / "x")


def test_the_resolved_file_says_which_layer_set_each_value(tmp_path):
    write(tmp_path, GOOD, "base.yaml")
    path = write(tmp_path, "extends: base.yaml\nname: top\n")
    text = resolved_yaml(load(path, set={"privacy.epsilon": 2}, seed=7))
    rows = {line.split(":")[0].strip(): line.rpartition("  # ")[2] for line in text.splitlines()}
    assert rows["name"] == f"{path}:2"
    assert rows["keep"] == f"{tmp_path / 'base.yaml'}:11"
    assert rows["epsilon"] == "--set privacy.epsilon"
    assert rows["seed"] == "--seed"
    assert rows["quorum"] == "default"


def test_the_resolved_file_is_the_same_scenario(tmp_path):
    first = load(
        write(tmp_path, GOOD), set={"privacy.epsilon": float("inf"), "description": "a: #"}
    )
    assert load(write(tmp_path, resolved_yaml(first), "r.yaml")) == first
