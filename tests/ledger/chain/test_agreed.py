"""Every single value that was agreed, changed: genesis is then another block."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from ledger_world import LATE, make_world

from fedchain.errors import InvalidBlock
from fedchain.ledger.chain.block_tree import ChainLink
from fedchain.ledger.chain.canonical import canonical_text
from fedchain.ledger.chain.chain import Chain
from fedchain.ledger.chain.rules import decode_rules, encode_rules, genesis
from fedchain.ledger.chain.validity import check_header
from fedchain.ledger.chain.verdict_cache import VerdictCache

WORLD = make_world(noise=(3.5, 4.5), records=((100, 1), (150, 1), (200, 2)), rounds=29)
VALUE = json.loads(encode_rules(WORLD.rules))
BLOCK = WORLD.block(WORLD.chain())
OTHER_CHOICE = {
    "float64": "float32",
    "int16": "int8",
    "hashcash": "sampled",
}
"""Another allowed word where only some words are allowed."""


def leaves(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Yield the path of every value inside a JSON value that has no values inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inner:
        if isinstance(each, dict | list) and each:
            yield from leaves(each, (*path, key))
        else:
            yield (*path, key)


PATHS = [path for path in leaves(VALUE) if path not in {("format",), ("ledger", "identity")}]
"""Every agreed value. The format has one value; open identities have no numbers of records."""


def other(value: object) -> object:
    match value:
        case bool() | None:
            return {} if value is None else not value
        case int() | float():
            return value + 1 if value != WORLD.rules.bits else value - 1
        case str() if set(value) <= set("0123456789abcdef") and len(value) == 64:
            return "f" * 64
        case str():
            return OTHER_CHOICE.get(value, value + "x")
    return [1] if isinstance(value, list) else {"x": 1}


def changed(path: tuple) -> bytes:
    text = json.loads(json.dumps(VALUE))
    inner = text
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = other(inner[path[-1]])
    if path[0] == "records":
        text["records"].sort()
    return canonical_text(text).encode()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_a_genesis_with_another_value_is_not_the_parent_of_the_blocks(path):
    rules = decode_rules(changed(path))
    assert encode_rules(rules) == changed(path)
    first = genesis(rules, WORLD.state)
    assert first.header.rules_hash != WORLD.genesis.header.rules_hash
    with pytest.raises(InvalidBlock, match=r"chain_id: is \w{8}; must be \w{8}"):
        check_header(BLOCK.header, ChainLink(first, 0, 0, rules.bits), rules, LATE)
    chain = Chain(
        genesis_block=first,
        genesis_state=WORLD.state,
        rules=rules,
        transition=lambda state, _: state,
        verdict_cache=VerdictCache(),
    )
    with pytest.raises(InvalidBlock, match=r"chain_id: is \w{8}; must be \w{8}, the genesis"):
        chain.add(BLOCK, LATE)


def test_every_part_of_what_was_agreed_is_tried():
    assert {path[0] for path in PATHS} == VALUE.keys() - {"format"}
    assert len(PATHS) > 35
