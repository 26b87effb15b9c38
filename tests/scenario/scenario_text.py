"""A small good scenario, and what load says about a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedchain.errors import ScenarioError
from fedchain.scenario import load

GOOD = """\
version: 1
name: small
rounds: 10
task: {kind: breast_cancer}
nodes:
  holders: 20
privacy:
  kind: gaussian
  epsilon: 4
  clip: 0.1
aggregation: {kind: l_nearest, keep: 14}
attacks:
  - {kind: sign_flip, holders: [18, 19], from_round: 5}
"""


def write(folder: Path, text: str, name: str = "s.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def complaint(path: Path, **options: object) -> str:
    """Return the text of the error, paths shortened to their file."""
    with pytest.raises(ScenarioError) as caught:
        load(path, **options)  # type: ignore[arg-type]
    return str(caught.value).replace(f"{path.parent}/", "")
