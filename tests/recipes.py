"""Recipes of CONTRIBUTING.md: their texts, and their code in a folder of the user."""

from __future__ import annotations

import re
import sys
from pathlib import Path

CONTRIBUTING = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = CONTRIBUTING.partition("\n## Recipes\n")[2].partition("\n## ")[0]
RECIPES = dict(
    re.findall(r"^\*\*([^*]+)\.\*\* (.*?)(?=^\*\*|\Z)", SECTION, re.DOTALL | re.MULTILINE)
)
"""The text of every recipe, by its title."""


def pasted(title: str, folder: Path) -> None:
    """Write the code of a recipe into the file that its first line names."""
    (code,) = re.findall(r"```python\n(.*?)```", RECIPES[title], re.DOTALL)
    place = re.match(r"# (my_lab/\w+\.py)\n", code)
    assert place, f"{title}: the first line of the code names no file"
    (folder / "my_lab").mkdir()
    (folder / place[1]).write_text(code, encoding="utf-8")


def forgotten() -> None:
    """Let Python import the user's modules anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_lab"]:
        del sys.modules[name]
