"""Blocks: a header, the signature of the node that made it, its messages, and what must hold."""

from .encoding import Bytes, Wrong, need, sha, short
from .merkle import tree_root
from .messages import check_message, is_zero, read_message
from .rules import MOST_OPEN
from .signatures import signs
from .work import target_of

VERSION = 2
HEADER_BYTES = 264
HEADER = """version:u2 chain_id:b32 height:u8 parent:b32 time_ms:u8 bits:u4 address:b32
    messages_root:b32 weights_hash:b32 memory_hash:b32 rules_hash:b32 nonce:u8"""
MEDIAN_OF = 11


def read_header(data):
    """Return a header as a dictionary."""
    read = Bytes(data, "header")
    header = read.fields(b"fedchain:h", HEADER)
    read.end()
    return header


def read_block(data, rules):
    """Return a block as a dictionary: its header, hash, public key, signature and messages."""
    read = Bytes(data, "block")
    raw = read.take(HEADER_BYTES)
    block = {"header": read_header(raw), "hash": sha(sha(raw))}
    block |= {"public_key": read.take(32), "signature": read.take(64)}
    count, most = read.uint(4), most_messages(rules)
    need(count <= most, f"messages: {count} in a block; at most {most} are allowed")
    block["messages"] = [read_message(read.view(read.uint(4))) for _ in range(count)]
    read.end()
    return block


def most_messages(rules):
    """Return how many messages a block may have."""
    registered = rules["ledger.identity"] == "registered"
    return rules["ledger.holders"] + rules["root"] if registered else MOST_OPEN


def check_header(header, name, below, rules, latest_ms):
    """Check a header against the headers below it.

    Args:
        header: the header.
        name: its hash.
        below: what the chain says of its place: `parent`, the header there, and its `hash`; `bits`,
            the target that is asked for; `median_ms` of the last times; the `chain_id`.
        rules: the agreed values.
        latest_ms: the latest time that the block may have.
    """
    parent, rounds = below["parent"], rules["ledger.rounds"]
    need(header["version"] == VERSION, f"version: is {header['version']}; must be {VERSION}")
    same = {"chain_id": below["chain_id"], "rules_hash": parent["rules_hash"]}
    for key, wanted in same.items():
        need(header[key] == wanted, f"{key}: is {short(header[key])}; must be {short(wanted)}")
    height = parent["height"] + 1
    right = header["height"] == height <= rounds
    need(right, f"height: is {header['height']}; must be {height}, at most {rounds}")
    least, time = below["median_ms"], header["time_ms"]
    need(least < time <= latest_ms, f"time_ms: is {time}; must be above {least}, to {latest_ms}")
    wanted = below["bits"]
    need(header["bits"] == wanted, f"bits: is {header['bits']:#010x}; must be {wanted:#010x}")
    if rules["ledger.work"] == "sampled":
        need(header["nonce"] == 0, f"nonce: is {header['nonce']}; must be 0 where work is sampled")
    else:
        paid = int.from_bytes(name, "big") <= target_of(header["bits"])
        need(paid, f"nonce: {header['nonce']} does not bring the hash below the target")


def check_maker(block):
    """Check that the node at the header's address has signed the block."""
    address, key = block["header"]["address"], block["public_key"]
    need(sha(key) == address, f"public_key: is not that of the address {short(address)}")
    signed = signs(key, block["signature"], b"fedchain:k" + block["hash"])
    need(signed, "signature: is not that of the block's public key")


def check_messages(block, rules):
    """Check a block's messages, each by itself and all together."""
    messages, header, least = block["messages"], block["header"], rules["ledger.quorum"]
    root = tree_root([message["content"] for message in messages])
    need(root == header["messages_root"], "messages_root: is not the root of the messages")
    count, most = len(messages), most_messages(rules)
    need(least <= count <= most, f"messages: are {count}; must be {least} to {most}")
    ids = [message["id"] for message in messages]
    need(ids == sorted(set(ids)), "messages: must stand in ascending order of their ids, each once")
    keys = {message["public_key"] for message in messages}
    need(len(keys) == count, "messages: two are of one identity")
    said = [
        message for message in messages if message["records"]
    ]  # anybody can say what a root says
    payloads = [message["payload"] for message in said if not is_zero(message)]
    need(len(set(payloads)) == len(payloads), "messages: two have the same payload")
    roots = sum(message["records"] == 0 for message in messages)
    need(roots <= 1, f"messages: {roots} are of a public root; at most one is allowed")
    for message in messages:
        check_message(message, rules, header)


def named(error, block):
    """Return an error that also says which block it is about."""
    height, name = block["header"]["height"], short(block["hash"])
    return Wrong(f"block {name} (height {height}): {error}")
