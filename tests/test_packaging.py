"""The package's description of itself and its declared requirements, against the code."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import call

import fedchain

HOME = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
IMPORTED_AS = {
    "dp-accounting": "dp_accounting",
    "pillow": "PIL",
    "ruamel.yaml": "ruamel",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "small-gicp": "small_gicp",
}
"""Packages whose modules have another name."""


def modules_of(*requirements):
    names = [re.match(r"[A-Za-z0-9_.-]+", line)[0] for line in requirements]
    return {IMPORTED_AS.get(name, name) for name in names}


EXTRAS = PROJECT["optional-dependencies"]
NEEDED = modules_of(*PROJECT["dependencies"])
EXTRA = modules_of(*(line for name in ("ray", "scans", "parquet") for line in EXTRAS[name]))
DEVELOPMENT = modules_of(*EXTRAS["dev"])


def imported(code, inside=True):
    """Yield the modules that running code imports; ``inside`` includes imports in functions."""
    for node in ast.iter_child_nodes(code):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported(ast.Module(node.orelse, []), inside)
        elif inside or not isinstance(node, ast.FunctionDef):
            yield from imported(node, inside)


def foreign(folder, inside=True):
    """Return the modules that a folder's files import, without Python's and the folder's own."""
    files = sorted((HOME / folder).rglob("*.py"))
    own = {"fedchain", "__future__", *(path.stem for path in files)}
    texts = [path.read_text(encoding="utf-8") for path in files]
    found = {name for text in texts for name in imported(ast.parse(text), inside)}
    return found - own - sys.stdlib_module_names


def test_the_search_for_imports_finds_all_that_run():
    code = """
if TYPE_CHECKING:
    import a
else:
    import b.c
from d.e import f
def g():
    if x:
        import h
"""
    assert list(imported(ast.parse(code))) == ["b", "d", "h"]
    assert list(imported(ast.parse(code), inside=False)) == ["b", "d"]


def test_everything_that_the_package_imports_is_a_dependency():
    assert foreign("fedchain") - EXTRA == NEEDED
    assert foreign("fedchain", inside=False) <= NEEDED


def test_everything_that_the_tests_import_is_installed_with_dev():
    beside = {path.stem for path in (HOME / "benchmarks").glob("*.py")} | {"verify_chain"}
    assert foreign("tests") - beside <= NEEDED | DEVELOPMENT


def test_the_version_stands_once_and_the_citation_has_it(monkeypatch):
    assert PROJECT["dynamic"] == ["version", "readme"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "fedchain.version.__version__"
    }
    citation = (HOME / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {fedchain.__version__}\n" in citation
    monkeypatch.setattr("fedchain.commands.__version__", "9.8.7")
    assert call("--version").out == "fedchain 9.8.7\n"


def test_the_small_torch_that_the_readme_names_is_one_that_the_package_takes():
    (torch,) = [line for line in PROJECT["dependencies"] if line.startswith("torch")]
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    (named,) = re.findall(r'`"torch(<[^"]+)"`', readme)
    assert torch.endswith(named)


def test_every_python_that_the_classifiers_name_is_allowed():
    lines = [line for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert [line.rpartition(":: ")[2] for line in lines] == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == ">=3.11"


PAGES = ["README.md", "CONTRIBUTING.md", "scenarios/README.md", "benchmarks/README.md"]
PAGES += sorted(f"docs/{page.name}" for page in (HOME / "docs").glob("*.md"))


def headings(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_somewhere(name):
    page = HOME / name
    links = re.findall(r"\]\((?!https?:)([^)#:]*)#?([^):]*)\)", page.read_text(encoding="utf-8"))
    assert links or name not in PAGES[:3]
    for path, heading in links:
        there = page.parent / path if path else page
        assert there.exists(), path
        assert not heading or heading in headings(there), f"{path}#{heading}"


def test_the_first_screen_of_the_readme_says_what_it_is_and_how_to_begin():
    screen = (HOME / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert len(screen.splitlines()) <= 35
    assert screen.count("![") == 1
    assert re.findall(r"^make (\w+)", screen, flags=re.MULTILINE) == ["run", "test"]
    assert len(re.findall(r"^fedchain .* # ", screen, flags=re.MULTILINE)) == 3
    assert {"docs/manual.md", "docs/method.md", "CONTRIBUTING.md"} <= set(
        re.findall(r"\]\(([^)]+)\)", screen)
    )
