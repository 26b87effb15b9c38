"""What pyproject.toml cannot say: shipped scenarios, compiled kernels, a README without pictures.

The folder ``scenarios/`` stands at the top of the repository, for those who read it; in an
installed package it is ``fedchain/shipped/``. A package index shows the README far from the files
beside it, so that a picture or a link to one of them would lead nowhere: there they are words.
"""

import os
import platform
import re
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
SHIPPED = "fedchain.shipped"
SHIPPED_FOLDERS = ("", ".lessons", ".lessons.verify_chain")
NATIVE = Path("fedchain", "native")
EDITABLE = "editable_wheel" in sys.argv
"""Whether this is ``pip install -e .``. Such an installation must be a path in a .pth file, which
setuptools writes only if every package lies at the top of the repository. Otherwise it would be an
import hook that Python asks last: a script beside a clone called fedchain would then import that
folder, an empty namespace package, in place of fedchain. The scenarios are found in the clone."""
PLACED = {} if EDITABLE else {SHIPPED: "scenarios"}
"""Folder of each package that does not lie where its name says."""
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
"""Flags of GCC and clang. The bits of results depend on -ffp-contract=off: nothing is fused that
the source does not fuse."""
AVX512 = ("avx512f", "avx512dq", "avx512bw", "avx512vl", "fma", "prefer-vector-width=512")
BUILDS = {
    "base": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": [f"-m{part}" for part in AVX512],
}
"""The builds of the kernels, of which the best one is chosen when they are loaded, and their
flags. Other processors than x86-64 have the first one alone."""


def kernels() -> list[Extension]:
    """Return the builds for this machine.

    Without a compiler, installation goes on without them, unless FEDCHAIN_KERNELS is ``required``.
    """
    builds = BUILDS if platform.machine().lower() in ("x86_64", "amd64") else {"base": []}
    sources, headers = ([str(path) for path in sorted(NATIVE.glob(f"*.{end}"))] for end in "ch")
    return [
        Extension(
            f"fedchain.native.{name}",
            sources,
            depends=headers,
            extra_compile_args=[*FLAGS, *flags],
            libraries=["m"],
            optional=os.environ.get("FEDCHAIN_KERNELS") != "required",
        )
        for name, flags in builds.items()
    ]


def readme_alone(text: str) -> str:
    """Return a README that needs no file beside it: pictures and relative links are their words."""
    text = re.sub(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n+", "", text, flags=re.MULTILINE)
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", text)


setup(
    ext_modules=kernels(),
    packages=[
        *find_packages(include=["fedchain*"]),
        *(f"{each}{folder}" for each in PLACED for folder in SHIPPED_FOLDERS),
    ],
    package_dir=PLACED or {"": "."},
    package_data={
        "fedchain": [
            "py.typed",
            "document.html",
            "page/lessons/*.css",
            "page/lessons/*.json",
            "page/lessons/data/*",
            "page/static/*",
            "registry/references.bib",
            "scans/training/shipped.npz",
            "surfaces/shipped/*.npz",
        ],
        SHIPPED: ["*.yaml", "README.md"],
        f"{SHIPPED}.lessons": ["*.yaml"],
    },
    exclude_package_data={"fedchain.native": ["*.c", "*.h"]},
    long_description=readme_alone((HERE / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
