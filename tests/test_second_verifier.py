from __future__ import annotations

import hashlib
import json
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from own_rules import CENTRED
from small_runs import forking, small, spending
from verify_chain import canonical, chain, signatures
from verify_chain.encoding import UnknownRule, Wrong

from fedchain.errors import EncodingError
from fedchain.ledger.chain import crypto
from fedchain.ledger.chain.canonical import canonical_text, read_canonical
from fedchain.ledger.tools.chain_file import verify_file
from fedchain.results import exported_to
from fedchain.runs.running import run
from fedchain.scenario import from_mapping
from fedchain.transition import steps_of

HOME = Path(__file__).parents[1]
LESSON = HOME / "scenarios" / "lessons" / "verify_chain"
TINY = {"nodes": {"holders": 2, "compute": 1, "identity": "open"}, "attacks": []}
TINY |= {"aggregation.keep": 2, "update": {"kind": "gradient_descent", "learning_rate": 0.5}}
ROOTED = {"kind": "public_root", "of": {"kind": "breast_cancer"}, "records": 30, "steps": 1}
DESCENT = {"kind": "gradient_descent", "learning_rate": 0.5}
FILTERED = {"kind": "filtered", "of": {"kind": "adam", "learning_rate": 0.1}, "drift": 0.3}
MIXED = {"kind": "caf", "first": [{"kind": "nnm"}, {"kind": "norm_clipping"}]}
ROBUST = {"kind": "average_of", "rules": [MIXED, {"kind": "centred_clipping"}, {"kind": "krum"}]}
FLOAT32 = {"ledger.weights": "float32"}
CHAINS = {
    "adam": lambda: small(4),
    "forks": lambda: forking(6, **{"ledger.weights": "float32"}),
    "privacy filter": lambda: spending(5),
    "momentum": lambda: small(
        4, update={"kind": "momentum", "learning_rate": 0.3, "weight_decay": 0.01, "decay": 0.1}
    ),
    "averaged": lambda: small(
        5, update={"kind": "averaged", "of": FILTERED, "decay": 0.75, "from_round": 2}
    ),
    "filtered": lambda: small(
        5, update={**FILTERED, "of": {"kind": "averaged", "of": DESCENT}}, **FLOAT32
    ),
    "distance": lambda: small(4, update={"kind": "distance_over_gradients", "first": 0.2}),
    "averaged distance": lambda: small(
        4, update={"kind": "averaged", "of": {"kind": "distance_over_gradients"}}, **FLOAT32
    ),
    "int8": lambda: small(4, **{"ledger.storage": "int8", "aggregation.scale": "unit"}),
    "int32": lambda: small(3, **{"ledger.storage": "int32", "aggregation": {"kind": "mean"}}),
    "retarget": lambda: from_mapping(
        {
            "version": 1,
            "name": "bare",
            "rounds": 30,
            "task": {"kind": "none"},
            "nodes": {"compute": 4},
            "ledger": {"work": {"kind": "hashcash", "difficulty_bits": 6, "retarget_window": 5}},
        }
    ),
    "sampled": lambda: from_mapping(
        {
            "version": 1,
            "name": "sampled",
            "rounds": 40,
            "task": {"kind": "none"},
            "nodes": {"compute": 4},
            "network": {"kind": "complete", "latency_ms": {"kind": "constant", "value": 4000}},
            "ledger": {"work": {"kind": "sampled", "interval_s": 10.0, "retarget_window": 8}},
        }
    ),
    "robust": lambda: small(3, aggregation=ROBUST),
    "tiny": lambda: small(2, **TINY),
    "public root": lambda: small(2, task=ROOTED, aggregation={"kind": "fltrust"}),
}


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    """Return the exported chain of one of the runs above."""
    folder, made = tmp_path_factory.mktemp("chains"), {}

    def found(name: str) -> Path:
        if name not in made:
            made[name] = folder / f"{name}.fedchain"
            exported_to(run(CHAINS[name](), folder / name).folder, made[name])
        return made[name]

    return found


def theirs(data: bytes) -> bool:
    """Say whether the second verifier accepts an exported chain."""
    try:
        chain.verify(data)
    except (Wrong, UnknownRule):
        return False
    return True


def ours(data: bytes, folder: Path) -> bool:
    """Say whether fedchain accepts an exported chain."""
    file = folder / "damaged.fedchain"
    file.write_bytes(data)
    return verify_file(file, steps_of(trust_user_parts=False)).ok


