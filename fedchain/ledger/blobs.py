"""Files named by the SHA-256 of their bytes: weights, memories, the messages of a block."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fedchain.errors import LedgerError

_UNFINISHED = ".new-"


class Blobs:
    """A folder of files ``ab/abcd..``; a file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, address: bytes) -> Path:
        """Return where the blob of this address (32 bytes) is."""
        name = address.hex()
        return self.folder / name[:2] / name

    def put(self, *contents: bytes) -> tuple[bytes, ...]:
        """Write blobs to temporary names, sync, rename, sync the folders.

        What must wait for the disk waits together: two waits however many blobs there are. A
        blob that is there is not written again, a damaged one is replaced.

        Args:
            contents: the bytes of each blob.

        Returns:
            Their addresses: SHA-256, 32 bytes each.

        Raises:
            OSError: the disk is full, or may not be written.
        """
        addresses = tuple(hashlib.sha256(data).digest() for data in contents)
        blobs = dict(zip(addresses, contents, strict=True))
        new = {a: data for a, data in blobs.items() if not self._has(a, data)}
        folders = {self.path(address).parent for address in new}
        if not all(folder.exists() for folder in folders):
            for folder in sorted(folders):
                folder.mkdir(exist_ok=True)
            folders.add(self.folder)
        with ThreadPoolExecutor(max(1, len(folders))) as waiting:
            for unfinished, address in waiting.map(self._write, new.values(), new):
                unfinished.replace(self.path(address))
            list(waiting.map(sync_folder, folders))
        return addresses

    def get(self, address: bytes, limit: int) -> bytes:
        """Return the bytes of a blob.

        Args:
            address: SHA-256 of the bytes, 32 bytes.
            limit: most bytes that are read.

        Raises:
            LedgerError: the file is missing, too large, or has other bytes than its name says.
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
        if (digest := hashlib.sha256(data).digest()) != address:
            raise LedgerError(
                f"blob {path.name[:8]}: its bytes were changed: they hash to {digest.hex()[:8]}"
            )
        return data

    def clear_unfinished(self) -> None:
        """Delete what an interrupted ``put`` left behind."""
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            path.unlink()

    def _has(self, address: bytes, data: bytes) -> bool:
        path = self.path(address)
        return path.exists() and path.read_bytes() == data

    def _write(self, data: bytes, address: bytes) -> tuple[Path, bytes]:
        unfinished = self.folder / f"{_UNFINISHED}{address.hex()}"
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return unfinished, address


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
