"""A clone that stands alone leaves out the listed tests, and no others."""

from __future__ import annotations

import ast
from pathlib import Path

from shared_data import NEEDED

TESTS = Path(__file__).parent
READS_IT = {"shared_data.py", Path(__file__).name}


def test_the_tests_that_are_marked_are_those_on_the_list():
    marked = [
        f"{file.relative_to(TESTS).as_posix()}::{node.name}"
        for file in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any("beside_shared" in ast.unparse(mark) for mark in node.decorator_list)
    ]
    assert sorted(marked) == sorted(NEEDED)


def test_no_other_way_leads_to_the_neighbouring_folder():
    written = [
        file.name
        for file in TESTS.rglob("*.py")
        if file.name not in READS_IT
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and "shared" in Path(node.value).parts
    ]
    assert written == []
