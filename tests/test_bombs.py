"""Files that ask for far more than they are: refused in one line, with little memory and time."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import hand_bytes
import numpy as np
import pytest
from hand_chain import AGREED, Hand, make
from verify_chain import canonical

from fedchain.ledger.tools.proof import LARGEST_PROOF

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

MOST_SECONDS = 5.0
HUGE = 10 * 2**30
SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
GRID = "obj_info num_cols {n}\nobj_info num_rows {n}\nelement vertex {v}\n"
XYZ = "property float x\nproperty float y\nproperty float z\nend_header\n"


def refused(reader: str, good: Path, bombs: dict[Path, str]) -> None:
    """Check that a reader accepts a good file, and refuses bombs in one line with these words."""
    script = Path(__file__).with_name("bomb_runner.py")
    done = subprocess.run(
        [sys.executable, script, reader, good, *bombs], capture_output=True, text=True, check=True
    )
    first, *rest = map(json.loads, done.stdout.splitlines())
    assert (first["code"], first["crash"]) == (0, ""), first
    assert len(rest) == len(bombs)
    for (bomb, words), found in zip(bombs.items(), rest, strict=True):
        assert found["crash"] == "", (bomb.name, found)
        assert found["code"] in (2, 3, 5), (bomb.name, found)
        unmapped = reader == "second" and "Cannot allocate memory" in found["said"]
        assert words in found["said"] or unmapped, (bomb.name, found)
        assert "Traceback" not in found["said"]
        assert found["seconds"] - first["seconds"] < MOST_SECONDS, (bomb.name, found)
        if reader != "scenario":
            assert "\n" not in found["said"], (bomb.name, found)


def sparse(file: Path, data: bytes, size: int, end: bytes = b"") -> Path:
    """Write a file that is large, and takes nearly no room on the disk."""
    with file.open("wb") as opened:
        opened.write(data)
        opened.truncate(size)
        if end:
            opened.seek(size - len(end))
            opened.write(end)
    return file


def chain_with(tmp_path: Path, name: str, change: Callable[[dict], None], **agreed: object) -> Path:
    """Write a chain whose file or rules are changed."""

    def hook(kind: str, record: dict) -> None:
        if kind == "file":
            change(record)

    hand = Hand(parents=(0,), hook=hook)
    for key, value in agreed.items():
        hand.agreed["ledger"][key] = value
    file = tmp_path / name
    file.write_bytes(make(hand))
    return file


def rules_with(**model: object) -> bytes:
    """Return the first bytes of a chain file, up to the length of the weights."""
    agreed = {**AGREED, "model": {**AGREED["model"], **model}}
    return b"fedchain:x\0\2" + hand_bytes.blob(canonical.write(agreed).encode())


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """A good chain, and bombs with the words of their refusal by fedchain and the other."""
    folder = tmp_path_factory.mktemp("chains")
    good = chain_with(folder, "good", lambda _: None)
    data = good.read_bytes()
    many = chain_with(folder, "holders", lambda _: None, holders=2**32 - 1).read_bytes()
    block = many.index(b"fedchain:h") - 8  # the length of the first block
    start = many[: block + 8 + 360]
    long = start[:block] + (HUGE - 500).to_bytes(8) + start[block + 8 :]
    most, d = 2**25, 2**32 - 1
    deep = data.replace(b'"groups":null', b'"groups":' + b"[" * 3000)
    bombs = {
        sparse(folder / "dimension", rules_with(dimension=d) + (8 * d + 25).to_bytes(8), 9 * d): (
            "model.dimension: got 4294967295"
        ),
        sparse(
            folder / "zeros", rules_with(dimension=2**27) + (2**30 + 25).to_bytes(8), 2**30 + 2000
        ): "model.dimension: got 134217728",
        sparse(
            folder / "most",
            rules_with(dimension=most, layout=[["w", [most]]])
            + (8 * most + 25).to_bytes(8)
            + bytes.fromhex("00000001 00000007")
            + b"weights\2\1"
            + most.to_bytes(8),
            HUGE,
        ): "the first",
        sparse(folder / "weights", rules_with() + HUGE.to_bytes(8), 2 * HUGE): "weights",
        sparse(folder / "block", data[:block] + HUGE.to_bytes(8), 2 * HUGE): "",
        sparse(folder / "no message", long + b"\0\0\0\1", HUGE): "",
        sparse(folder / "messages", long + b"\xff" * 4, HUGE): "",
        sparse(folder / "message", long + b"\0\0\0\1\xff\xff\xff\xff", HUGE): "",
        sparse(folder / "rules", b"fedchain:x\0\2\xff\xff\xff\xff", HUGE): "rules of 4294967295",
        sparse(folder / "nested", deep, len(deep)): "rules",
    }
    digits = folder / "digits"
    text = b'{"a":' + b"1" * (2**20 - 6) + b"}"
    digits.write_bytes(b"fedchain:x\0\2" + hand_bytes.blob(text))
    return good, {**bombs, digits: "rules"}


@pytest.mark.parametrize("reader", ["chain", "second"])
def test_chain_files_are_bounded_by_their_rules(reader, chains):
    good, bombs = chains
    refused(reader, good, bombs)


def ply(tmp_path: Path, name: str, kind: str, n: int, body: bytes, header: str = XYZ) -> Path:
    file = tmp_path / f"{name}.ply"
    text = f"ply\nformat {kind} 1.0\n" + GRID.format(n=n, v=n * n) + header
    file.write_bytes(text.encode() + body)
    return file


def test_ply_files_are_bounded_by_their_grid(tmp_path):
    good = ply(tmp_path, "good", "ascii", 2, b"0 0 40\n1 0 40\n0 1 40\nnan nan nan\n")
    wide = "".join(f"property float q{k}\n" for k in range(61)) + XYZ
    bombs = {
        ply(tmp_path, "ones", "ascii", 4096, b"1 " * 1000): "claims 4096 x 4096 pixels",
        ply(tmp_path, "word", "ascii", 2000, b"1" * 30_000_000): "has a line of more than",
        ply(tmp_path, "late", "ascii", 700, b"1 1 1\n" * 489_999 + b"1 1 x"): "has a vertex with x",
        ply(tmp_path, "columns", "ascii", 2896, b"1 " * 1000, wide): "numbers as text",
        sparse(tmp_path / "huge.ply", b"ply\n", HUGE): "allowed: at most",
        sparse(
            ply(tmp_path, "headless", "ascii", 2, b"", "x\n"), b"ply\n" + b"x" * 70_000, 2**29
        ): "no end_header",
    }
    refused("scan", good, bombs)


def packed(file: Path, arrays: dict[str, np.ndarray], twice: str = "", how: int = 8) -> Path:
    """Write arrays as an NPZ file, one of them again and again."""
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, array in arrays.items():
            written = io.BytesIO()
            np.lib.format.write_array(written, array, (1, 0))
            for _ in range(50 if name == twice else 1):
                archive.writestr(f"{name}.npy", written.getvalue())
    return file


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_npz_files_are_bounded_before_they_are_unpacked(tmp_path):
    points = np.broadcast_to(np.float64(1), (8, 8, 3))
    wide, names = np.broadcast_to(np.float32(0), (2000, 2000, 3)), tmp_path / "names.npz"
    with zipfile.ZipFile(names, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"a{number}", b"")
    vast = packed(
        tmp_path / "vast.npz", {"positions": np.broadcast_to(np.int8(1), (4096, 4096, 3))}
    )
    bombs = {
        vast: "claims 4096 x 4096 pixels",
        packed(tmp_path / "normals.npz", {"positions": points, "normals": wide}): "normals has",
        packed(tmp_path / "keep.npz", {"positions": points, "keep": wide}): "keep has shape",
        packed(tmp_path / "twice.npz", {"positions": points}, "positions"): "two arrays of one",
        packed(tmp_path / "lzma.npz", {"positions": points}, how=14): "in another way than numpy",
        names: "bytes of names",
        sparse(tmp_path / "huge.npz", b"PK", HUGE): "allowed: at most",
    }
    refused("scan", packed(tmp_path / "good.npz", {"positions": points}), bombs)


@pytest.mark.long
def test_files_of_links_are_bounded(tmp_path):
    good = tmp_path / "good"
    good.write_text("0 1\n1 2\n")
    texts = {
        "names": ("".join(f"{k} {k + 1}\n" for k in range(250_000)), "knows node"),
        "digits": ("0 " + "1" * 4_000_000, "cannot be read"),
        "deep.graphml": ("<graphml>" + "<a>" * 500_000, "cannot be read"),
        "laughs.graphml": (
            '<!DOCTYPE l [<!ENTITY a "ha">'
            + "".join(
                f'<!ENTITY {b} "{"&" + a + ";" * 1}{("&" + a + ";") * 9}">'
                for a, b in zip("abcdefghi", "bcdefghij", strict=True)
            )
            + "]><graphml>&j;</graphml>",
            "cannot be read",
        ),
    }
    bombs = {sparse(tmp_path / "huge", b"0 1\n", HUGE): "has more than 4194304 bytes"}
    for name, (text, words) in texts.items():
        (tmp_path / name).write_text(text)
        bombs[tmp_path / name] = words
    packed_links = tmp_path / "links.gz"
    packed_links.write_bytes(gzip.compress(b"0 1\n" * 10_000_000, 1))
    refused("network", good, {**bombs, packed_links: "cannot be read"})


@pytest.mark.long
def test_scenarios_are_bounded(tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text((SCENARIOS / "breast_cancer.yaml").read_text(encoding="utf-8"))
    texts = {
        "wide": "a: [" + "1," * 120_000 + "1]\n",
        "deep": "a: " + "[" * 200_000,
        "keys": "".join(f"k{number}: 1\n" for number in range(24_000)),
        "laughs": "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"a{k + 1}: &a{k + 1} [{','.join([f'*a{k}'] * 10)}]\n" for k in range(9)),
        "text": 'a: "' + "x" * 250_000,
        "tags": "a: [" + "!!str x," * 25_000 + "]\n",
    }
    bombs = {sparse(tmp_path / "huge.yaml", b"task: 1\n", HUGE): "larger than"}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
        bombs[tmp_path / f"{name}.yaml"] = f"{name}.yaml"
    refused("scenario", good, bombs)


@pytest.mark.long
def test_proofs_are_bounded(proof_file, tmp_path):
    size = LARGEST_PROOF - 40
    start = b'{"format": "fedchain-proof-2", "rules": "'
    texts = {
        "nested": b"[" * size,
        "lists": b"[" + b"[]," * (size // 3) + b"[]]",
        "digits": b'{"format": ' + b"1" * size + b"}",
        "rules": start + b"00" * (size // 2 - 20) + b'"}',
        "keys": b"{" + b",".join(b'"%d":1' % k for k in range(1_000_000)) + b"}",
    }
    bombs = {sparse(tmp_path / "huge", b"{", HUGE): "at most"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
        bombs[tmp_path / name] = "FAILED"
    refused("proof", proof_file, bombs)


@pytest.fixture
def proof_file(tmp_path):
    """A proof of a message of a small ledger."""
    from ledger_world import make_world

    from fedchain.ledger.storage.store import Store
    from fedchain.ledger.tools import proof

    world, file = make_world(), tmp_path / "good.json"
    with Store.create(tmp_path / "ledger", world.rules, world.genesis, world.state) as store:
        chain = world.chain()
        world.grow(chain, 1, store)
        found = proof.find(store, store.block(chain.head).messages[0].id.hex())
        file.write_bytes(proof.encode(proof.prove(store, found)))
    return file
