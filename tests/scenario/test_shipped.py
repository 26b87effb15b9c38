from pathlib import Path

import pytest
from scenario_text import GOOD

import fedchain
from fedchain.errors import ScenarioError
from fedchain.scenario import resolved_yaml, shipped_files
from fedchain.scenario.shipped import description_of, files_of, first_sentence, hidden_by, located

FOLDER = Path(__file__).parents[2] / "scenarios"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Stand in an empty folder, where no scenario is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(path, name="mine"):
    path.write_text(GOOD.replace("name: small", f"name: {name}"))


def test_every_file_of_the_folder_has_a_name():
    assert set(shipped_files().values()) == set(FOLDER.glob("*.yaml"))
    assert all(path.stem == name for name, path in shipped_files().items())


@pytest.mark.parametrize("name", shipped_files())
def test_a_scenario_by_name_is_the_one_of_its_file(name):
    file = fedchain.load(shipped_files()[name])
    assert fedchain.load(name) == file
    assert located(f"{name}.yaml") == located(Path(name)) == shipped_files()[name]


def test_a_scenario_by_name_shows_no_path_of_the_installation():
    text = resolved_yaml(fedchain.load("epsilon_mnist"))  # extends another one
    assert "# epsilon_mnist.yaml:" in text
    assert "# epsilon_digits.yaml:" in text
    assert str(FOLDER) not in text


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("first_light", "first_light"),
        ("first_light", "first_light.yaml"),
        ("first_light.yaml", "first_light.yaml"),
    ],
)
def test_a_file_of_that_name_wins(given, there):
    small(Path(there))
    assert fedchain.load(given).name == "mine"
    assert hidden_by(given) == Path(there)


def test_the_name_as_given_comes_before_the_name_with_its_ending():
    small(Path("first_light"), "short")
    small(Path("first_light.yaml"), "long")
    assert fedchain.load("first_light").name == "short"


def test_a_folder_of_that_name_wins_and_is_no_scenario():
    Path("groups").mkdir()
    assert located("groups") == hidden_by("groups") == Path("groups")
    with pytest.raises(
        ScenarioError, match=r"groups: is a directory; groups\.yaml is the scenario"
    ):
        fedchain.load("groups")
    assert fedchain.load("groups.yaml").name == "groups"


def test_nothing_is_hidden_where_the_shipped_file_itself_stands(monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert located("first_light") == Path("first_light.yaml")
    assert hidden_by("first_light") is None


@pytest.mark.parametrize(
    "given", ["./first_light", "lab/first_light.yaml", "../first_light", "no/such/name"]
)
def test_what_has_a_folder_is_never_a_name(given):
    assert located(given) == Path(given)
    with pytest.raises(ScenarioError, match="no such file"):
        fedchain.load(given)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("frist_light", "first_light"),
        ("first-light", "first_light"),
        ("scenarios/first_light.yaml", "first_light"),
        ("brest_cancer.yaml", "breast_cancer"),
    ],
)
def test_what_is_not_there_gets_a_suggestion_in_one_line(given, meant):
    with pytest.raises(ScenarioError) as caught:
        fedchain.load(given)
    assert str(caught.value) == (
        f"{given}: no such file; did you mean {meant}, which comes with fedchain? "
        "fedchain scenarios lists all of these"
    )


@pytest.mark.parametrize("given", ["zzz", "zzz.yaml", "", "x" * 5000, "a/" * 3000])
def test_what_resembles_nothing_is_explained_too(given):
    with pytest.raises(ScenarioError, match="give the path of a scenario file"):
        fedchain.load(given)


@pytest.mark.parametrize("name", shipped_files())
def test_every_scenario_says_its_question_in_its_first_sentence(name):
    description = description_of(shipped_files()[name])
    assert first_sentence(description).endswith("?")
    assert description == fedchain.load(name).description


def test_the_files_of_a_scenario_are_those_that_it_extends(tmp_path):
    names = [path.name for path in files_of(shipped_files()["scans_and_holders"])]
    assert names == ["scans_and_holders.yaml", "epsilon_scans.yaml", "first_light.yaml"]


def test_a_copy_of_the_package_alone_has_no_scenarios_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("fedchain.scenario.shipped.SHIPPED_FOLDERS", (tmp_path / "shipped",))
    assert shipped_files() == {}
    with pytest.raises(ScenarioError, match="give the path of a scenario file"):
        fedchain.load("first_light")


def test_an_installed_package_takes_its_own_scenarios(monkeypatch, tmp_path):
    inside, beside = tmp_path / "fedchain" / "shipped", tmp_path / "scenarios"
    for folder in (inside, beside):
        folder.mkdir(parents=True)
        small(folder / "first_light.yaml", folder.name)
    monkeypatch.setattr("fedchain.scenario.shipped.SHIPPED_FOLDERS", (inside, beside))
    assert fedchain.load("first_light").name == "shipped"
