"""What pyproject.toml cannot say: where the shipped scenarios go, and the README without pictures.

The folder ``scenarios/`` stands at the top of the repository, for those who read it; in an
installed package it is ``fedchain/shipped/``. A package index shows the README far from the files
beside it, so that a picture or a link to one of them would lead nowhere: there they are words.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
SHIPPED = "fedchain.shipped"


def readme_alone(text: str) -> str:
    """Return a README that needs no file beside it: pictures and relative links are their words."""
    text = re.sub(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n+", "", text, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", text)


setup(
    packages=[
        *find_packages(include=["fedchain*"]),
        *(f"{SHIPPED}{folder}" for folder in ("", ".lessons", ".lessons.verify_chain")),
    ],
    package_dir={SHIPPED: "scenarios"},
    package_data={"fedchain": ["py.typed", "reports/page.html"], SHIPPED: ["*.yaml", "README.md"]},
    long_description=readme_alone((HERE / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
