"""Parcels: the size of each item on the network, to full nodes and to light clients."""

from __future__ import annotations

from fedchain.ledger.chain.block import HEADER_BYTES, Block, block_hash, block_size
from fedchain.ledger.chain.message import Message, content_of, message_size
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.chain.signature import SIGNATURE_BYTES
from fedchain.network.spreading import Parcel
from fedchain.nodes.compute.incident_log import Objection


def parcel_of(item: Block | Message | Objection, rules: Rules) -> Parcel:
    """Return the name and the sizes of an item, which is all that the network uses of it.

    Args:
        item: a message, a block or an objection. A full node receives all of it. Of a block a
            light client receives the header and the weights that it commits to; of an objection
            the header and the signature.
        rules: of the chain; the size of the weights follows from them.

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
