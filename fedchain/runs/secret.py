"""Secret file: holds 256 secret bits, from which a run draws its noise and keys."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from fedchain.errors import RunRefused, ScenarioError, cannot
from fedchain.names import command
from fedchain.results import Run
from fedchain.results.resolved import names_user_parts
from fedchain.system import WINDOWS, sync_open

BYTES = 32
"""Bytes of a secret. The file holds two hexadecimal digits per byte, and a newline."""


@dataclass(frozen=True)
class Secret:
    """The secret of a run."""

    file: Path
    """The secret file."""
    bits: bytes = field(repr=False)
    """The secret, 32 bytes."""
    is_new: bool = False
    """Whether the secret was just drawn, and is not in the file yet."""

    def keep(self) -> None:
        """Write a new secret into the file. Only the owner may read the file.

        Raises:
            RunRefused: the file may not be written, or another process has just made it.
            RunError: the disk is full.
        """
        if not self.is_new:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(self.file, flags, 0o600)
        except FileExistsError as error:
            raise RunRefused(
                f"secret file {self.file}: another process has just made it"
            ) from error
        except OSError as error:
            raise cannot(self.file, "be made", error) from error
        try:
            with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
                file.write(f"{self.bits.hex()}\n")
                file.flush()
                sync_open(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self.file.unlink()
            raise cannot(self.file, "be written", error) from error


def open_secret(file: str | Path, folder: Path, *, must_exist: bool) -> Secret:
    """Read a secret file, or draw a new secret if the file is missing.

    Args:
        file: the secret file.
        folder: the run folder. The secret file must not be in it.
        must_exist: whether a missing file is an error.

    Raises:
        RunRefused: the file is missing or in the run folder, others can read it, or it holds no
            secret.
    """
    path = Path(file)
    if folder.resolve() in path.resolve().parents:
        raise RunRefused(
            f"secret file {path}: lies in the run's folder; a place outside of it is allowed"
        )
    try:
        return Secret(path, _read(path))
    except FileNotFoundError as error:
        if must_exist:
            words = f"{folder} was begun with a secret: give its file"
            raise RunRefused(f"secret file {path}: no such file; {words}") from error
        return Secret(path, secrets.token_bytes(BYTES), is_new=True)
    except OSError as error:
        raise cannot(path, "be read", error) from error


def required_secret(found: Run, file: str | Path | None) -> Secret | None:
    """Read the secret of a run; None if the run has no secret.

    ``check_genesis`` checks that the secret is the right one.

    Raises:
        RunRefused: the run has a secret but no file is given, the file cannot be used, or a file is
            given but the run has no secret.
    """
    if (file is not None) != bool(found.manifest.get("secret")):
        anew = "fedchain run --force --secret FILE"
        way = f"without --secret; leave it out, or begin anew: {anew}"
        asked = "with --secret; give the same file: --secret FILE"
        raise RunRefused(f"{found.folder}: was begun {asked if file is None else way}")
    return None if file is None else open_secret(file, found.folder, must_exist=True)


def resume_command(folder: Path, file: str | Path | None) -> str:
    """Return the command that continues a run, with the options that the run needs."""
    options: list[str | Path] = [] if file is None else ["--secret", Path(file)]
    with contextlib.suppress(RunRefused, ScenarioError):
        options += ["--trust-user-parts"] if names_user_parts(folder) else []
    return command("resume", folder, *options)


def _read(path: Path) -> bytes:
    """Return the secret in a file, 32 bytes."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise RunRefused(
            f"secret file {path}: is no file; a file of 64 hexadecimal digits is allowed"
        )
    if mode & 0o077 and not WINDOWS:
        shown = f"others may read or change it (mode {mode & 0o777:o})"
        raise RunRefused(f"secret file {path}: {shown}; only mode 600 is allowed: chmod 600")
    with path.open("rb") as file:
        text = file.read(2 * BYTES + 3)
    if not re.fullmatch(rb"[0-9a-f]{64}\r?\n?", text):
        raise RunRefused(
            f"secret file {path}: holds no secret; 64 hexadecimal digits (0-9, a-f) are allowed"
        )
    return bytes.fromhex(text.strip().decode())
