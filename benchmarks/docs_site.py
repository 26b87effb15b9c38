"""Builds the documentation as a site that asks nothing of other machines; about a minute.

python benchmarks/docs_site.py [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from docs_pages import stage
from docs_reference import ROOT

NEEDS = 'the site needs mkdocs: pip install "fedchain[docs]"'
STYLE = """\
.md-typeset table:not([class]) { font-size: .68rem; }
.md-typeset table:not([class]) td code { overflow-wrap: normal; }
iframe.lessons { width: 100%; height: 80vh; border: 1px solid #8888; }
"""


def settings(pages: Path, out: Path, menu: dict[str, list[str]]) -> dict[str, Any]:
    """Return the settings of mkdocs: every font and script local, every broken link an error."""
    from pymdownx.slugs import slugify

    schemes = (("light", "default", "dark"), ("dark", "slate", "light"))
    palette = [
        {
            "media": f"(prefers-color-scheme: {name})",
            "scheme": scheme,
            "primary": "indigo",
            "toggle": {"icon": "material/brightness-6", "name": f"Switch to {other}"},
        }
        for name, scheme, other in schemes
    ]
    every = ("not_found", "anchors", "absolute_links", "unrecognized_links")
    return {
        "site_name": "fedchain",
        "docs_dir": str(pages),
        "site_dir": str(out),
        "use_directory_urls": False,  # links work from file:// too
        "theme": {"name": "material", "font": False, "palette": palette,
                  "features": ["navigation.tabs", "navigation.top"]},
        "extra_css": ["style.css"],
        "plugins": ["material/search"],
        "markdown_extensions": ["tables", "attr_list", "pymdownx.superfences", "pymdownx.highlight",
                                {"toc": {"slugify": slugify(case="lower"), "permalink": True}}],
        "validation": {"links": dict.fromkeys(every, "warn"), "nav": {"omitted_files": "warn"}},
        "nav": [{heading: names} for heading, names in menu.items()],
        "strict": True,
    }  # fmt: skip


def build(out: Path) -> None:
    """Build the site into a folder.

    Raises:
        mkdocs.exceptions.Abort: a link leads nowhere, or a page is in no menu.
    """
    from mkdocs.commands.build import build as build_pages
    from mkdocs.config import load_config

    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder, "pages")
        pages.mkdir()
        menu = stage(pages)
        (pages / "style.css").write_text(STYLE, encoding="utf-8")
        config = Path(folder, "mkdocs.yml")
        config.write_text("site_name: fedchain\n", encoding="utf-8")
        build_pages(load_config(str(config), **settings(pages, out, menu)))


def main() -> None:
    """Build the site into the folder that the command line names, or into .site."""
    out = Path(sys.argv[1] if sys.argv[1:] else ROOT / ".site").resolve()
    try:
        build(out)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mkdocs", "pymdownx", "material"):
            raise
        sys.exit(NEEDS)
    print(f"{out / 'index.html'}")


if __name__ == "__main__":
    main()
