import json
import shlex
from pathlib import Path

import pytest
from command_line import call

from fedchain.scenario import load, shipped_files

NAMED = "that comes with fedchain"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)


def test_every_scenario_has_one_line_with_its_question():
    done = call("scenarios", "--format", "plain")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(shipped_files())
    assert all(line.rstrip().endswith("?") for line in lines)


def test_scenarios_in_json_are_one_object():
    listed = json.loads(call("scenarios", "--format", "json").out)["scenarios"]
    assert [each["name"] for each in listed] == list(shipped_files())
    assert all(Path(each["file"]).is_file() and each["description"] for each in listed)


def test_a_copy_is_the_same_scenario_and_the_next_command_is_said():
    done = call("scenarios", "copy", "breast_cancer", "-o", "my lab/mine.yaml")
    assert (done.code, done.err) == (0, "")
    assert Path("my lab/mine.yaml").read_bytes() == shipped_files()["breast_cancer"].read_bytes()
    next_ = done.out.splitlines()[-1].partition("next")[2].split("·")
    assert [shlex.split(command) for command in next_] == [
        ["fedchain", "explain", "my lab/mine.yaml"],
        ["fedchain", "run", "my lab/mine.yaml"],
    ]


@pytest.mark.parametrize("name", ["epsilon_mnist", "scans_and_holders.yaml"])
def test_a_copy_brings_the_files_that_it_extends(name):
    done = call("scenarios", "copy", name, "--format", "json")
    files = json.loads(done.out)["files"]
    assert sorted(files) == sorted(path.name for path in Path.cwd().iterdir())
    assert len(files) > 1
    assert load(Path.cwd() / files[0]) == load(shipped_files()[name.removesuffix(".yaml")])


def test_nothing_is_overwritten_without_force():
    Path("breast_cancer.yaml").write_text("mine")
    done = call("scenarios", "copy", "breast_cancer")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("breast_cancer.yaml: is there already; give another file")
    assert Path("breast_cancer.yaml").read_text() == "mine"
    assert call("scenarios", "copy", "breast_cancer", "--force").code == 0
    assert load("breast_cancer.yaml").name == "breast-cancer"


def test_a_file_that_is_extended_is_not_overwritten_either_unless_it_is_the_same():
    assert call("scenarios", "copy", "epsilon_mnist").code == 0
    assert call("scenarios", "copy", "epsilon_breast_cancer").code == 0  # extends the same file
    Path("epsilon_digits.yaml").write_text("mine")
    done = call("scenarios", "copy", "epsilon_mnist", "-o", "other.yaml")
    assert done.code == 2
    assert done.err.startswith("epsilon_digits.yaml: is there already")
    assert not Path("other.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["brest_cancer"], "no scenario called 'brest_cancer' comes with fedchain; did you mean"),
        (["scenarios/breast_cancer.yaml"], "no scenario called"),
        (["breast_cancer", "-o", "."], ".: is a folder; give a new file with --out"),
        (["epsilon_mnist", "-o", "epsilon_digits.yaml"], "epsilon_digits.yaml: is the name of"),
    ],
)
def test_what_cannot_be_copied_is_refused_in_one_line(arguments, complaint):
    done = call("scenarios", "copy", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(complaint)
    assert done.err.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ("run", "breast_cancer", "--dry-run"),
        ("explain", "breast_cancer.yaml"),
        ("validate", "breast_cancer"),
        ("sweep", "breast_cancer", "--dry-run", "--set", "rounds=1,2"),
    ],
)
def test_a_file_that_takes_a_shipped_scenarios_place_is_told_of_once(command):
    done = call(*command)
    assert (done.code, done.err) == (0, "")
    Path("breast_cancer.yaml").write_bytes(shipped_files()["breast_cancer"].read_bytes())
    done = call(*command)
    assert done.code == 0
    assert done.err == (
        f"{command[1]}: taking the file breast_cancer.yaml of this folder, "
        f"not the scenario of that name {NAMED}\n"
    )


def test_an_audit_takes_a_name_and_prefers_the_folder_of_a_run():
    Path("audit").mkdir()
    done = call("audit", "audit")
    assert done.code == 2
    said = done.err.splitlines()
    assert said[0].startswith("audit: taking the folder audit of this folder")
    assert "audit" in said[1]
    assert "Traceback" not in done.err


def test_a_run_by_name_keeps_the_text_of_the_file():
    done = call("run", "breast_cancer", "--set", "rounds=1", "--format", "json")
    assert done.code == 0
    (folder,) = Path("runs").iterdir()
    assert (folder / "scenario.yaml").read_bytes() == shipped_files()["breast_cancer"].read_bytes()


def test_a_name_that_is_not_there_is_one_line_and_exit_2():
    for command in ("run", "explain", "validate", "sweep", "audit"):
        done = call(command, "frist_light")
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "did you mean first_light" in done.err
