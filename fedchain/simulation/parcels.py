"""What an item weighs on its way: whole to full nodes, less to light clients."""

from __future__ import annotations

from fedchain.ledger.chain.block import HEADER_BYTES, Block, block_hash, block_size
from fedchain.ledger.chain.message import Message, content_of, message_size
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.signature import SIGNATURE_BYTES
from fedchain.network.spreading import Parcel
from fedchain.nodes.compute.incident_log import Objection


def parcel_of(item: Block | Message | Objection, rules: Rules) -> Parcel:
    """Return an item as the network sees it.

    Args:
        item: a message; a block, of which a light client takes the header and the weights that
            it commits to; an objection, which is signed, and of which it takes the header.
        rules: of the chain: they say how large the weights are.

    Raises:
        EncodingError: the item has no encoding.
    """
    match item:
        case Message():
            size = message_size(item)
            return Parcel(content_of(item), size, size)
        case Block(header=header):
            weights = rules.dimension * (8 if rules.dtype == "float64" else 4)
            return Parcel(block_hash(header), block_size(item), HEADER_BYTES + weights)
        case Objection(block=block, node=node):
            name = block_hash(block.header) + node.to_bytes(4, "big")
            size = block_size(block) + SIGNATURE_BYTES
            return Parcel(name, size, HEADER_BYTES + SIGNATURE_BYTES)
