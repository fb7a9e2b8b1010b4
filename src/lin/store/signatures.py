"""Signatures of events: made and checked by `ssh-keygen -Y`, as git does, offline, with keys that people have anyway.

What is signed is the event as it lies on disk, without its signature and its sha256, behind the id of the store: a
signature holds for no other event, place or store. Whom to believe stands outside the store, in a file in the format
of ssh's allowed signers.
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lin.errors import OutsideError, StoreError, UsageError
from lin.events import CheckedEvent, Event
from lin.records import digest
from lin.sealed import split_signed
from lin.store.local import make_private

if TYPE_CHECKING:
    import subprocess

NAMESPACE = "lin"
_LARGEST = 64 << 10
_TIME = "%Y%m%d%H%M%SZ"
_KNOWN = re.compile(r"([0-9a-f]{64}) (.+)")
_ARMOR = b"-----BEGIN SSH SIGNATURE-----\n", b"-----END SSH SIGNATURE-----\n"


class Found(NamedTuple):
    """An event, and the bytes of its file."""

    event: Event
    data: bytes


class Vouched(NamedTuple):
    """The events up to this one count although they are not signed: its number, and the sha256 of its file."""

    number: int
    sha256: str


class Signers:
    """Whom to believe: the keys in a file of ssh's allowed signers, as it is now.

    Signatures that were good are remembered in a folder of the user's, by the sha256 of event and signers.
    """

    def __init__(self, path: Path, store: str, *, memory: Path | None = None) -> None:
        """Read the file. Raises `UsageError` if there is none, or it is not a plain file of sane size."""
        self.path = path
        self._store = store
        self._text = _read(path)
        self._memory = None if memory is None else memory / digest(f"{store}\n".encode() + self._text)

    def find(self, events: Sequence[Found]) -> list[str | None]:
        """Of each event the one of its names that its signature is good for: the email, or the login name."""
        known = self._remembered() if any(found.event.signature for found in events) else {}
        fresh: dict[str, str] = {}
        signers = []
        for event, data in events:
            sha256 = digest(data)
            signer = known.get(sha256)
            if event.signature is None or signer is None or signer not in {event.email, event.actor}:
                signer = self._verify(event, data)
                if signer is not None:
                    fresh[sha256] = signer
            signers.append(signer)
        self._remember(fresh)
        return signers

    def _verify(self, event: Event, data: bytes) -> str | None:
        import tempfile

        payload = split_signed(data, event.signature)
        if event.signature is None or payload is None:
            return None
        with tempfile.TemporaryDirectory(prefix="lin-") as folder:
            allowed, signature = Path(folder, "signers"), Path(folder, "signature")
            allowed.write_bytes(self._text)
            signature.write_bytes(_armor(event.signature))
            for name in (event.email, event.actor):
                words = ["-Y", "verify", "-n", NAMESPACE, "-f", str(allowed), "-s", str(signature), "-I", name or ""]
                words.append(f"-Overify-time={event.time.astimezone(UTC).strftime(_TIME)}")
                if name and _ask(words, signed_text(self._store, payload)).returncode == 0:
                    return name
        return None

    def _remembered(self) -> dict[str, str]:
        if self._memory is None:
            return {}
        try:
            lines = self._memory.read_text(errors="replace").splitlines()
        except OSError:
            return {}
        return {match[1]: match[2] for match in map(_KNOWN.fullmatch, lines) if match}

    def _remember(self, fresh: dict[str, str]) -> None:
        """Add what was good. Where it cannot be kept, it is looked at again."""
        lines = "".join(f"\n{sha256} {signer}\n" for sha256, signer in fresh.items() if signer.isprintable())
        if self._memory is None or not lines:
            return
        with suppress(OSError):
            make_private(self._memory.parent)
            descriptor = os.open(self._memory, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, lines.encode())
            finally:
                os.close(descriptor)


class Notary:
    """Signs the events that a store gets, and says of those that it has who signed them.

    Without `key` nothing can be signed, and without `signers` nothing is checked. It signs what it is asked to, or all.
    """

    def __init__(
        self,
        store: str,
        *,
        key: Callable[[], str] | None = None,
        always: bool = False,
        signers: Callable[[], Signers] | None = None,
        vouched: Vouched | None = None,
    ) -> None:
        """Take the id of the store, and how to find key and signers once they are asked for."""
        self._store = store
        self._find_key = key
        self._always = always
        self._find_signers = signers
        self._signers: Signers | None = None
        self.vouched = vouched

    def sign(self, payload: bytes, *, asked: bool) -> str | None:
        """The signature of an event, in base64; None if none is wanted. Raises as `sign`."""
        if self._find_key is None or not (asked or self._always):
            return None
        return sign(self._find_key(), signed_text(self._store, payload))

    def check(self, events: Sequence[Found]) -> list[Event]:
        """The events with what is known of their signatures, if there are signers to believe.

        Raises:
            StoreError: an event is not the one that was vouched for.
        """
        for event, data in events:
            if self.vouched and event.number == self.vouched.number and digest(data) != self.vouched.sha256:
                raise StoreError(
                    f"event {event.number} is not the one that 'trusted' in [security] names: the log was rewritten",
                    hint="restore the folder 'events' from a backup of the store",
                )
        if self._find_signers is None:
            return [event for event, _ in events]
        self._signers = self._signers or self._find_signers()
        signed = self._signers.find(events)
        return [self._tell(event, signer) for (event, _), signer in zip(events, signed, strict=True)]

    def require_all(self, number: int) -> None:
        """Raise `StoreError` if the log ends before the event that was vouched for."""
        if self.vouched is not None and number < self.vouched.number:
            raise StoreError(
                f"the store has {number} events, and 'trusted' in [security] names event {self.vouched.number}",
                hint="restore the folder 'events' from a backup of the store",
            )

    def _tell(self, event: Event, signer: str | None) -> CheckedEvent:
        values = {name: getattr(event, name) for name in event.__struct_fields__}
        if signer is not None:
            values |= {"actor": signer, "email": signer}
        is_vouched = self.vouched is not None and event.number <= self.vouched.number
        return CheckedEvent(**values, signer=signer, is_vouched=is_vouched)


def sign(key: str, data: bytes) -> str:
    """The signature of `data` by an ssh key, in base64 without armor.

    Args:
        key: the file of a private key, or of a public one whose private one an agent has; or such a key itself, as
            `ssh-ed25519 AAAA…`.
        data: what is signed.

    Raises:
        OutsideError: there is no such key, or it does not sign.
    """
    import tempfile

    literal = key.removeprefix("key::")
    with tempfile.TemporaryDirectory(prefix="lin-") as folder:
        path = key
        if literal != key or literal.startswith(("ssh-", "ecdsa-", "sk-")):
            path = str(Path(folder, "key.pub"))
            Path(path).write_text(f"{literal}\n")
        ended = _ask(["-Y", "sign", "-n", NAMESPACE, "-f", path], data)
    begin, end = _ARMOR
    if ended.returncode != 0 or not ended.stdout.startswith(begin):
        said = ended.stderr.decode(errors="replace").replace("Signing data on standard input", "").splitlines()
        why = "; ".join(line for line in said if line.strip() and not line.startswith("@"))
        raise OutsideError(
            f"the key {key} does not sign: {why or 'no answer'}",
            hint="name another one: LIN_SIGNING_KEY=~/.ssh/id_ed25519",
        )
    return ended.stdout[len(begin) : ended.stdout.index(end)].replace(b"\n", b"").decode("ascii")


def signed_text(store: str, payload: bytes) -> bytes:
    """What is signed of an event: its bytes, behind the store that it is in."""
    return f"lin event of store {store}\n".encode() + payload


def parse_vouched(text: str) -> Vouched:
    """`12:SHA256`, as `lin seal` prints it. Raises `UsageError`."""
    match = re.fullmatch(r"([1-9][0-9]{0,11}):([0-9a-f]{64})", text)
    if match is None:
        raise UsageError(f"'{text}' does not name an event by its number and sha256", hint="lin seal prints that line")
    return Vouched(int(match[1]), match[2])


def _armor(signature: str) -> bytes:
    """The signature in the form that ssh-keygen reads, whatever text that is."""
    from base64 import b64decode, b64encode

    with suppress(ValueError):
        text = b64encode(b64decode(signature, validate=True))
        begin, end = _ARMOR
        return begin + b"".join(text[at : at + 70] + b"\n" for at in range(0, len(text), 70)) + end
    return b""


def _read(path: Path) -> bytes:
    try:
        if path.is_file() and path.stat().st_size <= _LARGEST:
            return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the signers in {path}: {error.strerror}") from error
    raise UsageError(
        f"there is no file of signers at {path}, of {_LARGEST >> 10} KiB at most",
        hint='a line each: EMAIL namespaces="lin" ssh-ed25519 AAAA…',
    )


def _ask(words: list[str], data: bytes) -> "subprocess.CompletedProcess[bytes]":
    import subprocess

    try:
        return subprocess.run(["ssh-keygen", *words], input=data, capture_output=True, check=False)  # noqa: S607
    except OSError as error:
        raise OutsideError(
            f"ssh-keygen cannot be started: {error.strerror}", hint="install OpenSSH 8.2 or newer"
        ) from error
