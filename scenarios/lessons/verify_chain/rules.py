"""The agreed text: the rules of a chain, one canonical JSON that genesis commits to.

Every key that has a meaning for the ledger has its bounds here. The others (the task, the groups,
what is assumed of attackers) must be there, but may say anything.
"""

import math

from . import canonical
from .encoding import Wrong, need
from .work import target_of

U32 = 2**32 - 1
MOST = 2**53
MOST_VALUES = 65_536
MOST_OPEN = 65_536
MOST_WEIGHTS = 2**25
ENTRIES = {"int8": 127, "int16": 32767, "int32": 2**31 - 1}


def whole(least, most):
    """Allow the whole numbers from least to most; true and false are none."""

    def allows(value):
        return type(value) is int and least <= value <= most

    return f"a whole number from {least} to {most}", allows


def one_of(*texts):
    """Allow these texts alone."""
    return "one of " + ", ".join(texts), lambda value: isinstance(value, str) and value in texts


def list_of(words, allows, least=0, most=math.inf):
    """Allow lists of values that are allowed."""

    def all_allowed(value):
        return isinstance(value, list) and least <= len(value) <= most and all(map(allows, value))

    return f"a list of {words}", all_allowed


def is_number(value):
    """Say whether a value is a number of JSON."""
    return type(value) in (int, float)


def is_bound(value):
    """Say whether a value is a number above 0, or the text that stands for infinity."""
    return value == "inf" or (is_number(value) and value > 0)


def is_text(value, least, most):
    """Say whether a value is a text with so many bytes."""
    return isinstance(value, str) and least <= len(value.encode()) <= most


def is_hash(value):
    """Say whether a value is a hash in hexadecimal digits."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def is_parameter(value):
    """Say whether a value is the name and the sizes of one parameter of a model."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and is_text(value[0], 0, 256)
        and list_of("sizes", whole(0, U32)[1], 0, 255)[1](value[1])
    )


def is_target(value):
    """Say whether a value is a target in compact form."""
    try:
        return whole(0, U32)[1](value) and target_of(value) > 0
    except Wrong:
        return False


def is_count(value):
    """Say whether a value is a number of records and the number of participants that have it."""
    return isinstance(value, list) and len(value) == 2 and all(map(whole(1, U32)[1], value))


OBJECT = "an object", lambda value: isinstance(value, dict)
OBJECT_OR_NOT = "an object or null", lambda value: value is None or isinstance(value, dict)
HASH = "64 hexadecimal digits in lower case", is_hash

KEYS = {
    "format": ("2", lambda value: type(value) is int and value == 2),
    "aggregation": OBJECT,
    "update": OBJECT,
    "task": OBJECT,
    "privacy": OBJECT,
    "privacy.kind": ("a text of 1 to 64 bytes", lambda value: is_text(value, 1, 64)),
    "privacy.noise": list_of(
        "1 to 65536 numbers from 0 on", lambda v: is_number(v) and v >= 0, 1, MOST_VALUES
    ),
    "privacy.clip": ("a number above 0, 'inf' or null", lambda v: v is None or is_bound(v)),
    "groups": OBJECT_OR_NOT,
    "momentum": OBJECT_OR_NOT,
    "threat": OBJECT_OR_NOT,
    "records": list_of(f"[records, participants], both from 1 to {U32}", is_count),
    "root": ("true or false", lambda value: isinstance(value, bool)),
    "commitment": HASH,
    "model": OBJECT,
    "model.dimension": whole(0, MOST_WEIGHTS),
    "model.dtype": one_of("float64", "float32"),
    "model.layout": list_of("[name, [sizes]]", is_parameter, 0, MOST_VALUES),
    "ledger": OBJECT,
    "ledger.holders": whole(0, U32),
    "ledger.identity": one_of("registered", "open"),
    "ledger.identity_root": HASH,
    "ledger.quorum": whole(0, U32),
    "ledger.rounds": whole(0, U32),
    "ledger.storage": one_of(*ENTRIES),
    "ledger.max_norm": ("a number above 0 or 'inf'", is_bound),
    "ledger.work": one_of("hashcash", "sampled"),
    "ledger.bits": ("the compact form of a target", is_target),
    "ledger.interval_ms": whole(1, MOST),
    "ledger.retarget_window": whole(0, U32),
    "ledger.max_ahead_ms": whole(0, MOST),
}
WITH_PARAMETERS = "privacy"  # besides the keys above it has the parameters of its kind


def read_rules(text):
    """Return the agreed values by their names in the table, such as `ledger.quorum`.

    `registered` are all numbers of records that an identity may have, 0 for a public root.
    """
    agreed, found = canonical.read(text, "rules"), {}
    need(isinstance(agreed, dict), "rules: must be an object")
    check_keys(agreed, "")
    for name, (words, allows) in KEYS.items():
        above, _, key = name.rpartition(".")
        value = (found[above] if above else agreed)[key]
        need(allows(value), f"rules: {name}: got {value!r:.80}; must be {words}")
        if any(inner.startswith(f"{name}.") for inner in KEYS):
            check_keys(value, name)
        found[name] = value
    check_together(found)
    infinite = {n: math.inf for n in ("privacy.clip", "ledger.max_norm") if found[n] == "inf"}
    return {
        **found,
        **infinite,
        "registered": {*(n for n, _ in found["records"]), *([0] * found["root"])},
    }


def check_keys(value, above):
    """Check that an object has all keys that the table names there, and no others."""
    names = [name.rpartition(".") for name in KEYS]
    wanted = {key for upper, _, key in names if upper == above}
    more = set() if above == WITH_PARAMETERS else set(value) - wanted
    for words, keys in (("is missing", wanted - set(value)), ("is no key", more)):
        for key in sorted(keys):
            raise Wrong(f"rules: {above}{'.' * bool(above)}{key!r:.80}: {words}")


def check_together(found):
    """Check what several values must fulfil together."""
    records = [number for number, _ in found["records"]]
    need(records == sorted(set(records)), "rules: records: must ascend, each number once")
    if found["ledger.identity"] == "open":
        need(not records, "rules: records: are given; open identities have no registered ones")
        need(not found["root"], "rules: root: is true; open identities have no public root")
