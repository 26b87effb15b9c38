"""The examples that the help of every command ends with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from fedchain.commands import assemble

MARK = "Example: fedchain "


def commands() -> dict[tuple[str, ...], Any]:
    """Return every command, by the words that a user types for it, in the order of the help."""
    return dict(_below(assemble(), ()))


def _below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _below(inner, (*words, name))


def examples() -> dict[tuple[str, ...], str]:
    """Return the example of every command, without ``fedchain``, by the words of the command."""
    return {words: str(command.epilog).removeprefix(MARK) for words, command in commands().items()}


def arguments(example: str) -> list[str]:
    """Return the arguments of an example as a shell would pass them; patterns stay patterns."""
    return shlex.split(example.partition(" > ")[0])
