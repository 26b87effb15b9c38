"""Commands about the cache, which keeps files between runs: cache, cache clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from fedchain.cache import FILE_KINDS, Entry, bound, cache_folder, clear_cache, entries, size_words
from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, refuse, table
from fedchain.errors import DataError

app = typer.Typer()
cache = typer.Typer()
app.add_typer(cache, name="cache", invoke_without_command=True)

FAILED = 1
"""Exit code if a file could not be deleted."""


@cache.callback(epilog="Example: fedchain cache --format json")
def show_cache(context: typer.Context, form: options.Form = Format.rich) -> None:
    """Show what is kept between runs: simulated scans, agreements of accountants, rates.

    An agreement records that several privacy accountants found the same epsilon. Scans and
    agreements may be deleted; runs make the same files again when needed. When the cache exceeds 1
    GB, or FEDCHAIN_CACHE_BYTES (such as 2e9; 0 keeps none), the least recently used scans and
    agreements are deleted. FEDCHAIN_CACHE sets another folder.
    """
    if context.invoked_subcommand is not None:
        context.default_map = {"clear": {"form": form.value}}
        return
    folder, most = cache_folder(), bound()
    try:
        there = entries(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    taken = sum(entry.bytes for entry in there)
    kinds = [_summed(kind, there) for kind in FILE_KINDS]
    rows = (
        (each["kind"], str(each["files"]), size_words(each["bytes"]), _when(each), each["what"])
        for each in kinds
    )
    head = f"{folder}: {size_words(taken)} of at most {size_words(most)}"
    shown = table(("kind", "files", "size", "last used", "what"), rows)
    following = "next      fedchain cache clear   ·   fedchain cache clear simulated-scans"
    values = {"folder": str(folder), "bound": most, "bytes": taken, "kinds": kinds}
    print_result(form, values, [head, shown, following])


def _when(kind: Mapping[str, Any]) -> str:
    used = kind["last_used"]
    return f"{datetime.fromisoformat(used).astimezone():%Y-%m-%d %H:%M}" if used else "-"


@cache.command(epilog="Example: fedchain cache clear simulated-scans")
def clear(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help=f"Only this kind: {', '.join(FILE_KINDS)}."),
    ] = None,
    form: options.Form = Format.rich,
) -> None:
    """Delete what is kept between runs, or one kind of it; other files stay."""
    from fedchain.registry import suggest

    if kind is not None and kind not in FILE_KINDS:
        refuse(f"cache clear: no kind called {kind!r}; {suggest(kind, list(FILE_KINDS))}")
    folder, (removed, failed) = cache_folder(), clear_cache(kind)
    gone = sum(entry.bytes for entry in removed)
    kinds = [_summed(each, removed) for each in FILE_KINDS if kind in (None, each)]
    reasons = [{"path": str(path), "reason": why} for path, why in failed.items()]
    named = ", ".join(f"{each['files']} {each['kind']}" for each in kinds if each["files"])
    values = {"folder": str(folder), "bytes": gone, "removed": kinds, "failed": reasons}
    lines = [f"removed {size_words(gone)} from {folder}: {named or 'there was nothing'}"]
    print_result(form, values, lines)
    for path, why in failed.items():
        typer.echo(f"{path}: cannot be deleted: {why}", err=True)
    if failed:
        raise typer.Exit(FAILED)


def _summed(kind: str, there: Sequence[Entry]) -> dict[str, Any]:
    """Return the number, the total size and the last use of the files of a kind."""
    own = [entry for entry in there if entry.kind == kind]
    used = datetime.fromtimestamp(max((entry.used_s for entry in own), default=0), UTC)
    return {
        "kind": kind,
        "files": len(own),
        "bytes": sum(entry.bytes for entry in own),
        "last_used": used.isoformat(timespec="seconds") if own else None,
        "what": FILE_KINDS[kind].what,
    }
