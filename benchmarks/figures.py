"""Makes the pictures and tables of the README and of docs/ again, by their commands.

    python benchmarks/figures.py [NAME ..] [--list] [--check]

Runs the commands of ``makers.py``, copies their pictures to ``docs/pictures``, and writes their
tables between the marks of the pages. The outputs of the commands are kept in ``.figures``, so that
interrupted sweeps are continued. A maker that fails or is interrupted changes no page or picture.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from makers import MAKERS, Maker
from marks import by_hand, filled, marked, replace, unmade
from page_tables import Outcome

HOME = Path(__file__).resolve().parents[1]
PICTURES = HOME / "docs" / "pictures"
WORK = HOME / ".figures"
AUDIT = "audit.json"
"""The file by which a folder of an audit is recognised."""


def main() -> None:
    """Make the requested pictures and tables, or print what would be made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="makers; all of them by default")
    parser.add_argument("--list", action="store_true", help="show makers, targets and times")
    parser.add_argument("--check", action="store_true", help="find what has no maker, or several")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(MAKERS):
        parser.error(f"no maker {', '.join(sorted(unknown))}; one of {', '.join(MAKERS)}")
    names = asked.names or list(MAKERS)
    if asked.list:
        print("\n".join(listed(names)))
    elif asked.check:
        found = problems()
        print("\n".join(found) or "every picture and every measured table has one maker")
        sys.exit(bool(found))
    else:
        sys.exit(make_all(names))


def make_all(names: list[str]) -> int:
    """Run the named makers; return 0, or 1 if a maker failed, or 130 after Ctrl-C."""
    failed = []
    for name in names:
        print(f"{name}: about {MAKERS[name].minutes:g} minutes", file=sys.stderr)
        try:
            written = make(name, MAKERS[name])
        except KeyboardInterrupt:
            print(f"{name}: interrupted; the pages keep what they had", file=sys.stderr)
            return 130
        except (OSError, ValueError, LookupError, subprocess.CalledProcessError) as error:
            print(f"{name}: failed, and changed nothing: {error}", file=sys.stderr)
            failed.append(name)
        else:
            print("\n".join(f"  {target}" for target in written))
    if failed:
        print(f"failed: {' '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def make(name: str, maker: Maker) -> list[str]:
    """Run a maker's commands, then write its pictures and texts; return what was written."""
    out = WORK / "out" / name  # in WORK it would be taken for a scenario
    out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for command in maker.commands:
        outcomes.append(outcome_of(command, out, outcomes))
    pictures = {
        PICTURES / picture: (outcomes[0].folder / file).read_bytes()
        for picture, file in maker.pictures.items()
    }
    pages: dict[str, dict[str, str]] = {}
    for text, target in maker.texts.items():
        if target.made is not None:
            pages.setdefault(target.page, {})[mark_of(name, text)] = target.made(outcomes)
    made = {
        HOME / page: filled((HOME / page).read_text(encoding="utf-8"), texts).encode()
        for page, texts in pages.items()
    }
    for file, data in {**pictures, **made}.items():
        replace(file, data)
    return targets(name, maker)


def outcome_of(command: str, out: Path, before: list[Outcome]) -> Outcome:
    """Run one command, and return its outcome: the folder that it names, or else ``out``."""
    folders = [each.folder for each in before]
    words = [word.format(*folders, out=out) for word in split(command)]
    own = words[0] == "fedchain"
    if own:
        words = [sys.executable, "-m", "fedchain", *words[1:], "--format", "json"]
    else:
        words[0] = sys.executable
    done = subprocess.run(
        words,
        cwd=WORK if own else HOME,
        env={**os.environ, "PYTHONPATH": str(HOME)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = parsed(done.stdout)
    return Outcome(WORK / folder_of(told) if own else out, told)


def split(command: str) -> list[str]:
    """Return the words of a command; the braces of YAML are escaped for ``str.format``.

    >>> split("fedchain sweep --set 'task={kind: b}' --set 'c=null,{kind: d}' {out}")[3:]
    ['task={{kind: b}}', '--set', 'c=null,{{kind: d}}', '{out}']
    """
    words = shlex.split(command)
    return [w.replace("{", "{{").replace("}", "}}") if "=" in w else w for w in words]


def parsed(text: str) -> Any:
    """Return the JSON value that a command printed; None if its output is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def folder_of(told: dict[str, Any]) -> Path:
    """Return the folder of a sweep, run or audit that a command's JSON names; "." without one."""
    for key in ("sweep", "run"):
        if key in told:
            return Path(told[key])
    files = [Path(file) for file in told["files"]]
    return next((file.parent for file in files if file.name == AUDIT), Path())


def mark_of(name: str, text: str) -> str:
    """Return the name of a text's marks."""
    return f"{name} {text}".strip()


def targets(name: str, maker: Maker) -> list[str]:
    """Return what a maker makes: pictures, texts of pages, pages."""
    found = [f"docs/pictures/{picture}" for picture in maker.pictures]
    found += [f"{text.page}, {mark_of(name, key)}" for key, text in maker.texts.items()]
    return [*found, *([maker.page] if maker.page else [])]


def listed(names: list[str]) -> list[str]:
    """Return lines with each maker's time, products and commands, then the tables made by hand."""
    lines = []
    for name in names:
        maker = MAKERS[name]
        lines.append(f"{name}: about {maker.minutes:g} minutes")
        lines += [f"  {target}" for target in targets(name, maker)]
        lines += [f"  $ {command}" for command in maker.commands]
    lines.append(f"together about {sum(MAKERS[name].minutes for name in names) / 60:.1f} hours")
    if len(names) == len(MAKERS):
        lines.append("measured by hand:")
        lines += [f"  {page}: {how}" for page in pages() for how in by_hand(read(page))]
    return lines


def problems() -> list[str]:
    """Return the pictures and tables without exactly one maker, and makers that make nothing."""
    found = []
    made = Counter(picture for maker in MAKERS.values() for picture in maker.pictures)
    there = {file.name for file in PICTURES.iterdir()}
    found += [f"docs/pictures/{name}: has no maker" for name in sorted(there - set(made))]
    found += [f"docs/pictures/{name}: is not there" for name in sorted(set(made) - there)]
    found += [f"docs/pictures/{name}: has {n} makers" for name, n in made.items() if n > 1]
    whole = [maker.page for maker in MAKERS.values() if maker.page]
    for page in pages():
        text = read(page)
        wanted = {
            mark_of(name, key)
            for name, maker in MAKERS.items()
            for key, target in maker.texts.items()
            if target.page == page
        }
        marks = Counter(marked(text))
        found += [f"{page}: {name}: has no maker" for name in marks if name not in wanted]
        found += [f"{page}: {name}: has no marks" for name in sorted(wanted - set(marks))]
        found += [f"{page}: {name}: has {n} marks" for name, n in marks.items() if n > 1]
        if page not in whole:
            found += [f"{page}: {line}: a table without a mark" for line in unmade(text)]
    return found


def pages() -> list[str]:
    """Return the README and the pages of docs."""
    return ["README.md", *sorted(f"docs/{file.name}" for file in (HOME / "docs").glob("*.md"))]


def read(page: str) -> str:
    """Return the text of a page."""
    return (HOME / page).read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
