"""Command line of the second verifier: `python scenarios/lessons/verify_chain CHAIN.fedchain`.

Exit codes: 0 verified, 2 no such file, 3 a rule that is not known here, 5 not verified.
"""

import mmap
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where this folder is a package

from verify_chain.chain import verify
from verify_chain.encoding import UnknownRule, Wrong

WORDS = {2: "no file", 3: "an unknown rule", 5: "FAILED"}


def content(path):
    """Return the bytes of a file without reading them, since it may be larger than the memory."""
    with Path(path).open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def main(path):
    """Verify a file, print what was found, and return the exit code."""
    try:
        count, head, height = verify(content(path))
    except (OSError, UnknownRule, Wrong) as error:
        code = 2 if isinstance(error, OSError) else 3 if isinstance(error, UnknownRule) else 5
        print(f"{WORDS[code]}: {error}")
        return code
    print(f"ok: {count} blocks verified, head {head.hex()} (height {height})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
