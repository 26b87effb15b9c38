"""fedchain lessons: the lessons as files for a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedchain.commands import options
from fedchain.commands.formats import Format, print_result, refuse

app = typer.Typer()


@app.command(epilog="Example: fedchain lessons -o lessons")
def lessons(
    out: Annotated[Path, options.out("The folder of the files.")] = Path("lessons"),
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files that exist and differ.")
    ] = False,
    form: options.Form = Format.rich,
) -> None:
    """Write seven lessons for a class: a page, a worksheet, answers, slides, questions.

    The page needs neither a server nor a network: students open the file. Their answers stay in
    their browser.
    """
    from fedchain.files import write_output
    from fedchain.page.lessons.handouts import handouts

    if out.exists() and not out.is_dir():
        refuse(f"{out}: is a file; give a folder with --out")
    files = {out / name: text for name, text in handouts().items()}
    for path, text in files.items():
        if path.is_dir():
            refuse(f"{path}: is a folder; give another folder with --out")
        if path.exists() and path.read_bytes() != text.encode() and not force:
            refuse(f"{path}: is there already; give another folder with --out, or --force")
    for path, text in files.items():
        write_output(path, text)
    written = [str(path) for path in files]
    following = f"next      open {out / 'lessons.html'} in a browser"
    print_result(form, {"files": written}, [*written, following])
