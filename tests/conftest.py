"""Make warnings that point at the tests errors; ``pyproject.toml`` does so for fedchain itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Name every module of this folder, since only their names tell them from other packages."""
    own = sorted({re.escape(path.stem) for path in Path(__file__).parent.rglob("*.py")})
    config.addinivalue_line("filterwarnings", rf"error:::({'|'.join(own)})\Z")
