"""docs/one_round.md names functions: each must be where its link says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
LINKS = re.findall(r"\[`([\w.]+)`\]\(([\w./]+\.py)\)", (DOCS / "one_round.md").read_text("utf-8"))


def defined(file: Path) -> set[str]:
    """Return the names of a module's functions and classes, and of the methods of these."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (each for each in node.body if isinstance(each, ast.FunctionDef))
            names |= {f"{node.name}.{method.name}" for method in methods}
    return names


@pytest.mark.parametrize(("name", "file"), sorted(set(LINKS)))
def test_a_link_of_the_page_leads_to_the_function_that_it_names(name, file):
    assert name in defined(DOCS / file)


def test_the_page_leads_through_the_whole_round():
    files = {Path(file).name for _, file in LINKS}
    assert files >= {"simulation.py", "data_holder.py", "release_service.py", "compute_node.py"}
    assert len(LINKS) > 30
