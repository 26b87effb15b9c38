"""Validity: every rule that a full node checks for a message, a header and a block.

Each error text names the field, the value and the allowed values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from fedchain.errors import EncodingError, InvalidBlock, InvalidMessage, TooEarly, WrongCopy
from fedchain.ledger.chain.block import BLOCK_VERSION, Block, Header
from fedchain.ledger.chain.block_tree import ChainLink
from fedchain.ledger.chain.codec import direction_problem
from fedchain.ledger.chain.crypto import is_signature, root_from_path
from fedchain.ledger.chain.declared import declaration_problem, zero_problem
from fedchain.ledger.chain.message import (
    MESSAGE_VERSION,
    Message,
    identity_leaf,
    identity_of,
    signing_bytes,
)
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.state import State
from fedchain.ledger.chain.work import is_paid, target_from_compact

Transition = Callable[[State, tuple[Message, ...]], State]
"""Function that takes a state and a block's messages in order of id, and returns the state after
the block."""
MessageCheck = Callable[[Message, Rules, bytes, bytes, int], None]
"""Function with the arguments and errors of ``check_message``."""


def check_message(
    message: Message, rules: Rules, chain_id: bytes, parent: bytes, height: int
) -> None:
    """Check one message for a block with the given height and parent.

    Args:
        message: the message as received.
        rules: rules of the chain.
        chain_id: hash of the genesis block, 32 bytes.
        parent: hash of the parent that the message must name, 32 bytes.
        height: height of the block; the message must name this number as its round.

    Raises:
        InvalidMessage: the message breaks a rule.
    """
    try:
        _ = message.content  # first, because a message without an encoding has no id to report
    except EncodingError as error:
        raise InvalidMessage(f"message: {error}") from error
    problem = (
        _place_problem(message, rules, chain_id, parent, height)
        or direction_problem(message.direction, message.exponent, rules.storage, rules.dimension)
        or zero_problem(message)
        or _signer_problem(message, rules)
    )
    if problem:
        raise InvalidMessage(f"message {_short(message.id)}: {problem}")


def check_bare(message: Message, rules: Rules, header: Header) -> None:
    """Check a bare message, which has no direction, for the block with this header.

    Raises:
        InvalidMessage: the message breaks a rule.
    """
    place = header.chain_id, header.parent, header.height
    problem = _place_problem(message, rules, *place) or _signer_problem(message, rules)
    if problem:
        raise InvalidMessage(f"message {_short(message.id)}: {problem}")


def check_header(header: Header, below: ChainLink, rules: Rules, now_ms: int) -> None:
    """Check the header of a new block against the rules and the parent.

    Args:
        header: header of the new block.
        below: the ChainLink of the accepted parent.
        rules: rules of the chain.
        now_ms: time on the node's clock, simulated milliseconds.

    Raises:
        TooEarly: the header is valid, but its time is too far ahead of the clock.
        InvalidBlock: the header breaks a rule.
    """
    latest = now_ms + rules.max_ahead_ms
    time = f"time_ms: is {header.time_ms}; must be above {below.median_ms} and at most {latest}"
    problem = _link_problem(header, below.header, rules)
    if not problem:
        early = header.time_ms <= below.median_ms
        problem = time if early else _work_problem(header, rules, below.bits)
    if problem:
        raise InvalidBlock(f"{header.label}: {problem}")
    if header.time_ms > latest:
        raise TooEarly(f"{header.label}: {time}")


def check_block(
    block: Block,
    rules: Rules,
    chain_id: bytes,
    state: State,
    transition: Transition,
    check: MessageCheck = check_message,
) -> State:
    """Check a block's messages, and recompute the state after the block bit for bit.

    Args:
        block: a block whose header has passed ``check_header``.
        rules: rules of the chain.
        chain_id: hash of the genesis block, 32 bytes.
        state: the state after the parent.
        transition: function that computes the state after a block.
        check: function that checks one message.

    Returns:
        The state after the block.

    Raises:
        WrongCopy: the messages or the signature do not belong to the header.
        InvalidBlock: the block breaks a rule.
    """
    header = block.header
    _check_messages(block, rules)
    try:
        for message in block.messages:
            check(message, rules, chain_id, header.parent, header.height)
        after = transition(state, block.messages)
    except InvalidMessage as error:
        raise InvalidBlock(f"{header.label}: {error}") from error
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:  # odd memory
        reason = f"messages: no step can be made from them: {error}"
        raise InvalidBlock(f"{header.label}: {reason}") from error
    if problem := _state_problem(header, after, rules):
        raise InvalidBlock(f"{header.label}: {problem}")
    return after


def check_bare_block(block: Block, rules: Rules) -> None:
    """Check a block whose messages have no directions; the state is not checked.

    Raises:
        WrongCopy: the messages or the signature do not belong to the header.
        InvalidBlock: the block breaks a rule.
    """
    _check_messages(block, rules)
    try:
        for message in block.messages:
            check_bare(message, rules, block.header)
    except InvalidMessage as error:
        raise InvalidBlock(f"{block.header.label}: {error}") from error


def check_orphan(block: Block, rules: Rules, chain_id: bytes) -> None:
    """Check a block as far as possible while its parent is unknown.

    The block must have valid work for a target no easier than the initial one.

    Raises:
        WrongCopy: the messages or the signature do not belong to the header.
        InvalidBlock: the block breaks a rule.
    """
    header = block.header
    if header.chain_id != chain_id:
        what = f"chain_id: is {_short(header.chain_id)}; must be {_short(chain_id)}, the genesis"
        raise InvalidBlock(f"{header.label}: {what}")
    try:
        target = target_from_compact(header.bits)
    except ValueError as error:
        raise InvalidBlock(f"{header.label}: {error}") from error
    easiest = target_from_compact(rules.bits)
    if target > easiest or not is_paid(rules.work, header.hash, target):
        raise InvalidBlock(f"{header.label}: nonce: its work is below that of any block")
    check_copy(block)


def check_copy(block: Block) -> None:
    """Check a block's signature, and that the header commits to the block's messages.

    Raises:
        WrongCopy: the messages or the signature do not belong to the header. Another copy with the
            same header may be valid.
    """
    if block.flaw:
        raise WrongCopy(f"{block.header.label}: {block.flaw}")


def _check_messages(block: Block, rules: Rules) -> None:
    """Check the signature, the Merkle root, and the number, order and uniqueness of messages."""
    check_copy(block)
    count, most, problem = len(block.messages), rules.limits.messages, ""
    ids = [message.id for message in block.messages]
    # Anybody can compute the message of the public root beforehand, and send it first.
    said = [message for message in block.messages if message.declaration.records]
    if not rules.quorum <= count <= most:
        problem = f"got {count}; must be {rules.quorum} (the quorum) to {most}"
    elif any(left >= right for left, right in pairwise(ids)):
        problem = "must stand in ascending order of their ids, each once"
    elif len({message.public_key for message in block.messages}) < count:
        problem = "two are of one identity; one a round is allowed"
    elif len(moving := [m.payload for m in said if m.norm]) > len(set(moving)):
        problem = "two have the same payload; a copy does not count"
    elif len(said) < count - 1:
        problem = "two are of a public root; one is allowed"
    if problem:
        raise InvalidBlock(f"{block.header.label}: messages: {problem}")


def _place_problem(
    message: Message, rules: Rules, chain_id: bytes, parent: bytes, height: int
) -> str | None:
    if message.version != MESSAGE_VERSION:
        return f"version: is {message.version}; must be {MESSAGE_VERSION}"
    if message.chain_id != chain_id:
        return f"chain_id: is {_short(message.chain_id)}; must be {_short(chain_id)}"
    if message.parent != parent:
        return f"parent: is {_short(message.parent)}; must be {_short(parent)}"
    if message.round != height:
        return f"round: is {message.round}; must be {height}"
    zero = message.norm == 0 and math.copysign(1.0, message.norm) > 0
    if not (zero or (math.isfinite(message.norm) and 0 < message.norm <= rules.max_norm)):
        allowed = f"above 0 and at most {rules.max_norm!r}, or 0.0 for a zero gradient"
        return f"norm: is {message.norm!r}; must be {allowed}"
    return None


def _signer_problem(message: Message, rules: Rules) -> str | None:
    problem = declaration_problem(message.declaration, rules) or _identity_problem(message, rules)
    if problem:
        return problem
    if not is_signature(message.public_key, message.signature, signing_bytes(message)):
        return "signature: is not that of the public key over these fields"
    return None


def _identity_problem(message: Message, rules: Rules) -> str | None:
    identity, proof = identity_of(message.public_key), message.proof
    records = message.declaration.records
    who = f"identity {_short(identity)} with {records} records"
    if rules.identity == "open":
        return None if proof is None else "proof: is given; open identities carry none"
    if proof is None:
        return f"proof: is missing; {who} must be registered for round {message.round}"
    try:
        root = root_from_path(identity_leaf(message.round, identity, records), proof)
    except ValueError as error:
        return f"proof: {error}"
    if root != rules.identity_root:
        return f"proof: {who} is not registered for round {message.round}"
    return None


def _link_problem(header: Header, parent: Header, rules: Rules) -> str | None:
    chain_id = parent.chain_id if parent.height else parent.hash
    if header.version != BLOCK_VERSION:
        return f"version: is {header.version}; must be {BLOCK_VERSION}"
    if header.chain_id != chain_id:
        return f"chain_id: is {_short(header.chain_id)}; must be {_short(chain_id)}"
    if header.height != parent.height + 1 or header.height > rules.rounds:
        allowed = f"{parent.height + 1}, at most {rules.rounds}"
        return f"height: is {header.height}; must be {allowed}"
    if header.parent != parent.hash:
        return f"parent: is {_short(header.parent)}; must be {_short(parent.hash)}"
    if header.rules_hash != parent.rules_hash:
        return f"rules_hash: is {_short(header.rules_hash)}; must be {_short(parent.rules_hash)}"
    return None


def _work_problem(header: Header, rules: Rules, expected_bits: int) -> str | None:
    if header.bits != expected_bits:
        return f"bits: is {header.bits:#010x}; must be {expected_bits:#010x}"
    if rules.work == "sampled" and header.nonce:
        return f"nonce: is {header.nonce}; must be 0 where work is sampled"
    if not is_paid(rules.work, header.hash, target_from_compact(header.bits)):
        return f"nonce: {header.nonce} does not bring the hash below the target"
    return None


def _state_problem(header: Header, after: State, rules: Rules) -> str | None:
    got = after.weights
    if got.dtype != rules.dtype or got.shape != (rules.dimension,):
        wanted = f"{rules.dtype} of shape ({rules.dimension},)"
        return f"weights: the step gives {got.dtype.name} of shape {got.shape}; must be {wanted}"
    if after.weights_hash != header.weights_hash:
        return "weights_hash: weights are not the aggregate of its messages"
    if after.memory_hash != header.memory_hash:
        return "memory_hash: the update's memory is not what its messages lead to"
    return None


def _short(digest: bytes) -> str:
    return digest.hex()[:8]
