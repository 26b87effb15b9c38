import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedchain.commands import main
from fedchain.commands.parts import catalogue

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SMALL = str(SCENARIOS / "breast_cancer.yaml")


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as main sets it; removed after the test

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fedchain", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(Path(SMALL).read_text().replace("epsilon: 4.0", "epsilon: 0"))
    return path


def test_good_scenarios_validate(call):
    code, out, err = call("validate", *sorted(SCENARIOS.glob("*.yaml")))
    assert (code, err) == (0, "")
    assert out.count(": ok, run ") == len(list(SCENARIOS.glob("*.yaml")))


def test_one_bad_scenario_is_enough_for_exit_2_and_all_are_shown(call, bad):
    code, out, err = call("validate", SMALL, bad, bad.parent / "gone.yaml")
    assert code == 2
    assert "breast_cancer.yaml: ok" in out
    assert "privacy.epsilon: must be above 0, got 0" in err
    assert "gone.yaml: no such file" in err
    assert list(bad.parent.iterdir()) == [bad]


def test_validate_in_json_is_one_object(call, bad):
    code, out, err = call("validate", bad, "--format", "json")
    result = json.loads(out)
    assert (code, err, result["ok"]) == (2, "", False)
    assert result["scenarios"][0]["problems"] == [
        {"key": "privacy.epsilon", "text": "must be above 0, got 0"}
    ]


def test_a_bad_override_is_named_as_it_was_given(call):
    code, out, err = call("explain", SMALL, "--set", "privacy.epsiln=3")
    assert (code, out) == (2, "")
    assert err.startswith("--set privacy.epsiln: no such key; did you mean epsilon?")
    code, _, err = call("explain", SMALL, "--set", "rounds")
    assert code == 2
    assert err.startswith("--set rounds: no value; write path=value")


def test_missing_data_is_exit_3(call, tmp_path):
    code, _, err = call(
        "explain", SCENARIOS / "real_scans.yaml", "--set", f"task.path={tmp_path / 'gone'}"
    )
    assert code == 3
    assert "gone" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("form", ["rich", "plain"])
def test_list_shows_families_and_parts(call, form):
    code, out, _ = call("list", "--format", form)
    assert code == 0
    assert "\x1b" not in out
    for word in ("l_nearest", "gaussian", "sign_flip", "hashcash", "breast_cancer"):
        assert word in out


def test_list_of_one_family_in_json(call):
    _, out, _ = call("list", "update", "--format", "json")
    kinds = [part["kind"] for part in json.loads(out)["update"]]
    steps = [
        "adam",
        "averaged",
        "distance_over_gradients",
        "filtered",
        "gradient_descent",
        "momentum",
    ]
    assert kinds == steps


def test_a_misspelt_name_gets_a_suggestion(call):
    assert call("list", "updat")[0] == 2
    code, _, err = call("describe", "l_neares")
    assert code == 2
    assert "did you mean l_nearest?" in err


def test_describe_has_an_example_that_is_a_good_block(call):
    from fedchain.registry import FAMILIES
    from fedchain.scenario.reading import read_yaml

    _, out, _ = call("describe", "skellam", "--format", "json")
    (part,) = json.loads(out)["parts"]
    block = read_yaml(part["example"], "s")[0].plain()["privacy"]
    assert FAMILIES["mechanism"].family().check(block).kind == "skellam"
    _, out, _ = call("describe", "l_nearest")
    assert "number l of gradients to use" in out
    assert "aggregation: {kind: l_nearest, keep: 1" in out


def test_no_description_shows_the_marks_of_a_docstring_or_sends_to_another_part():
    for part in (part for parts in catalogue().values() for part in parts):
        for parameter in part.parameters:
            assert "``" not in parameter["meaning"]
            assert not parameter["meaning"].startswith("as in"), (part.kind, parameter["name"])


def test_describe_shows_code_between_single_marks(call):
    _, out, _ = call("describe", "label_flip")
    assert "``" not in out


def test_every_example_is_good_yaml_in_its_place(call):
    from fedchain.commands.parts import catalogue
    from fedchain.scenario.reading import read_yaml

    for parts in catalogue().values():
        for part in parts:
            assert f"kind: {part.kind}" in part.example
            _, problems = read_yaml(part.example, "s")
            assert problems == []


