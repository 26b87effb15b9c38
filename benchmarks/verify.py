"""Time of ``fedchain verify``, beside the time of the operations that it cannot omit.

    python benchmarks/verify.py [--blocks 500] [--holders 20] [--hidden 38] [--json FILE]

Makes a run of a dense network (784-38-10, 30,220 weights by default). Then verifies its ledger in
alternation with the bare operations: read and hash every byte, check every signature, and make
every step again, with the same two threads. Prints medians and their ratio. Needs about a gigabyte
in the temporary folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from fedchain.machine import prepare

prepare()

import workloads  # noqa: E402

import fedchain  # noqa: E402
from fedchain.ledger.chain.block import Block, decode_header, decode_messages  # noqa: E402
from fedchain.ledger.chain.crypto import is_signature  # noqa: E402
from fedchain.ledger.chain.message import Message, signing_bytes  # noqa: E402
from fedchain.ledger.storage import database  # noqa: E402
from fedchain.ledger.storage.blobs import read_state  # noqa: E402
from fedchain.ledger.storage.database import BlockRow  # noqa: E402
from fedchain.ledger.storage.store import Store  # noqa: E402
from fedchain.results import LEDGER  # noqa: E402
from fedchain.transition import Steps  # noqa: E402

TURNS = 3
AHEAD = 2
"""Number of blocks that are read and checked while the steps of earlier blocks are made."""


def made(blocks: int, holders: int, hidden: int, folder: Path) -> fedchain.Run:
    """Run a scenario whose ledger is to be verified."""
    block = workloads.scenario("mlp", holders, blocks, private=True, clip=1.0)
    block["task"] |= {"hidden": hidden, "records": 10}
    block["update"] = {"kind": "adam", "learning_rate": 0.01}
    return fedchain.run(fedchain.load(_written(block, folder)), folder)


def bare(ledger: Path) -> None:
    """Read and hash every byte, check every signature, make every step; check no other rule."""
    store = Store.open(ledger, writable=False)
    limits, transition = store.rules.limits, Steps(store.rules)
    rows = list(database.read_blocks(store.connection))
    state = read_state(store.blobs, store.rules, decode_header(rows[0].header))

    def prepared(row: BlockRow) -> tuple[Message, ...]:
        header = decode_header(row.header)
        for name in (header.weights_hash, header.memory_hash):
            assert hashlib.sha256(store.blobs.path(name).read_bytes()).digest() == name
        assert not Block(header, (), row.public_key, row.signature).forgery
        messages = decode_messages(store.blobs.path(row.messages).read_bytes(), limits)
        for message in messages:
            assert is_signature(message.public_key, message.signature, signing_bytes(message))
        return messages

    coming: deque[Future[tuple[Message, ...]]] = deque()
    with ThreadPoolExecutor(1) as other:
        for row in rows[1:]:
            coming.append(other.submit(prepared, row))
            if len(coming) > AHEAD:
                state = transition(state, coming.popleft().result())
        for last in coming:
            state = transition(state, last.result())
    store.close()


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("blocks", 500), ("holders", 20), ("hidden", 38)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default} by default")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = made(asked.blocks, asked.holders, asked.hidden, Path(folder))
        assert run.verify().ok  # this also brings the files into the system's cache
        turns = [
            (seconds(run.verify), seconds(lambda: bare(run.folder / LEDGER))) for _ in range(TURNS)
        ]
        bytes_ = sum(file.stat().st_size for file in (run.folder / LEDGER).rglob("*"))
    whole, least = (statistics.median(column) for column in zip(*turns, strict=True))
    figures = {
        "blocks": asked.blocks,
        "messages": asked.holders,
        "megabytes": round(bytes_ / 1e6),
        "verify_s": round(whole, 3),
        "bare_s": round(least, 3),
        "ratio": round(whole / least, 3),
    }
    print("\n".join(f"{name:10} {value}" for name, value in figures.items()))
    if asked.json:
        asked.json.write_text(json.dumps(figures))


def _written(block: dict, folder: Path) -> Path:
    file = folder / "scenario.yaml"
    file.write_text(json.dumps(block))
    return file


if __name__ == "__main__":
    main()
