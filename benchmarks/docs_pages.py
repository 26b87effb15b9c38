"""Pages of the documentation: the repository's Markdown and what is generated, in one folder."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath

from docs_reference import (
    ROOT,
    api_pages,
    command_page,
    family_pages,
    module_of,
    package_of,
    scenario_page,
)

from fedchain.page.lessons.handouts import handouts
from fedchain.scenario import description_of, shipped_files

NAMES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "scenarios/README.md": "scenarios.md",
    "benchmarks/README.md": "measurements.md",
}
"""Markdown outside of docs/: its name in the site, by its path in the repository."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = "```"


START = ("scans.md", "manual.md", "python_api.md")
"""Pages of ``docs/`` with which readers begin."""


def stage(out: Path) -> dict[str, list[str]]:
    """Write every page into an empty folder; return the pages by the heading of the menu."""
    sources = {ROOT / source: name for source, name in NAMES.items()}
    sources |= {file: file.name for file in sorted((ROOT / "docs").glob("*.md"))}
    for source, name in sources.items():
        text = source.read_text(encoding="utf-8")
        (out / name).write_text(relinked(text, source, out), encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "pictures", out / "pictures", dirs_exist_ok=True)
    reference = {"commands.md": command_page(), "scenario.md": scenario_page(), **family_pages()}
    scenarios = {f"{name}.md": _scenario(name, file) for name, file in shipped_files().items()}
    api = api_pages()
    for folder, pages in (("reference", reference), ("scenarios", scenarios), ("api", api)):
        (out / folder).mkdir()
        for name, text in pages.items():
            (out / folder / name).write_text(text, encoding="utf-8")
    _lessons(out)
    docs = [name for source, name in sources.items() if source.parent == ROOT / "docs"]
    return {
        "Start": ["index.md", *START, "scenarios.md", "lessons.md"],
        "Method and results": [name for name in docs if name not in START],
        "Reference": [f"reference/{name}" for name in reference],
        "Scenarios": [f"scenarios/{name}" for name in scenarios],
        "API": [f"api/{name}" for name in api],
        "Project": ["contributing.md", "measurements.md", "changelog.md"],
    }


def relinked(text: str, source: Path, out: Path) -> str:
    """Return a page whose links to files of the repository lead to their pages in the site.

    A file that has no page is copied to ``files/`` in ``out``. Code is left as it is.
    """
    blocks = text.split(FENCE)
    for place in range(0, len(blocks), 2):
        blocks[place] = LINK.sub(lambda found: _link(found, source, out), blocks[place])
    return FENCE.join(blocks)


def _link(found: re.Match[str], source: Path, out: Path) -> str:
    mark, words, target = found.groups()
    path, hash_, anchor = target.partition("#")
    if not path or ":" in path:
        return found[0]
    file = Path(os.path.normpath(source.parent / path))
    if not file.exists():
        raise FileNotFoundError(f"{source.relative_to(ROOT)}: links to {target}, which is no file")
    page = _page_of(file, out)
    return f"{mark}[{words}]({page}{hash_}{anchor})" if page else words


def _page_of(file: Path, out: Path) -> str | None:
    """Return the place in the site of a file of the repository; None for most folders."""
    inside = file.relative_to(ROOT)
    if str(inside) in NAMES:
        return NAMES[str(inside)]
    if inside.parts[0] == "docs" and len(inside.parts) > 1:
        return str(PurePosixPath(*inside.parts[1:]))
    if file.suffix == ".py" and inside.parts[0] == "fedchain":
        return f"api/{package_of(file)}.md#{module_of(file)}"
    if (file / "__init__.py").is_file() and inside.parts[0] == "fedchain":
        return f"api/{'.'.join(inside.parts)}.md"
    if file.suffix == ".yaml" and inside.parts == ("scenarios", file.name):
        return f"scenarios/{file.stem}.md"
    if file.is_dir():
        return None
    copy = out / "files" / f"{inside}.txt"
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    return f"files/{inside}.txt"


def _scenario(name: str, file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    verb = "sweep" if "\nsweep:" in text else "run"
    run = f"```\nfedchain {verb} {name}\n```"
    return f"# {name}\n\n{description_of(file)}\n\n{run}\n\n```yaml\n{text}```\n"


def _lessons(out: Path) -> None:
    """Write the files of the lessons, and the page that shows the lessons."""
    files = handouts()
    (out / "lessons").mkdir()
    for name, text in files.items():
        (out / "lessons" / name).write_text(text, encoding="utf-8")
    listed = "\n".join(f"- [{name}](lessons/{name})" for name in files)
    frame = '<iframe src="lessons/lessons.html" title="Seven lessons" class="lessons"></iframe>'
    words = "Seven lessons for a class. `fedchain lessons` writes the same files."
    page = f"# Lessons\n\n{words}\n\n{frame}\n\n{listed}\n"
    (out / "lessons.md").write_text(page, encoding="utf-8")