def test_schema_is_one_json_object(call):
    code, out, _ = call("schema")
    assert code == 0
    assert json.loads(out)["title"] == "fedchain scenario"


def test_explain_in_json_has_the_noise_the_epsilon_and_the_estimates(call):
    code, out, err = call("explain", SMALL, "--set", "privacy.epsilon=2", "--format", "json")
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert result["scenario"]["privacy"]["epsilon"] == 2.0
    assert result["noise_multiplier"] > 0
    assert result["epsilon"]["total"] == pytest.approx(2.0, rel=1e-3)
    assert 0 < result["epsilon"]["per_release"] < 2.0
    assert result["epsilon"]["delta"] == 1e-4
    told = {"seconds", "hashing_seconds", "memory_mb", "disk_mb", "stale_share"}
    assert set(result["estimates"]) == told
    assert all(value > 0 for value in result["estimates"].values())


def test_explain_without_privacy_has_no_bound_and_says_so(call):
    code, out, _ = call("explain", SMALL, "--set", "privacy.kind=none", "--format", "json")
    assert code == 0
    assert json.loads(out)["epsilon"]["total"] is None
    _, out, _ = call("explain", SMALL, "--set", "privacy.kind=none")
    assert "no privacy is promised" in out


def test_explain_shows_the_source_of_every_value(call):
    _, out, _ = call("explain", SMALL, "--set", "rounds=7", "--seed", "5", "--format", "plain")
    assert any(
        line.startswith("rounds: 7") and line.endswith("# --set rounds")
        for line in out.splitlines()
    )
    assert any(
        line.startswith("seed: 5") and line.endswith("# --seed") for line in out.splitlines()
    )
    assert "about" in out


@pytest.mark.parametrize("arguments", [["validate"], ["frob"], ["list", "--format", "x"]])
def test_bad_usage_is_exit_2(call, arguments):
    assert call(*arguments)[0] == 2


@pytest.mark.parametrize("command", ["validate", "explain", "list", "describe", "schema"])
def test_every_command_has_an_example_in_its_help(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"Example: fedchain {command}" in out


def test_the_version_needs_no_command(call):
    code, out, _ = call("--version")
    assert code == 0
    assert out.startswith("fedchain ")


def test_help_imports_nothing_heavy():
    code = "import sys; from fedchain.commands import assemble; assemble(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "pydantic", "scipy", "matplotlib", "ruamel", "sklearn", "networkx"}
    assert not heavy & set(out.stdout.split())


def test_a_part_in_the_current_folder_is_found(tmp_path):
    (tmp_path / "own_lab.py").write_text(
        "from fedchain.aggregation import aggregations\n"
        "def half(received, *, share: float = 0.5):\n"
        "    return aggregations.build(aggregations.check({'kind': 'median'}), received)\n"
    )
    code = "from fedchain.commands import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "validate", SMALL,
         "--set", "aggregation={kind: own_lab:half}"],
        cwd=tmp_path, capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_is_no_error():
    schema = f'"{sys.executable}" -c "from fedchain.commands import main; main()" schema'
    done = subprocess.run(
        ["bash", "-c", f"{schema} | head -c 10; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_explain_says_what_a_chain_without_learning_costs(call):
    code, out, _ = call("explain", SCENARIOS / "double_spend.yaml")
    assert code == 0
    assert "kind: double_spend" in out
    assert "3 compute nodes, shares of work 0.35, 0.35, 0.3" in " ".join(out.split())
    found = json.loads(call("explain", SCENARIOS / "double_spend.yaml", "--format", "json")[1])
    assert found["estimates"]["seconds"] > 0
    assert found["estimates"]["hashing_seconds"] == 0.0
    assert "hashing none: work is drawn" in " ".join(out.split())


def test_explain_says_how_long_a_chain_will_hash_here(call):
    work = "ledger.work={kind: hashcash, difficulty_bits: 30}"
    bare = ("explain", SCENARIOS / "stale_blocks.yaml", "--set", work, "--set", "rounds=100")
    _, out, _ = call(*bare)
    assert re.search(r"hashing about [0-9,]+ s here", " ".join(out.split()))
    estimates = json.loads(call(*bare, "--format", "json")[1])["estimates"]
    fewest = 100 * 2**30 / 20e6  # no core tries twenty million nonces a second
    assert estimates["seconds"] > estimates["hashing_seconds"] > fewest
