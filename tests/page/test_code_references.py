"""The code that panels name beside their formulas: each function is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fedchain.registry import FAMILIES

HOME = Path(__file__).parents[2]
SOURCES = sorted((HOME / "web" / "src").rglob("*.ts*"))
NAMED = sorted(
    {
        name
        for file in SOURCES
        for name in re.findall(r'"(fedchain/[^"$]+\.py:\w+)"', file.read_text())
    }
)
RULES = dict(
    re.findall(
        r'^  (\w+): "(\w+)",$', (HOME / "web/src/panels/compass/rules.ts").read_text(), re.MULTILINE
    )
)
"""Module of each aggregation rule, as the compass names it."""


def functions_of(path: str) -> set[str]:
    tree = ast.parse((HOME / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMED)
def test_the_function_that_a_panel_names_is_there(name):
    path, _, function = name.partition(":")
    assert function in functions_of(path)


def test_the_compass_names_the_function_of_every_aggregation_rule():
    assert sorted(RULES) == sorted(FAMILIES["aggregation"].family().names())
    for rule, module in RULES.items():
        assert rule in functions_of(f"fedchain/aggregation/{module}.py")
