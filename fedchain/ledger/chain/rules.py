"""Rules of a chain: everything that the genesis block fixes for all later blocks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from fedchain.arrays import MOST_WEIGHTS
from fedchain.errors import OLD_FORMAT, EncodingError
from fedchain.ledger.chain.block import BLOCK_VERSION, Block, Header, messages_root
from fedchain.ledger.chain.canonical import LARGEST_WHOLE, canonical_text, read_canonical
from fedchain.ledger.chain.codec import Storage
from fedchain.ledger.chain.crypto import HASH
from fedchain.ledger.chain.encoding import cached_field
from fedchain.ledger.chain.json_values import (
    ValueReader,
    check_keys,
    choice_reader,
    is_whole,
    numbers_reader,
    read_bound,
    read_clip,
    read_digest,
    read_flag,
    read_object,
    refuse_value,
    text_reader,
    whole_reader,
)
from fedchain.ledger.chain.message import MOST_NAME, Limits
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.work import WorkKind, target_from_compact

ZERO = bytes(HASH)
"""32 zero bytes: the parent, chain id and address in the genesis block."""
RULES_FORMAT = 2
"""Version of the rules' JSON text."""
MOST_RULES = 2**20
"""Most bytes of the rules' JSON text."""
MOST_OPEN_MESSAGES = 65_536
"""Most messages of a block if identities are open; sums of this many directions are exact."""

WeightType = Literal["float64", "float32"]
"""NumPy type of the weights."""
Registration = Literal["registered", "open"]
"""Who may send messages: registered identities only, or anyone."""
Parameters = tuple[tuple[str, tuple[int, ...]], ...]
"""Name and shape of each parameter of the model, in order."""

_TAG = b"fedchain:r"
"""Tag that is hashed before the rules' text; encoded rules of format 1 began with this tag."""
_U32 = 2**32 - 1
_MOST_VALUES = 65_536
"""Most parameters of a model, and most values of the schedule of noise."""
_LONGEST_NAME, _MOST_AXES = 256, 255
"""Most bytes of a parameter's name, and most axes of a parameter's shape."""
_AGREED = ("groups", "momentum", "privacy", "task", "threat")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules that every block of a chain must obey, and the participants' agreements."""

    aggregation: str
    """The aggregation rule and its parameters, as canonical JSON."""
    update: str
    """The update and its parameters, for example the learning rate, as canonical JSON."""
    mechanism: str
    """Name of the mechanism that every message must declare, 1 to 64 bytes; ``none``: no noise."""
    noise: tuple[float, ...]
    """Schedule of noise, 1 to 65,536 values. A message declares one value and its index."""
    clip: float | None
    """The clip that every message must declare. inf: gradients are not clipped; None: the clip
    follows a quantile, so any finite clip above 0 may be declared."""
    agreed: str
    """All other agreements, as canonical JSON: ``task``, ``privacy`` (without mechanism, noise and
    clip), ``groups``, ``momentum`` and ``threat``. No rule depends on them."""
    records: tuple[tuple[int, int], ...]
    """Pairs (registered number of records, number of participants that have this number), in
    ascending order; () if identities are open."""
    root: bool = False
    """Whether a public root is registered: an identity with 0 records that adds no noise."""
    commitment: bytes
    """Blinded commitment to the seed and the data of all holders, 32 bytes."""
    dimension: int
    """Number of weights, and of entries of every direction; at most 2^25."""
    layout: Parameters
    """Name and shape of each parameter of the model, in the order of the flat weights."""
    dtype: WeightType
    """NumPy type of the weights."""
    holders: int
    """Number of participants (holders or groups) asked in a round. With registered identities, a
    block has at most this many messages, and one more if there is a public root."""
    identity: Registration
    """registered: each participant asked in a round has one identity, a leaf of the identity tree;
    open: anyone may send messages."""
    identity_root: bytes
    """Merkle root of the identity tree, 32 bytes; zero bytes if identities are open. Each leaf of
    the tree holds a round, an identity P* and a number of records."""
    quorum: int
    """Least number of messages of a block; 0 on a chain without learning."""
    rounds: int
    """Greatest height that a block may have, which is the number of rounds."""
    storage: Storage
    """The integer type that stores the entries of a direction."""
    max_norm: float
    """Largest allowed ``Message.norm``."""
    work: WorkKind
    """hashcash: a block's hash is at most the target; sampled: work is only simulated."""
    bits: int
    """Initial target in Bitcoin's compact form; no later target is easier."""
    interval_ms: int
    """Wanted mean time between blocks, simulated milliseconds."""
    retarget_window: int
    """Number of blocks between two changes of the target; 0: the target never changes."""
    max_ahead_ms: int
    """How far the time of a block may be ahead of a node's clock, simulated milliseconds."""

    @cached_field
    def hash(self) -> bytes:
        """SHA-256 of a tag and the encoded rules, 32 bytes; every header contains this hash."""
        return hashlib.sha256(_TAG + encode_rules(self)).digest()

    @cached_field
    def limits(self) -> Limits:
        """Upper bounds for the decoders of messages and blocks."""
        registered = self.identity == "registered"
        most = self.holders + self.root if registered else MOST_OPEN_MESSAGES
        return Limits(self.dimension, most)

    @cached_field
    def registered(self) -> frozenset[int]:
        """Every count of records that a message may declare: the agreed ones, and 0 for a root."""
        return frozenset([number for number, _ in self.records] + [0] * self.root)


