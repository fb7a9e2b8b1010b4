"""Records of which every byte is accounted for."""

from datetime import UTC, datetime

import pytest

from lin.errors import StoreError
from lin.records import StoreInfo, digest, encode
from lin.sealed import decode_sealed, encode_sealed

INFO = StoreInfo(id="01a20117ad357fde956860fd7bc907e3", created=datetime(2026, 11, 22, tzinfo=UTC))


def test_the_last_member_is_the_digest_of_the_rest() -> None:
    data = encode_sealed(INFO)
    assert data == encode(INFO)[:-2] + f',"sha256":"{digest(encode(INFO))}"}}\n'.encode()
    assert decode_sealed(data, StoreInfo, where="store.json") == INFO


def test_no_byte_can_change_unseen() -> None:
    data = encode_sealed(INFO)
    for at in range(len(data)):
        for bit in range(8):
            rotten = bytearray(data)
            rotten[at] ^= 1 << bit
            with pytest.raises(StoreError, match=r"^store\.json is"):
                decode_sealed(bytes(rotten), StoreInfo, where="store.json")
    for end in range(len(data) - 1):
        with pytest.raises(StoreError, match=r"^store\.json is"):
            decode_sealed(data[:end], StoreInfo, where="store.json")


def test_what_an_early_lin_wrote_is_read() -> None:
    assert decode_sealed(encode(INFO), StoreInfo, where="store.json") == INFO


def test_a_newer_format_is_named_first() -> None:
    newer = encode_sealed(INFO).replace(b"store/1", b"store/2")
    with pytest.raises(StoreError, match="written by a newer lin"):
        decode_sealed(newer, StoreInfo, where="store.json")
