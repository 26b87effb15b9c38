"""Reads files under a limit of memory, in a process of its own: `bomb_runner.py READER FILE..`.

The first file is a small good one. After it the process may take one more GiB. Prints one JSON
line for each file: what the reader said, its exit code, and the processor seconds that it took.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parents[0] / "scenarios" / "lessons")]
MORE_BYTES = 2**30


def said(code: int, text: str) -> tuple[int, str]:
    return code, text.strip()


def commanded(*arguments: str) -> Callable[[str], tuple[int, str]]:
    """Return a reader that calls the command line with a file."""

    def read(file: str) -> tuple[int, str]:
        from command_line import call

        done = call(*arguments, file)
        return said(done.code, done.out + done.err)

    return read


def second(file: str) -> tuple[int, str]:
    from verify_chain.__main__ import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(file)
    return said(code, out.getvalue())


def scan(file: str) -> tuple[int, str]:
    from fedchain.errors import DataError
    from fedchain.scans.formats import read_scan

    try:
        return 0, str(read_scan(Path(file)).positions.shape)
    except DataError as error:
        return 3, str(error)


def network(file: str) -> tuple[int, str]:
    import numpy as np

    from fedchain.network.topology import topologies
    from fedchain.registry import Part

    part = topologies.check({"kind": "file", "path": file})
    try:
        graph = topologies.build(Part(part.kind, part.parameters), 2, 3, np.random.default_rng(0))
    except ValueError as error:
        return 2, str(error)
    return 0, str(len(graph.links))


READERS = {
    "chain": commanded("verify"),
    "second": second,
    "proof": commanded("check-proof"),
    "scenario": commanded("validate"),
    "scan": scan,
    "network": network,
}


def main() -> None:
    read = READERS[sys.argv[1]]
    for number, file in enumerate(sys.argv[2:]):
        start, problem = time.process_time(), ""
        try:
            code, text = read(file)
        except BaseException as error:
            code, text, problem = -1, "", repr(error)
        seconds = time.process_time() - start
        found = {"code": code, "said": text, "crash": problem, "seconds": seconds}
        sys.stdout.write(json.dumps(found) + "\n")
        if not number:  # everything is imported, and its threads have started
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmSize:"):
                    most = int(line.split()[1]) * 1024 + MORE_BYTES
                    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
