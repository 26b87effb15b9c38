"""Messages: what a holder or a public root says in a round, and what must hold of it."""

import math

import numpy as np

from .encoding import Bytes, Wrong, need, sha, short
from .merkle import root_of_proof
from .rules import ENTRIES
from .signatures import signs

PLACE = "version:u2 chain_id:b32 parent:b32 round:u4 public_key:b32"
LEAST_EXPONENT = {"int8": 6, "int16": 14, "int32": 20}
LARGEST_EXPONENT = 20
WIDTHS = (1, 2, 4)


def read_message(data):
    """Return a message as a dictionary, with its payload, id and content."""
    read = Bytes(data, "message")
    said = read.fields(b"fedchain:m", PLACE)
    given = read.uint(1)
    need(given <= 1, f"message: proof: begins with {given}; must be 0 or 1")
    if given:
        index, size, count = read.uint(8), read.uint(8), read.uint(1)
        need(count <= 64, f"message: proof: has {count} hashes; at most 64 are allowed")
        said["proof"] = index, size, [read.take(32) for _ in range(count)]
    start = read.at
    said["exponent"], width, entries = read.uint(1), read.uint(1), read.uint(4)
    need(width in WIDTHS, f"message: direction: entries of {width} bytes; must be 1, 2 or 4")
    said["direction"] = np.frombuffer(read.view(width * entries), f"<i{width}")
    said["payload"], rest = sha(data[start : read.at]), read.at
    said["norm"], said["mechanism"], said["noise_step"] = read.real(), read.text(64), read.uint(2)
    said["noise"], said["clip"], said["records"] = read.real(), read.real(), read.uint(4)
    said["id"] = sha(data[:start], said["payload"], data[rest : read.at])
    said["signature"] = read.take(64)
    said["content"] = sha(said["id"], said["signature"])
    read.end()
    return said


def is_zero(said):
    """Say whether a message is that of a gradient that is exactly zero."""
    return said["exponent"] == 0


def check_message(said, rules, header):
    """Check that a message may stand in the block with this header; an error names the field."""
    try:
        check_place(said, header)
        check_norm(said, rules)
        check_direction(said, rules)
        check_declaration(said, rules)
        check_identity(said, rules)
    except Wrong as error:
        raise Wrong(f"message {short(said['id'])}: {error}") from None


def check_place(said, header):
    """Check that a message was made for this place in this chain."""
    for key in ("version", "chain_id", "parent", "height"):
        name = {"height": "round"}.get(key, key)
        got, wanted = (
            short(value) if isinstance(value, bytes) else value
            for value in (said[name], header[key])
        )
        need(said[name] == header[key], f"{name}: is {got}; must be {wanted}")


def check_norm(said, rules):
    """Check the norm: 0 in a zero message, else above 0 and within what is agreed."""
    norm, most = said["norm"], rules["ledger.max_norm"]
    if is_zero(said):
        need(norm == 0 and math.copysign(1, norm) > 0, f"norm: is {norm!r}; a zero message has 0.0")
    else:
        need(0 < norm <= most and norm < math.inf, f"norm: is {norm!r}; must be above 0, to {most}")


def check_direction(said, rules):
    """Check that integers stand for a unit vector, spelled in the one way there is."""
    q, e, storage = said["direction"], said["exponent"], rules["ledger.storage"]
    d = rules["model.dimension"]
    need(q.dtype.name == storage, f"direction: is stored as {q.dtype.name}; must be {storage}")
    need(len(q) == d, f"direction: has {len(q)} entries; must have {d}")
    if is_zero(said):
        need(not q.any(), "direction: must be zero where the exponent is 0")
        return
    least = LEAST_EXPONENT[storage]
    need(least <= e <= LARGEST_EXPONENT, f"exponent: is {e}; must be 0, or {least} to 20")
    slack, unit, square = math.isqrt(d) + 2, 2 ** (e + 1), 4 * sum(x * x for x in q.tolist())
    low, high = max(unit - slack, 1) ** 2, min(unit + slack, 2 * unit) ** 2
    need(low <= square <= high, f"direction: norm is {math.isqrt(square) / 2}; must be {unit / 2}")
    peak = max(int(q.max()), -int(q.min()))
    largest = e == LARGEST_EXPONENT or 2 * peak + 1 > ENTRIES[storage]
    need(largest, f"exponent: is {e}; a larger one fits")


def check_declaration(said, rules):
    """Check that a message declares what is agreed."""
    records, registered = said["records"], rules["ledger.identity"] == "registered"
    right = records in rules["registered"] if registered else records > 0
    need(right, f"records: is {records}; must be " + ("registered" if registered else "at least 1"))
    if records == 0:
        wanted = {"mechanism": "none", "noise_step": 0, "noise": 0.0, "clip": math.inf}
    else:
        step, schedule = said["noise_step"], rules["privacy.noise"]
        need(step < len(schedule), f"noise_step: is {step}; must be below {len(schedule)}")
        wanted = {"mechanism": rules["privacy.kind"], "noise": schedule[step]}
        wanted["clip"] = rules["privacy.clip"]
    for name, value in wanted.items():
        got, words = said[name], repr(value)
        if value is None:  # the clip follows a quantile
            allowed, words = 0 < got < math.inf, "above 0 and finite"
        else:
            allowed = got == value and str(got) != "-0.0"
        need(allowed, f"{name}: is {got!r:.80}; must be {words}")


def check_identity(said, rules):
    """Check that an identity is registered for this round with these records, and has signed."""
    if rules["ledger.identity"] == "open":
        need("proof" not in said, "proof: is given; open identities carry none")
    else:
        need("proof" in said, "proof: is missing")
        leaf = said["round"].to_bytes(4, "big") + sha(said["public_key"])
        root = root_of_proof(leaf + said["records"].to_bytes(4, "big"), *said["proof"])
        registered = root.hex() == rules["ledger.identity_root"]
        need(registered, f"proof: no such identity with {said['records']} records in this round")
    text = b"fedchain:s" + said["id"]
    need(signs(said["public_key"], said["signature"], text), "signature: is not that of the key")
