"""Validity: every rule that a full node checks on a message, a header and a block.

Each reason names the field, says what is wrong with its value, and what is allowed. Cheap checks
come first; signatures and the recomputation of the model come last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from fedchain.arrays import EXPONENT
from fedchain.errors import EncodingError, InvalidBlock, InvalidMessage, TooEarly, WrongMessages
from fedchain.ledger.chain import block as blocks
from fedchain.ledger.chain import message as messages
from fedchain.ledger.chain.block import Block, Header, block_hash, messages_root
from fedchain.ledger.chain.codec import (
    LEAST_EXPONENT,
    could_be_finer,
    norm_bounds,
    squared_norm,
    storage_of,
)
from fedchain.ledger.chain.merkle import root_from_path
from fedchain.ledger.chain.message import (
    Declaration,
    Message,
    content_of,
    identity_leaf,
    identity_of,
    message_id,
    payload_of,
    signing_bytes,
)
from fedchain.ledger.chain.rules import Rules, limits_of
from fedchain.ledger.chain.signature import verify
from fedchain.ledger.chain.state import State, hash_memory, hash_weights
from fedchain.ledger.chain.work import is_paid, target_from_compact

Transition = Callable[[State, tuple[Message, ...]], State]
"""The step that every full node recomputes: (state, messages in order of id) to the next state."""
MessageCheck = Callable[[Message, Rules, bytes, bytes, int], None]
"""``check_message``, or a version of it that keeps verdicts."""


def check_message(
    message: Message, rules: Rules, chain_id: bytes, parent: bytes, height: int
) -> None:
    """Check one message for the block of this height on this parent.

    Args:
        message: as it was received.
        rules: of the chain.
        chain_id: hash of the genesis block, 32 bytes.
        parent: hash of the block that the message must name, 32 bytes.
        height: height of the block that would carry the message: its round.

    Raises:
        InvalidMessage: a rule is broken; the text names the field.
    """
    try:
        content_of(message)  # first, because a message without an encoding has no id to report
        name = message_id(message).hex()[:8]
    except EncodingError as error:
        raise InvalidMessage(f"message: {error}") from error
    problem = (
        _place_problem(message, chain_id, parent, height)
        or _norm_problem(message, rules)
        or _direction_problem(message, rules)
        or _signer_problem(message, rules)
    )
    if problem:
        raise InvalidMessage(f"message {name}: {problem}")


def check_bare(message: Message, rules: Rules, header: Header) -> None:
    """Check all of a message but its direction, as is possible with a bare message.

    Args:
        message: the message, for example as ``decode_bare`` reads it.
        rules: of the chain.
        header: of the block that carries the message.

    Raises:
        InvalidMessage: a rule is broken; the text names the field.
    """
    problem = (
        _place_problem(message, header.chain_id, header.parent, header.height)
        or _norm_problem(message, rules)
        or _signer_problem(message, rules)
    )
    if problem:
        raise InvalidMessage(f"message {_short(message_id(message))}: {problem}")


def check_header(
    header: Header, parent: Header, rules: Rules, median_ms: int, expected_bits: int, now_ms: int
) -> None:
    """Check a header by itself and against its parent.

    Args:
        header: of the new block.
        parent: header of the block below, accepted before.
        rules: of the chain.
        median_ms: median time of the last 11 blocks below, milliseconds.
        expected_bits: compact target that this block must have.
        now_ms: the node's clock, milliseconds.

    Raises:
        TooEarly: its time is ahead of the clock; nothing else is wrong with the header.
        InvalidBlock: a rule is broken; the text names the field.
    """
    latest = now_ms + rules.max_ahead_ms
    problem = _header_problem(header, parent, rules, median_ms, latest) or _work_problem(
        header, rules, expected_bits
    )
    if problem:
        raise InvalidBlock(f"{label(header)}: {problem}")
    if header.time_ms > latest:
        raise TooEarly(f"{label(header)}: {_time_problem(header, median_ms, latest)}")


def check_block(
    block: Block,
    rules: Rules,
    chain_id: bytes,
    state: State,
    transition: Transition,
    check: MessageCheck = check_message,
) -> State:
    """Check a block's messages, and recompute its model bit for bit.

    Args:
        block: a block whose header has passed ``check_header``.
        rules: of the chain.
        chain_id: hash of the genesis block, 32 bytes.
        state: the state after the parent.
        transition: the step that the rules name.
        check: checks one message.

    Returns:
        The state after the block.

    Raises:
        WrongMessages: its messages are not those that the header commits to.
        InvalidBlock: a rule is broken; the text names the block and the reason.
    """
    where = label(block.header)
    check_messages_root(block)
    if problem := _messages_problem(block, rules):
        raise InvalidBlock(f"{where}: {problem}")
    try:
        for message in block.messages:
            check(message, rules, chain_id, block.header.parent, block.header.height)
        after = transition(state, block.messages)
    except InvalidMessage as error:
        raise InvalidBlock(f"{where}: {error}") from error
    except (ValueError, ArithmeticError) as error:
        raise InvalidBlock(f"{where}: messages: no step can be made from them: {error}") from error
    if problem := _state_problem(block.header, after, rules):
        raise InvalidBlock(f"{where}: {problem}")
    return after


def check_bare_block(block: Block, rules: Rules) -> None:
    """Check all of a block that can be checked without the directions of its messages.

    Args:
        block: a block whose header has passed ``check_header``, with messages as ``decode_bare``
            reads them.
        rules: of the chain.

    Raises:
        WrongMessages: its messages are not those that the header commits to.
        InvalidBlock: a rule is broken; the text names the block and the reason.
    """
    where = label(block.header)
    check_messages_root(block)
    if problem := _messages_problem(block, rules):
        raise InvalidBlock(f"{where}: {problem}")
    for message in block.messages:
        try:
            check_bare(message, rules, block.header)
        except InvalidMessage as error:
            raise InvalidBlock(f"{where}: {error}") from error


def check_messages_root(block: Block) -> None:
    """Check that a block's messages are those that its header commits to, signatures included.

    This check comes before every other rule on the messages. Anybody can send a header with other
    messages, and a fault in those messages says nothing about the block.

    Raises:
        WrongMessages: they are not.
    """
    try:
        root = messages_root(block.messages)
    except EncodingError as error:
        raise WrongMessages(f"{label(block.header)}: messages: {error}") from error
    if root != block.header.messages_root:
        raise WrongMessages(
            f"{label(block.header)}: messages_root: is not the root of its messages"
        )


def label(header: Header) -> str:
    """Return the name of a block in error texts: ``block 0022d941 (height 25)``."""
    return f"block {block_hash(header).hex()[:8]} (height {header.height})"


def _place_problem(message: Message, chain_id: bytes, parent: bytes, height: int) -> str | None:
    if message.version != messages.VERSION:
        return f"version: is {message.version}; must be {messages.VERSION}"
    if message.chain_id != chain_id:
        return f"chain_id: is {_short(message.chain_id)}; must be {_short(chain_id)}"
    if message.parent != parent:
        return f"parent: is {_short(message.parent)}; must be {_short(parent)}"
    if message.round != height:
        return f"round: is {message.round}; must be {height}"
    return None


def _norm_problem(message: Message, rules: Rules) -> str | None:
    if not (math.isfinite(message.norm) and 0 < message.norm <= rules.max_norm):
        return f"norm: is {message.norm!r}; must be above 0 and at most {rules.max_norm!r}"
    return None


def _direction_problem(message: Message, rules: Rules) -> str | None:
    direction, exponent = message.direction, message.exponent
    if storage_of(direction) != rules.storage:
        return f"direction: is stored as {direction.dtype.name}; must be {rules.storage}"
    if len(direction) != rules.dimension:
        return f"direction: has {len(direction)} entries; must have {rules.dimension}"
    least = LEAST_EXPONENT[rules.storage]
    if not least <= exponent <= EXPONENT:
        return f"exponent: is {exponent}; must be {least} to {EXPONENT}"
    low, high = norm_bounds(rules.dimension, exponent)
    fourfold = 4 * squared_norm(direction)
    if not low <= fourfold <= high:
        norm, unit = math.sqrt(fourfold) / 2, 2**exponent
        return f"direction: norm is {norm:.1f}; must be {unit} within the codec's rounding"
    if could_be_finer(direction, exponent, rules.storage):
        return f"exponent: is {exponent}; must be the largest that {rules.storage} can hold"
    return None


def _signer_problem(message: Message, rules: Rules) -> str | None:
    return (
        _declaration_problem(message.declaration)
        or _identity_problem(message, rules)
        or _signature_problem(message)
    )


def _declaration_problem(said: Declaration) -> str | None:
    if not 1 <= len(said.mechanism.encode()) <= 64:
        return f"mechanism: is {said.mechanism[:80]!r}; must be 1 to 64 bytes"
    if not (math.isfinite(said.noise) and said.noise >= 0):
        return f"noise: is {said.noise!r}; must be finite and at least 0"
    if not said.clip > 0:
        return f"clip: is {said.clip!r}; must be above 0, infinite for none"
    if said.records < 1:
        return f"records: is {said.records}; must be at least 1"
    return None


def _identity_problem(message: Message, rules: Rules) -> str | None:
    identity, proof = identity_of(message.public_key), message.proof
    who = f"identity {_short(identity)}"
    if rules.identity == "open":
        return None if proof is None else "proof: is given; open identities carry none"
    if proof is None:
        return f"proof: is missing; {who} must be registered for round {message.round}"
    try:
        root = root_from_path(identity_leaf(message.round, identity), proof)
    except ValueError as error:
        return f"proof: {error}"
    if root != rules.identity_root:
        return f"proof: {who} is not registered for round {message.round}"
    return None


def _signature_problem(message: Message) -> str | None:
    if not verify(message.public_key, message.signature, signing_bytes(message)):
        return "signature: is not that of the public key over these fields"
    return None


def _header_problem(
    header: Header, parent: Header, rules: Rules, median_ms: int, latest_ms: int
) -> str | None:
    chain_id = parent.chain_id if parent.height else block_hash(parent)
    if header.version != blocks.VERSION:
        return f"version: is {header.version}; must be {blocks.VERSION}"
    if header.chain_id != chain_id:
        return f"chain_id: is {_short(header.chain_id)}; must be {_short(chain_id)}"
    if header.height != parent.height + 1 or header.height > rules.rounds:
        allowed = f"{parent.height + 1}, at most {rules.rounds}"
        return f"height: is {header.height}; must be {allowed}"
    if header.parent != block_hash(parent):
        return f"parent: is {_short(header.parent)}; must be {_short(block_hash(parent))}"
    if header.rules_hash != parent.rules_hash:
        return f"rules_hash: is {_short(header.rules_hash)}; must be {_short(parent.rules_hash)}"
    if header.time_ms <= median_ms:
        return _time_problem(header, median_ms, latest_ms)
    return None


def _time_problem(header: Header, median_ms: int, latest_ms: int) -> str:
    return f"time_ms: is {header.time_ms}; must be above {median_ms} and at most {latest_ms}"


def _work_problem(header: Header, rules: Rules, expected_bits: int) -> str | None:
    if header.bits != expected_bits:
        return f"bits: is {header.bits:#010x}; must be {expected_bits:#010x}"
    if rules.work == "sampled" and header.nonce:
        return f"nonce: is {header.nonce}; must be 0 where work is sampled"
    if not is_paid(rules.work, block_hash(header), target_from_compact(header.bits)):
        return f"nonce: {header.nonce} does not bring the hash below the target"
    return None


def _messages_problem(block: Block, rules: Rules) -> str | None:
    count, most = len(block.messages), limits_of(rules).messages
    if not rules.quorum <= count <= most:
        return f"messages: got {count}; must be {rules.quorum} (the quorum) to {most}"
    ids = [message_id(message) for message in block.messages]
    if any(left >= right for left, right in pairwise(ids)):
        return "messages: must stand in ascending order of their ids, each once"
    if len({message.public_key for message in block.messages}) < count:
        return "messages: two are of one identity; one a round is allowed"
    if len({payload_of(message) for message in block.messages}) < count:
        return "messages: two have the same payload; a copy does not count"
    return None


def _state_problem(header: Header, after: State, rules: Rules) -> str | None:
    got = after.weights
    if got.dtype.name != rules.dtype or got.shape != (rules.dimension,):
        wanted = f"{rules.dtype} of shape ({rules.dimension},)"
        return f"weights: the step gives {got.dtype.name} of shape {got.shape}; must be {wanted}"
    if hash_weights(after) != header.weights_hash:
        return "weights_hash: weights are not the aggregate of its messages"
    if hash_memory(after) != header.memory_hash:
        return "memory_hash: the update's memory is not what its messages lead to"
    return None


def _short(digest: bytes) -> str:
    return digest.hex()[:8]