def genesis(rules: Rules, state: State) -> Block:
    """Return the genesis block, which needs no work, for these rules and this state."""
    header = Header(
        version=BLOCK_VERSION,
        chain_id=ZERO,
        height=0,
        parent=ZERO,
        time_ms=0,
        bits=rules.bits,
        address=ZERO,
        messages_root=messages_root(()),
        weights_hash=state.weights_hash,
        memory_hash=state.memory_hash,
        rules_hash=rules.hash,
        nonce=0,
    )
    return Block(header, ())


def encode_rules(rules: Rules) -> bytes:
    """Return the rules as canonical JSON text in UTF-8.

    Raises:
        EncodingError: the value of a field is not allowed.
    """
    agreed = _parsed("agreed", rules.agreed)
    check_keys("agreed", agreed, _AGREED)
    privacy = {key: getattr(rules, field) for key, (field, _) in _PRIVACY.items()}
    value = agreed | {
        "format": RULES_FORMAT,
        "aggregation": _parsed("aggregation", rules.aggregation),
        "update": _parsed("update", rules.update),
        "privacy": read_object("agreed.privacy", agreed["privacy"]) | privacy,
        "records": rules.records,
        "root": rules.root,
        "commitment": rules.commitment.hex(),
        "model": {key: getattr(rules, key) for key in _MODEL},
        "ledger": {key: getattr(rules, key) for key in _LEDGER}
        | {"identity_root": rules.identity_root.hex()},
    }
    data = canonical_text(value).encode()
    if decode_rules(data) != rules:
        raise EncodingError("rules: a field has a value that their text does not say")
    return data


