"""Blobs: files named by a hash of their content: weights, memories, the messages of a block."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedchain.errors import LedgerError
from fedchain.ledger.chain.encoding import Part
from fedchain.system import delete, replace, sync_file, sync_folder

_UNFINISHED = ".new-"
_BUFFER = 2**20
"""Bytes that are handed to the system in one call; single parts, or all at once, are slower."""


class Blobs:
    """A folder of files ``ab/abcd..``; each file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._present: set[bytes] = set()

    def path(self, address: bytes) -> Path:
        """Return the path of the blob with this address (32 bytes)."""
        name = address.hex()
        return self.folder / name[:2] / name

    def put(self, blobs: Mapping[bytes, Sequence[Part]]) -> None:
        """Write blobs under temporary names, sync them, rename them, sync their folders.

        All are written before the first is synced. A blob that is there is not written again; a
        damaged one is replaced.

        Args:
            blobs: the bytes of each blob, in parts, by address (32 bytes).

        Raises:
            OSError: the disk is full, or may not be written.
        """
        unknown = {a: parts for a, parts in blobs.items() if a not in self._present}
        new = {a: parts for a, parts in unknown.items() if not self._has(a, parts)}
        folders = {self.path(address).parent for address in new}
        for folder in sorted(folders):
            if not folder.exists():
                folder.mkdir()
                folders.add(self.folder)
        for address, parts in new.items():
            with self._unfinished(address).open("wb", buffering=_BUFFER) as file:
                file.writelines(parts)
        for address in new:
            sync_file(self._unfinished(address))
            replace(self._unfinished(address), self.path(address))
        for folder in folders:
            sync_folder(folder)
        self._present = set(blobs)

    def read(self, address: bytes, limit: int) -> bytes:
        """Return the bytes of a blob, without a check that they fit its address.

        Args:
            address: of the blob, 32 bytes.
            limit: most bytes that the blob may have.

        Raises:
            LedgerError: the file is missing or too large, or cannot be read.
        """
        path = self.path(address)
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size <= limit else b""
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise LedgerError(f"blob {path.name[:8]}: cannot be read: {reason}") from error
        if size > limit:
            raise LedgerError(f"blob {path.name[:8]}: has {size} bytes; at most {limit}")
        return data

    def get(self, address: bytes, limit: int) -> bytes:
        """Return the bytes of a blob whose address is their SHA-256, and check that it is.

        Raises:
            LedgerError: the file is missing or too large, cannot be read, or was changed.
        """
        data = self.read(address, limit)
        if (digest := hashlib.sha256(data).digest()) != address:
            raise changed(address, f"they hash to {digest.hex()[:8]}")
        return data

    def has(self, address: bytes) -> bool:
        """Return whether there is a blob with this address."""
        return self.path(address).exists()

    def remove(self, addresses: set[bytes]) -> None:
        """Delete blobs; those that are already gone are ignored.

        Raises:
            OSError: the folder may not be written.
        """
        for address in sorted(addresses):
            delete(self.path(address))
        self._present -= addresses

    def clear_unfinished(self) -> None:
        """Delete what an interrupted ``put`` left behind."""
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            delete(path)

    def _has(self, address: bytes, parts: Sequence[Part]) -> bool:
        path = self.path(address)
        return path.exists() and path.read_bytes() == b"".join(parts)

    def _unfinished(self, address: bytes) -> Path:
        return self.folder / f"{_UNFINISHED}{address.hex()}"


def changed(address: bytes, how: str) -> LedgerError:
    """Return the error for a blob whose bytes do not fit its address."""
    return LedgerError(f"blob {address.hex()[:8]}: its bytes were changed: {how}")
