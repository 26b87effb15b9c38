"""Targets of fuzzing: functions that read bytes from outside, and their first inputs.

    python benchmarks/fuzz_targets.py NAME CORPUS INPUTS

Feeds one target until the inputs are used up or one fails; ``fuzz.py`` does so for each.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz_scans import scan_seeds, scan_targets

MOST_MB = 768
"""Memory that a target may use, in MB; Python, libraries and corpus use about a quarter of it."""
SLOWEST_S = 10
"""Seconds that one input may take."""
RULES = "rules.bin"
"""File with the rules of the run whose bytes are the seeds."""
SCENARIO = {
    "version": 1,
    "name": "seeds",
    "rounds": 3,
    "task": {"kind": "breast_cancer", "model": {"kind": "logistic"}},
    "nodes": {"holders": 3, "compute": 2},
    "privacy": {"kind": "gaussian", "epsilon": 8.0, "delta": 1e-5, "clip": 1.0},
    "aggregation": {"kind": "l_nearest", "keep": 2, "scale": "restore"},
    "update": {"kind": "momentum", "learning_rate": 0.1},
}
YAML = """version: 1
name: question
rounds: 3
task: {kind: breast_cancer, model: {kind: logistic}}
nodes: {holders: 3, compute: [{hash_share: 1.5}]}
privacy: {kind: gaussian, epsilon: .inf, delta: 1e-5, clip: 0x1}
aggregation: {kind: l_nearest, keep: 2}
attacks:
  - {kind: sign_flip, holders: [1], from_round: 2}
sweep: {grid: {rounds: [2, 3]}, seeds: 2}
"""

SLOW = {"export": 1 / 40, "scenario": 1 / 10}
"""Slow targets get this share of the inputs; an import, for example, makes a ledger on disk."""

Read = Callable[[bytes], bytes | None]
"""Function that reads an input; it returns the input encoded again, or None to compare nothing."""


@dataclass(frozen=True)
class Target:
    """A function that reads bytes from outside, and its declared errors."""

    read: Read
    """The function that is fuzzed."""
    refusals: tuple[type[Exception], ...]
    """Errors by which the function may refuse an input."""


def targets(rules_bytes: bytes) -> dict[str, Target]:
    """Return every target, by name.

    Args:
        rules_bytes: the encoded rules of the chain from which the seeds are.
    """
    from fedchain.errors import DataError, EncodingError, LedgerError, ScenarioError
    from fedchain.ledger.chain import block, message, rules, state
    from fedchain.ledger.storage.writer import RetentionPolicy
    from fedchain.ledger.tools import proof

    known = rules.decode_rules(rules_bytes)
    limits = known.limits

    def encoded(
        decode: Callable[[bytes], object], encode: Callable[..., bytes], *more: type[Exception]
    ) -> Target:
        return Target(lambda data: encode(decode(data)), (EncodingError, *more))

    return {
        "header": encoded(block.decode_header, block.encode_header),
        "message": encoded(lambda d: message.decode_message(d, limits), message.encode_message),
        "bare": encoded(message.decode_bare, message.encode_bare),
        "messages": encoded(lambda d: block.decode_messages(d, limits), block.encode_messages),
        "block": encoded(lambda d: block.decode_block(d, limits), block.encode_block),
        "rules": encoded(rules.decode_rules, rules.encode_rules),
        "tensors": encoded(state.decode_tensors, state.encode_tensors),
        "keeping": encoded(RetentionPolicy.decode, RetentionPolicy.encode, LedgerError),
        "proof": encoded(proof.decode, proof.encode),
        "proven": Target(_proven, (LedgerError,)),
        "export": Target(_imported, ()),
        "scenario": Target(_scenario, (ScenarioError,)),
        **{name: Target(read, (DataError,)) for name, read in scan_targets().items()},
    }


def _proven(data: bytes) -> None:
    from fedchain.ledger.tools import proof

    proof.verify_proof(proof.decode(data))


def _imported(data: bytes) -> None:
    """Import a chain; a damaged chain gives a verdict, not an error."""
    from fedchain.ledger.tools.chain_file import verify_file
    from fedchain.transition import steps_of

    file = Path(tempfile.gettempdir()) / f"{os.getpid()}.chain"
    file.write_bytes(data)
    verdict = verify_file(file, steps_of(False))
    if not verdict.ok and not verdict.reason:
        raise AssertionError("a chain was refused without a reason")


def _scenario(data: bytes) -> None:
    from fedchain.scenario.checking import check_scenario
    from fedchain.scenario.reading import read_yaml

    text = data.decode(errors="replace")
    check_scenario(*read_yaml(text, "fuzz.yaml"))


def seeds() -> dict[str, list[bytes]]:
    """Run a small scenario, and return by target the bytes of the run that the target reads."""
    from fedchain import run
    from fedchain.ledger.chain import block, message, rules, state
    from fedchain.ledger.storage.store import Store
    from fedchain.ledger.tools import proof
    from fedchain.ledger.tools.chain_file import exported
    from fedchain.scenario import from_mapping

    with tempfile.TemporaryDirectory() as place:
        folder = run(from_mapping(SCENARIO), place).folder
        with Store.open(folder / "ledger", writable=False) as store:
            blocks = list(store.blocks())
            carried = [m for b in blocks for m in b.messages]
            last = store.state(blocks[-1].header.hash)
            found = proof.find(store, carried[0].id.hex())
            shown = proof.encode(proof.prove(store, found))
            return {
                "header": [block.encode_header(b.header) for b in blocks],
                "message": [message.encode_message(m) for m in carried],
                "bare": [message.encode_bare(m) for m in carried],
                "messages": [block.encode_messages(b.messages) for b in blocks],
                "block": [block.encode_block(b) for b in blocks],
                "rules": [rules.encode_rules(store.rules)],
                "tensors": [
                    state.encode_tensors({"weights": last.weights}),
                    state.encode_tensors(last.memory),
                ],
                "keeping": [store.keeping.encode()],
                "proof": [shown],
                "proven": [shown],
                "export": [b"".join(exported(store))],
                "scenario": [YAML.encode()],
                **scan_seeds(),
            }


def main() -> None:
    """Feed the target with inputs; the fuzzer ends the process."""
    import atheris

    name, corpus, inputs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

    with atheris.instrument_imports(include=["fedchain"]):
        target = targets((corpus.parent / RULES).read_bytes())[name]
        if name == "scenario":
            _scenario(YAML.encode())

    def one(data: bytes) -> None:
        try:
            again = target.read(data)
        except target.refusals:
            return
        if again is not None and again != data:
            raise AssertionError("what was read encodes to other bytes")

    files = list(corpus.iterdir()) if corpus.is_dir() else [corpus]
    longest = max(2 * file.stat().st_size for file in files)
    options = [
        f"-runs={inputs}",
        f"-max_len={longest}",
        f"-rss_limit_mb={MOST_MB}",
        f"-timeout={SLOWEST_S}",
        "-seed=1",
        "-print_final_stats=1",
        f"-artifact_prefix={corpus.parent}/{name}-",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
