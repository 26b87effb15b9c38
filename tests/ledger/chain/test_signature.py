from __future__ import annotations

import pytest

from fedchain.ledger.chain.signature import public_key_of, sign, verify

RFC_8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
)
"""RFC 8032, section 7.1, tests 1 and 2: secret key, public key, message, signature."""


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032, ids=["1", "2"])
def test_keys_and_signatures_are_those_of_rfc_8032(secret, public, message, signature):
    secret, message = bytes.fromhex(secret), bytes.fromhex(message)
    assert public_key_of(secret).hex() == public
    assert sign(secret, message).hex() == signature
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
