from __future__ import annotations

import pytest
from ledger_world import REFERENCE, reference

from fedchain.ledger.signature import public_key_of, sign, verify


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference files are not there")
def test_keys_and_signatures_are_those_of_rfc_8032():
    for vector in reference()["rfc8032_ed25519"]:
        secret, message = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["message"])
        assert public_key_of(secret).hex() == vector["public"]
        assert sign(secret, message).hex() == vector["signature"]
        assert verify(public_key_of(secret), sign(secret, message), message)


def test_every_flipped_bit_of_a_signature_is_noticed():
    secret, message = bytes(range(32)), b"message"
    signature = sign(secret, message)
    for bit in range(512):
        forged = bytearray(signature)
        forged[bit // 8] ^= 1 << bit % 8
        assert not verify(public_key_of(secret), bytes(forged), message)


@pytest.mark.parametrize(("key", "signature"), [(b"", bytes(64)), (bytes(32), b""), (b"a", b"b")])
def test_keys_and_signatures_of_the_wrong_length_verify_nothing(key, signature):
    assert not verify(key, signature, b"message")


def test_the_order_of_the_curve_added_to_a_signature_is_noticed():
    secret = bytes(range(32))
    signature = sign(secret, b"m")
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    assert not verify(public_key_of(secret), signature[:32] + s.to_bytes(32, "little"), b"m")
