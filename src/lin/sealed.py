"""Records that carry their own sha256, and perhaps a signature: files whose name does not tell their content.

The sha256 is the last member, of the same bytes without it; a signature stands before it, and is of the bytes without
both.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from lin.errors import NewerError, StoreError
from lin.records import UPGRADE, decode, digest, encode

R = TypeVar("R")

_SIGNATURE = b',"signature":"'
_MARK = b',"sha256":"'
_TAIL = len(_MARK) + 64 + len(b'"}\n')


def encode_sealed(record: Any) -> bytes:
    """As `encode`, with the sha256 of that as the last member: for files whose name does not tell their content."""
    return _with_digest(encode(record))


def decode_sealed(data: bytes, kind: type[R], *, where: str) -> R:
    """As `decode`, of what `encode_sealed` wrote. What older lins wrote has no sha256 of its own, and is read too.

    Raises:
        StoreError: as `decode`, or a byte of it is not what was written. NewerError: every byte is, and still it
            cannot be read.
    """
    body = data[:-_TAIL] + b"}\n"
    if not data[-_TAIL:].startswith(_MARK):
        return decode(data, kind, where=where)
    is_whole = data == _with_digest(body)
    try:
        record = decode(body, kind, where=where)  # first: what a newer lin wrote may be checked otherwise
    except StoreError as error:
        if not is_whole or isinstance(error, NewerError):
            raise
        what = error.message.removeprefix(f"{where} is damaged: ")
        raise NewerError(f"{where} is whole, and holds what this lin does not know: {what}", hint=UPGRADE) from error
    if not is_whole:
        raise StoreError(
            f"{where} is damaged: it does not have the sha256 that stands in it",
            hint="restore that file from a backup of the store",
        )
    return record


def encode_signed(record: Any, sign: Callable[[bytes], str | None]) -> bytes:
    """As `encode_sealed`, with a signature of the rest before the sha256, in base64, if `sign` makes one."""
    body = encode(record)
    signature = sign(body)
    return _with_digest(body if signature is None else body[:-2] + _SIGNATURE + signature.encode() + b'"}\n')


def split_signed(data: bytes, signature: str | None) -> bytes | None:
    """What of a record was signed: the bytes that `sign` got in `encode_signed`; None where they are not there."""
    body = data[:-_TAIL] if data[-_TAIL:].startswith(_MARK) else data[:-2]
    end = _SIGNATURE + (signature or "").encode() + b'"'
    return body.removesuffix(end) + b"}\n" if signature and body.endswith(end) else None


def _with_digest(data: bytes) -> bytes:
    return data[:-2] + _MARK + digest(data).encode() + b'"}\n'