def decode_rules(data: bytes) -> Rules:
    """Decode rules from their canonical JSON text.

    Raises:
        EncodingError: the bytes are not the encoding of any rules. The error text names the key.
    """
    if data.startswith(_TAG):
        raise EncodingError(f"rules: {OLD_FORMAT}")
    if len(data) > MOST_RULES:
        raise EncodingError(f"rules: have {len(data)} bytes; at most {MOST_RULES} are allowed")
    value = read_canonical(data, "rules")
    check_keys("text", value, ("format", "ledger", "model", *_OWN, *_AGREED))
    if value["format"] != RULES_FORMAT:
        refuse_value("format", value["format"], str(RULES_FORMAT))
    check_keys("model", value["model"], tuple(_MODEL))
    check_keys("ledger", value["ledger"], tuple(_LEDGER))
    for key in ("groups", "momentum", "threat"):
        if value[key] is not None:
            read_object(key, value[key])
    privacy = dict(read_object("privacy", value["privacy"]))
    if missing := sorted(_PRIVACY.keys() - privacy):
        refuse_value("privacy", sorted(privacy), f"an object with {', '.join(missing)} too")
    found = {
        field: read(f"privacy.{key}", privacy.pop(key)) for key, (field, read) in _PRIVACY.items()
    }
    rest = {key: value[key] for key in _AGREED} | {"privacy": privacy}
    read_object("task", value["task"])
    found |= {key: read(key, value[key]) for key, read in _OWN.items()}
    found |= {key: read(f"model.{key}", value["model"][key]) for key, read in _MODEL.items()}
    found |= {key: read(f"ledger.{key}", value["ledger"][key]) for key, read in _LEDGER.items()}
    if found["identity"] == "open" and (found["records"] or found["root"]):
        refuse_value("records", found["records"], "[] and without a root where identities are open")
    return Rules(**found, agreed=canonical_text(rest))


def _parsed(key: str, text: str) -> Any:
    """Return the value of a field that contains JSON text."""
    return read_canonical(text.encode(errors="surrogatepass"), f"rules: {key}")


def _part(key: str, value: object) -> str:
    return canonical_text(read_object(key, value))


def _records(key: str, value: Any) -> tuple[tuple[int, int], ...]:
    pairs = value if isinstance(value, list) else [value]
    for each in pairs:
        if not isinstance(each, list) or [is_whole(n, 1, _U32) for n in each] != [True, True]:
            refuse_value(key, each, f"pairs [records, participants], both from 1 to {_U32}")
    if any(left >= right for (left, _), (right, _) in pairwise(pairs)):
        refuse_value(key, value, "in ascending order of the records, each number once")
    return tuple((number, count) for number, count in pairs)


def _layout(key: str, value: Any) -> Parameters:
    if not isinstance(value, list) or len(value) > _MOST_VALUES:
        refuse_value(key, value, f"a list of at most {_MOST_VALUES} pairs of a name and sizes")
    for each in value:
        match each:
            case [str(name), [*sizes]] if (
                len(name.encode()) <= _LONGEST_NAME
                and len(sizes) <= _MOST_AXES
                and all(is_whole(size, 0, _U32) for size in sizes)
            ):
                continue
        names = f"a name of at most {_LONGEST_NAME} bytes"
        refuse_value(key, each, f"{names}, and at most {_MOST_AXES} sizes from 0 to {_U32}")
    return tuple((name, tuple(sizes)) for name, sizes in value)


def _target(key: str, value: Any) -> object:
    try:
        target_from_compact(whole_reader(_U32)(key, value))
    except ValueError as error:
        raise EncodingError(f"rules: {key}: {error}") from error
    return value


_OWN: dict[str, ValueReader] = {
    "aggregation": _part,
    "update": _part,
    "records": _records,
    "root": read_flag,
    "commitment": read_digest,
}
_PRIVACY: dict[str, tuple[str, ValueReader]] = {
    "kind": ("mechanism", text_reader(MOST_NAME)),
    "noise": ("noise", numbers_reader(_MOST_VALUES)),
    "clip": ("clip", read_clip),
}
_MODEL: dict[str, ValueReader] = {
    "dimension": whole_reader(MOST_WEIGHTS),
    "dtype": choice_reader(WeightType),
    "layout": _layout,
}
_LEDGER: dict[str, ValueReader] = {
    "holders": whole_reader(_U32),
    "identity": choice_reader(Registration),
    "identity_root": read_digest,
    "quorum": whole_reader(_U32),
    "rounds": whole_reader(_U32),
    "storage": choice_reader(Storage),
    "max_norm": read_bound,
    "work": choice_reader(WorkKind),
    "bits": _target,
    "interval_ms": whole_reader(LARGEST_WHOLE, least=1),
    "retarget_window": whole_reader(_U32),
    "max_ahead_ms": whole_reader(LARGEST_WHOLE),
}
