"""Shipped scenarios: finds the scenario file for a path or name that a user gives."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

from fedchain.scenario.reading import read_text, read_yaml, refused

SHIPPED_FOLDERS = (Path(__file__).parents[1] / "shipped", Path(__file__).parents[2] / "scenarios")
"""Folders of the shipped scenarios: in an installed package, and in the repository."""
YAML = ".yaml"
"""Suffix of a scenario's file; the rest of the file name is the scenario's name."""


def shipped_files() -> dict[str, Path]:
    """Return the files of the shipped scenarios by name, sorted by name.

    >>> shipped_files()["first_light"].name
    'first_light.yaml'
    """
    return {path.stem: path for path in sorted(_shipped_folder().glob(f"*{YAML}"))}


def lesson_files() -> dict[str, Path]:
    """Return the files of the scenarios of lessons by name, sorted by name."""
    return {path.stem: path for path in sorted((_shipped_folder() / "lessons").glob(f"*{YAML}"))}


def located(given: str | Path) -> Path:
    """Return the file for a path or the name of a shipped scenario, with or without ``.yaml``.

    A file or folder of the user with this name is preferred. If nothing is found, the path is
    returned unchanged.

    >>> located("first_light").name, str(located("lab/mine.yaml"))
    ('first_light.yaml', 'lab/mine.yaml')
    """
    return own(given) or shipped_files().get(_name(given), Path(given))


def file_of(given: str | Path) -> Path:
    """Return the file that ``located`` finds.

    Raises:
        ScenarioError: no file is there, or a folder is there.
    """
    found = located(given)
    if os.path.isdir(found):  # noqa: PTH112 - as in is_there
        hint = "give the path of a scenario file"
        if hidden_by(given):
            hint = f"{_name(given)}{YAML} is the scenario that comes with fedchain"
        raise refused(str(given), f"is a directory; {hint}")
    if not is_there(found):
        raise refused(str(given), f"no such file; {suggestion(given)}")
    return found


def own(given: str | Path) -> Path | None:
    """Return the user's file or folder with this path or name, or None."""
    paths = [Path(given)]
    if _name(given) == str(given):
        paths.append(Path(f"{given}{YAML}"))
    return next((path for path in paths if is_there(path)), None)


def hidden_by(given: str | Path) -> Path | None:
    """Return the user's file or folder that hides the shipped scenario of this name, or None."""
    found, passed_over = own(given), shipped_files().get(_name(given))
    if found is None or passed_over is None or found.samefile(passed_over):
        return None
    return found


def is_there(path: Path) -> bool:
    """Return whether a file or folder exists at a path."""
    return os.path.exists(path)  # noqa: PTH110 - False, not an error, for a name that is too long


def suggestion(given: str | Path) -> str:
    """Return a hint about a path or name for which nothing was found.

    >>> suggestion("frist_light")
    'did you mean first_light, which comes with fedchain? fedchain scenarios lists all of these'
    """
    close = difflib.get_close_matches(Path(given).name.removesuffix(YAML), shipped_files(), n=1)
    if not close:
        return "give the path of a scenario file, or a name that fedchain scenarios lists"
    return (
        f"did you mean {close[0]}, which comes with fedchain? fedchain scenarios lists all of these"
    )


def files_of(path: Path) -> list[Path]:
    """Return the file of a shipped scenario and the files that it extends, the nearest first."""
    link = _values(path).get("extends")
    return [path] if link is None else [path, *files_of(path.parent / link)]


def description_of(path: Path) -> str:
    """Return the description of a shipped scenario."""
    return str(_values(path)["description"])


def first_sentence(description: str) -> str:
    """Return the first sentence of a description.

    >>> first_sentence("Does .5 do? One wonders.")
    'Does .5 do?'
    """
    return re.split(r"(?<=[.?!])\s", description, maxsplit=1)[0]


def _shipped_folder() -> Path:
    return next((place for place in SHIPPED_FOLDERS if place.is_dir()), SHIPPED_FOLDERS[0])


def _values(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = read_yaml(read_text(path), path.name)[0].plain()
    return values


def _name(given: str | Path) -> str:
    """Return the given name without its suffix; "" for a path with folders."""
    text = str(given)
    return text.removesuffix(YAML) if Path(text).name == text else ""
