"""Benchmarks import what the package has: otherwise only users notice that a class was renamed."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[1] / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_a_benchmark_imports_of_fedchain_is_there(file):
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fedchain"):
            module = importlib.import_module(node.module)
            for name in (each.name for each in node.names):
                if not hasattr(module, name):
                    importlib.import_module(f"{node.module}.{name}")
