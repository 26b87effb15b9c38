"""The house stays readable: short files, short functions, and one meaning for each public name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fedchain"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
"""Lines of a function without its signature and its docstring."""
COMMAND = "a command, and the function of the Python API that it calls"
TWICE = {
    "app": "every module of commands lists its commands in one, as typer wants it",
    "gaussian": "a part is called as YAML names it: the noise of the mechanism, and an attack",
    "none": "a part is called as YAML names it: the task without data, the mechanism without noise",
    "table": "a part is called as YAML names it: the task, and a table of the terminal",
    **dict.fromkeys(
        ("audit", "prove", "report", "resume", "run", "sweep", "tamper", "verify"), COMMAND
    ),
}
"""Public names that more than one module defines, and why."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for file in FILES:
        yield file.relative_to(PACKAGE).as_posix(), ast.parse(file.read_text("utf-8"))


def public_names(module: ast.Module) -> set[str]:
    """Return the public names that a module itself defines at its top."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def lines_of_body(function: ast.FunctionDef) -> int:
    """Return the number of a function's lines from the first statement after its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return function.end_lineno - body[0].lineno + 1 if body and function.end_lineno else 0


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_file_is_longer_than_300_lines(file):
    assert len(file.read_text("utf-8").splitlines()) <= LONGEST_FILE


def test_no_two_test_files_have_one_name_because_pytest_imports_them_by_name():
    names = [file.name for file in (PACKAGE.parent / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_no_function_is_longer_than_40_lines():
    long = {
        f"{file}: {node.name}": lines_of_body(node)
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and lines_of_body(node) > LONGEST_FUNCTION
    }
    assert long == {}


def test_a_public_name_is_defined_in_one_module_unless_the_list_says_why_not():
    homes = defaultdict(list)
    for file, tree in trees():
        for name in public_names(tree):
            homes[name].append(file)
    twice = {name: files for name, files in homes.items() if len(files) > 1}
    assert {name: files for name, files in twice.items() if name not in TWICE} == {}
    assert TWICE.keys() <= twice.keys(), "the list names what is no longer defined twice"
