"""Loading: makes a Scenario from a file or a Python mapping.

Values come from five layers: defaults, extended files, the file, overrides, flags. A later layer
replaces values of an earlier layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fedchain.errors import Problem
from fedchain.scenario.checking import check_scenario
from fedchain.scenario.overriding import anchored, grow, override
from fedchain.scenario.reading import read_text, read_yaml, refused
from fedchain.scenario.sections import Scenario
from fedchain.scenario.shipped import file_of
from fedchain.scenario.tree import Located, Mark, Node, overlay_nodes

MAX_EXTENDS = 8
"""Maximum number of files in a chain in which each file extends the next."""

Overrides = Mapping[str, object]
ScenarioLike = Scenario | Mapping[str, object] | str | Path
"""A checked scenario, its values as a mapping, the path of a scenario file, or the name of a
shipped scenario."""


def load(
    path: str | Path | Mapping[str, object],
    set: Overrides | None = None,  # noqa: A002
    seed: int | None = None,
    name: str | None = None,
) -> Scenario:
    """Read a scenario, apply overrides, and check everything.

    Relative paths in a file are resolved against its folder, those in ``set`` and in a mapping
    against the current folder.

    Args:
        path: the YAML file; or the name of a shipped scenario, with or without ``.yaml``; or the
            values of a scenario as a mapping. A file in the current folder is preferred to a
            shipped scenario of the same name.
        set: new values by dotted path: ``{"privacy.epsilon": 2.0, "attacks[0].holders": [1]}``.
        seed: replaces the file's seed.
        name: replaces the file's name.

    Raises:
        ScenarioError: something is wrong; the error lists every problem with file, line and column.

    >>> load("breast_cancer", set={"rounds": 3}).nodes.holders
    10
    """
    if isinstance(path, Mapping):
        return from_mapping(path, set, seed, name)
    return check_scenario(*merge_layers(path, set, seed, name))


def as_scenario(given: ScenarioLike) -> Scenario:
    """Return the checked scenario that a user has given in any form.

    Raises:
        ScenarioError: as in ``load``.

    >>> as_scenario("breast_cancer") == as_scenario(load("breast_cancer"))
    True
    """
    return given if isinstance(given, Scenario) else load(given)


def source_of(given: ScenarioLike) -> str | None:
    """Return the text of the scenario file that a user has named; None without a file."""
    return read_text(file_of(given)) if isinstance(given, str | Path) else None


def merge_layers(
    path: str | Path,
    set: Overrides | None = None,  # noqa: A002
    seed: int | None = None,
    name: str | None = None,
) -> tuple[Node, list[Located]]:
    """Read a scenario file and apply overrides, without checking the values.

    Arguments and errors are those of ``load``.

    Returns:
        The merged tree, and the problems that were found while the files were read.
    """
    file = file_of(path)
    root, noted = _read(file, Path(file.name) if Path(path).name == str(path) else file, ())
    return _override(root, set, {"seed": seed, "name": name}), noted


def from_mapping(
    values: Mapping[str, object],
    set: Overrides | None = None,  # noqa: A002
    seed: int | None = None,
    name: str | None = None,
) -> Scenario:
    """Check a scenario given as a Python mapping; the other arguments are those of ``load``.

    Raises:
        ScenarioError: something is wrong; the error lists every problem with its key.
    """
    root = anchored(grow(values, Mark("scenario")), Path.cwd(), is_path=False)
    return check_scenario(_override(root, set, {"seed": seed, "name": name}))


def from_resolved(text: str, path: Path, *, trust_user_parts: bool) -> Scenario:
    """Check the scenario text in a run folder, which may come from a stranger.

    Relative paths in the text are resolved against the folder of ``path``. User-defined parts
    (``module:function``) are imported only with ``trust_user_parts``.

    Raises:
        ScenarioError: something is wrong, the scenario extends a file, or it names user-defined
            parts without ``trust_user_parts``.
    """
    root, noted = read_yaml(text, str(path))
    values = root.plain()
    if isinstance(values, Mapping) and "extends" in values:
        raise refused(str(path), "extends another file; it must hold every value itself")
    if not trust_user_parts and (named := user_parts(values)):
        words = f"names code of somebody's own, {', '.join(named)}"
        raise refused(str(path), f"{words}; add --trust-user-parts if you know it")
    return check_scenario(anchored(root, path.parent, is_path=False), noted)


def user_parts(values: object) -> list[str]:
    """Return the user-defined parts (``module:function``) in a scenario's values.

    >>> user_parts({"aggregation": {"kind": "lab:mean"}, "attacks": [{"kind": "noise"}]})
    ['lab:mean']
    """
    if not isinstance(values, Mapping):
        inside = values if isinstance(values, list | tuple) else ()
        return [name for each in inside for name in user_parts(each)]
    found = []
    for key, value in values.items():
        if str(key).rpartition(".")[2] == "kind":  # in a grid, the key is a dotted path
            kinds = value if isinstance(value, list | tuple) else [value]
            found += [str(kind) for kind in kinds if ":" in str(kind)]
        found += user_parts(value)
    return found


def _override(root: Node, values: Overrides | None, flags: Overrides) -> Node:
    if not root.value:
        return root
    root = override(root, values or {}, Path.cwd())
    for flag, value in flags.items():
        if value is not None and isinstance(root.value, Mapping):
            node = replace(grow(value, mark := Mark(f"--{flag}")), key=mark)
            root = replace(root, value={**root.value, flag: node})
    return root


def _read(path: Path, shown: Path, above: tuple[Path, ...]) -> tuple[Node, list[Located]]:
    """Read a file, and let its values replace those of the file that it extends.

    ``shown`` is the file's path in messages. ``above`` are the files that extend this file,
    directly or through others.
    """
    root, noted = read_yaml(read_text(path), str(shown))
    root = anchored(root, path.parent, is_path=False)
    if not isinstance(root.value, Mapping) or "extends" not in root.value:
        return root, noted
    link = root.value["extends"]
    above = (*above, path.resolve())
    below, shown = _extended(link, path, above), shown.parent / str(link.value)
    base, noted_below = _read(below, shown, above)
    if not isinstance(base.value, Mapping):
        raise refused(str(shown), "is no block of keys; it cannot be extended")
    own = replace(root, value={k: v for k, v in root.value.items() if k != "extends"})
    return overlay_nodes(base, own), [*noted_below, *noted]


def _extended(link: Node, path: Path, chain: tuple[Path, ...]) -> Path:
    text = None
    if not isinstance(link.value, str) or not link.value:
        text = "must be the path of another scenario file"
    elif (path.parent / link.value).resolve() in chain:
        text = f"{link.value} extends itself through {len(chain)} file(s)"
    elif len(chain) > MAX_EXTENDS:
        text = f"more than {MAX_EXTENDS} files that extend files"
    elif not (path.parent / link.value).is_file():
        text = f"no file {path.parent / link.value}"
    if text is not None:
        raise Located(Problem(("extends",), text), link.mark).error()
    return path.parent / str(link.value)
