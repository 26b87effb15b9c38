"""The verifier of the page, run by Node: the third one, written in TypeScript from docs/format.md.

One process reads many chain files from its standard input, so that a verdict costs no start.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

WEB = Path(__file__).resolve().parents[1] / "web"
BUNDLE = """
const { buildSync } = require("esbuild"), outfile = process.argv[1];
const wanted = { bundle: true, platform: "node", format: "esm", logLevel: "warning", outfile };
buildSync({ ...wanted, entryPoints: ["test/judge.ts"] });
"""


def is_here() -> bool:
    """Say whether Node and the packages of ``web/`` are here (``npm ci`` installs these)."""
    return shutil.which("node") is not None and (WEB / "node_modules" / "esbuild").is_dir()


@dataclass(frozen=True)
class BrowserVerdict:
    """What the page says of a chain file."""

    ok: bool
    blocks: int
    """Number of blocks that passed."""
    height: int
    """Height of the head, or of the wrong block."""
    block: str
    """Hash of the head, or of the wrong block, in hexadecimal."""
    reason: str
    checked: list[str]
    not_checked: list[str]
    """Rules and updates that are defined by code which the page does not have."""


class BrowserVerifier:
    """A process of Node with the page's verifier.

    Raises:
        RuntimeError: the verifier has crashed on a file; the text has its stack.
    """

    def __init__(self, folder: Path) -> None:
        """Bundle the verifier into a folder, and start it."""
        script = folder / "judge.mjs"
        subprocess.run(["node", "-e", BUNDLE, script], cwd=WEB, check=True)
        self._node = subprocess.Popen(
            ["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> BrowserVerifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._node.communicate()

    def verdict(self, data: bytes) -> BrowserVerdict:
        """Return the verdict on the bytes of a chain file."""
        stdin, stdout = self._node.stdin, self._node.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(len(data).to_bytes(4) + data)
        stdin.flush()
        said = json.loads(stdout.readline() or '{"crashed": "Node has ended"}')
        if "crashed" in said:
            raise RuntimeError(said["crashed"])
        return BrowserVerdict(not_checked=said.pop("notChecked"), **said)