def with_digest(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


def flipped(data: bytes, place: int, bit: int = 0) -> bytes:
    damaged = bytearray(data)
    damaged[place] ^= 1 << bit
    return bytes(damaged)


def times_of_arrival(data: bytes) -> set[int]:
    """Return the bytes' places that hold times of arrival, which are no part of the chain."""
    headers = [i for i in range(len(data)) if data[i : i + 10] == b"fedchain:h"]
    return {place for header in headers for place in range(header - 16, header - 8)}


def test_its_files_have_at_most_three_hundred_lines_and_nothing_of_fedchain():
    files = sorted(LESSON.glob("*.py"))
    assert {"__main__.py", "canonical.py", "messages.py"} < {file.name for file in files}
    order = (LESSON / "__init__.py").read_text()
    for file in files:
        text = file.read_text()
        assert len(text.splitlines()) <= 300
        assert "import fedchain" not in text
        assert "from fedchain" not in text
        assert file.stem.startswith("__") or f"\n    {file.stem} " in order


@pytest.mark.parametrize("name", CHAINS)
def test_both_verifiers_accept_what_fedchain_has_made(file_of, name, tmp_path):
    data = file_of(name).read_bytes()
    blocks, head, height = chain.verify(data)
    found = verify_file(file_of(name), steps_of(trust_user_parts=False))
    assert (found.ok, found.blocks, found.block, found.height) == (True, blocks, head.hex(), height)


def test_the_second_verifier_knows_the_keys_under_which_one_signature_fits_everything():
    known = [y.to_bytes(32, "little") for y in crypto._SMALL_ORDER]
    known += [(y + 2**255).to_bytes(32, "little") for y in crypto._SMALL_ORDER]
    assert all(map(signatures.of_small_order, known))
    assert not signatures.of_small_order(crypto.public_key_of(bytes(32)))


def test_both_write_every_number_alike_as_javascript_does():
    draws = random.Random(8785)
    drawn = [struct.unpack(">d", draws.randbytes(8))[0] for _ in range(2000)]
    for value in [each for each in drawn if each - each == 0]:
        text = canonical.write(value)
        assert canonical_text(value) == text
        assert float(text) == value
        assert canonical.read(text.encode(), "number") == value
    known = {1.0: "1", 1e21: "1e+21", 1e20: "1" + "0" * 20, 1e-6: "0.000001", 1e-7: "1e-7"}
    known |= {
        333333333.33333329: "333333333.3333333",
        9.999999999999997e22: "9.999999999999997e+22",
    }
    known |= {1424953923781206.25: "1424953923781206.2", -0.0: "0", 5e-324: "5e-324"}
    assert {value: canonical.write(value) for value in known} == known


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":2}', '{"a":1,"a":1}', '{"a": 1}', "1.0", "1e2", "-0", "01", "NaN", "Infinity",
        "1e999", "9007199254740993", "1" + "0" * 400, '"\\ud800"', '"\\u0041"', '"\\u000a"',
        '"\t"', "[1,]", "", " 1", "\ufeff1", '{"\ufb33":1,"\U0001f600":2}', "[" * 33 + "]" * 33,
        "[" * 32 + "1" + "]" * 32, "[" * 100_000,
    ],
)  # fmt: skip
def test_both_refuse_what_is_not_the_one_text_of_a_value(text):
    with pytest.raises(Wrong, match="text: "):
        canonical.read(text.encode(), "text")
    with pytest.raises(EncodingError, match="text: "):
        read_canonical(text.encode(), "text")


@pytest.mark.parametrize("name", CHAINS)
def test_both_say_the_same_of_chains_with_a_random_byte_changed(file_of, name, tmp_path):
    data, draws = file_of(name).read_bytes()[:-32], random.Random(name)
    outside = times_of_arrival(data)
    for _ in range(12):
        place = draws.randrange(len(data))
        damaged = with_digest(flipped(data, place, draws.randrange(8)))
        verdicts = theirs(damaged), ours(damaged, tmp_path)
        assert verdicts[0] == verdicts[1]
        assert not verdicts[0] or place in outside


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.long), 7])
def test_the_second_verifier_finds_every_byte_of_a_small_chain_flipped(file_of, step):
    data = file_of("tiny").read_bytes()[:-32]
    places = range(0, len(data), step)
    accepted = {place for place in places if theirs(with_digest(flipped(data, place)))}
    assert accepted <= times_of_arrival(data)
    whole = with_digest(data)
    assert not any(theirs(flipped(whole, place)) for place in range(0, len(whole), 17))


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.long), 11])
def test_fedchain_finds_every_byte_of_a_small_chain_flipped(file_of, step, tmp_path):
    data = file_of("tiny").read_bytes()[:-32]
    places = range(0, len(data), step)
    accepted = {p for p in places if ours(with_digest(flipped(data, p)), tmp_path)}
    assert accepted <= times_of_arrival(data)


def test_as_a_program_it_says_what_it_found_and_exits_as_documented(file_of, tmp_path):
    def ran(file: Path) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, LESSON, file], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    code, said = ran(file_of("adam"))
    assert code == 0
    assert said.startswith("ok: 4 blocks verified, head ")
    damaged, data = tmp_path / "damaged", file_of("adam").read_bytes()
    damaged.write_bytes(data[:1000])
    assert ran(damaged)[0] == 5
    assert ran(tmp_path / "nothing")[0] == 2
    old = tmp_path / "old.fedchain"
    old.write_bytes(data[:10] + b"\0\1" + data[12:])
    code, said = ran(old)
    assert (code, said.count("\n")) == (5, 1)
    assert "format 1: written by an older fedchain; run the scenario again" in said
    other = tmp_path / "own.fedchain"
    exported_to(run(small(1, aggregation=CENTRED), tmp_path / "runs").folder, other)
    code, said = ran(other)
    assert code == 3
    assert "own_rules:centred_clipping" in said


def test_an_old_chain_file_gets_one_line_that_names_its_version(file_of, tmp_path):
    data, file = file_of("tiny").read_bytes(), tmp_path / "old.fedchain"
    file.write_bytes(with_digest(data[:10] + b"\0\1" + data[12:-32]))
    found = verify_file(file, steps_of(trust_user_parts=False))
    assert not found.ok
    assert "format 1" in found.reason
    assert "run the scenario again" in found.reason
    assert "\n" not in found.reason


def test_the_table_of_the_agreed_text_is_that_of_a_run(file_of):
    data = file_of("adam").read_bytes()
    text = json.loads(data[16 : 16 + int.from_bytes(data[12:16])])
    inner = {f"{name}.{key}" for name in ("model", "ledger") for key in text[name]}
    listed = set(text) | inner | {"privacy.kind", "privacy.noise", "privacy.clip"}
    page = (HOME / "docs" / "format.md").read_text(encoding="utf-8")
    table = page.partition("## The agreed text")[2].partition("\n##")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| `")]
    assert {row.strip("`") for row in rows} == listed
