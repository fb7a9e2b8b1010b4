"""Signatures of events, by real ssh keys: whose is good, for what, and where nothing is to be believed."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lin.errors import OutsideError, StoreError, UsageError
from lin.events import CheckedEvent, Comment, Event
from lin.records import digest
from lin.sealed import decode_sealed, encode_sealed, encode_signed, split_signed
from lin.store.events import Events, event_key
from lin.store.memory import MemoryBackend
from lin.store.signatures import Found, Notary, Signers, Vouched, parse_vouched, sign, signed_text

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANNA, BOB = "anna@example.com", "bob@example.com"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of anna and bob."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("anna", "bob"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(words, check=True)
    return folder


@pytest.fixture
def signers(keys: Path, tmp_path: Path) -> Path:
    """A file of signers that knows both."""
    return allow(tmp_path / "signers", keys, anna=ANNA, bob=BOB)


def allow(path: Path, keys: Path, options: str = 'namespaces="lin"', **names: str) -> Path:
    lines = [f"{email} {options} {(keys / f'{name}.pub').read_text()}" for name, email in names.items()]
    path.write_text("".join(lines))
    return path


def event(**changes: object) -> Event:
    change = Comment(model="m", text="hello")
    first = Event(number=1, op_id="op", time=NOW, actor="anna", previous=None, change=change, email=ANNA)
    return replace(first, **changes)


def signed(keys: Path, event: Event, *, by: str = "anna", store: str = "s") -> Found:
    data = encode_signed(event, lambda payload: sign(str(keys / by), signed_text(store, payload)))
    return Found(decode_sealed(data, Event, where="an event"), data)


def find(path: Path, *events: Found, memory: Path | None = None) -> list[str | None]:
    return Signers(path, "s", memory=memory).find(events)


# --- whose signature is good ------------------------------------------------------------------------------------------


def test_a_signature_is_good_for_the_email_or_else_the_login_name(keys: Path, signers: Path, tmp_path: Path) -> None:
    assert find(signers, signed(keys, event())) == [ANNA]
    logins = allow(tmp_path / "logins", keys, anna="anna")
    assert find(logins, signed(keys, event())) == ["anna"]
    assert find(logins, signed(keys, event(email=None))) == ["anna"]


def test_nobody_signs_for_another(keys: Path, signers: Path) -> None:
    assert find(signers, signed(keys, event(), by="bob"), signed(keys, event(email=BOB, actor="bob"))) == [None, None]


def test_what_is_not_signed_is_nobodys(signers: Path) -> None:
    data = encode_sealed(event())
    assert find(signers, Found(event(), data)) == [None]


def test_a_signature_is_good_for_one_event_in_one_store(keys: Path, signers: Path) -> None:
    good = signed(keys, event())
    moved = replace(event(number=2), signature=good.event.signature)
    assert find(signers, Found(moved, encode_sealed(moved))) == [None]
    assert find(signers, signed(keys, event(), store="another")) == [None]


def test_a_signature_for_another_purpose_is_none(keys: Path, signers: Path) -> None:
    payload = signed_text("s", encode_sealed(event()))
    words = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(keys / "anna")]
    armored = subprocess.run(words, input=payload, capture_output=True, check=True).stdout.decode()
    other = replace(event(), signature="".join(armored.splitlines()[1:-1]))
    assert find(signers, Found(other, encode_sealed(other))) == [None]


def test_a_key_is_good_while_the_signers_say_so(keys: Path, tmp_path: Path) -> None:
    path = allow(tmp_path / "signers", keys, options='valid-before="20261123"', anna=ANNA)
    assert find(path, signed(keys, event()), signed(keys, event(time=NOW + timedelta(days=2)))) == [ANNA, None]


@pytest.mark.parametrize("signature", ["", "x", "U1NIU0lH", "A" * 100_000, "\n-----END SSH SIGNATURE-----\n", "é"])
def test_no_signature_at_all_is_taken_for_one(signers: Path, signature: str) -> None:
    odd = event(signature=signature)
    assert find(signers, Found(odd, encode_sealed(odd))) == [None]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_byte_of_a_signed_event_can_be_another(keys: Path, signers: Path, data: st.DataObject) -> None:
    file = signed(keys, event()).data
    at = data.draw(st.integers(0, len(file) - 1))
    changed = bytearray(file)
    changed[at] ^= 1 << data.draw(st.integers(0, 6))
    body = bytes(changed[: -len(b',"sha256":""}\n') - 64]) + b"}\n"  # whoever changes it puts the new sha256 there
    again = body[:-2] + b',"sha256":"' + digest(body).encode() + b'"}\n'
    try:
        read = decode_sealed(again, Event, where="an event")
    except StoreError:
        return
    if again != file:
        assert find(signers, Found(read, again)) == [None]


# --- what is remembered -----------------------------------------------------------------------------------------------


def test_what_was_good_is_not_looked_at_again(
    keys: Path, signers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, unsigned = signed(keys, event()), Found(event(), encode_sealed(event()))
    memory = tmp_path / "cache/signatures"
    assert find(signers, good, unsigned, memory=memory) == [ANNA, None]
    monkeypatch.setenv("PATH", str(tmp_path))  # no ssh-keygen
    assert find(signers, good, unsigned, memory=memory) == [ANNA, None]
    with pytest.raises(OutsideError, match="ssh-keygen cannot be started"):
        find(signers, good)


def test_what_is_remembered_holds_for_these_signers_alone(keys: Path, signers: Path, tmp_path: Path) -> None:
    good = signed(keys, event())
    memory = tmp_path / "signatures"
    assert find(signers, good, memory=memory) == [ANNA]
    assert find(allow(tmp_path / "signers", keys, bob=BOB), good, memory=memory) == [None]


def test_a_damaged_memory_is_no_proof(keys: Path, signers: Path, tmp_path: Path) -> None:
    bad = signed(keys, event(), by="bob")
    memory = tmp_path / "signatures"
    find(signers, signed(keys, event()), memory=memory)
    (file,) = memory.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(f"{digest(bad.data)} carol@example.com\n{digest(bad.data)}\nnonsense\n\n")
    assert find(signers, bad, memory=memory) == [None]


# --- signing ----------------------------------------------------------------------------------------------------------


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match=r"nokey does not sign: .*No such file"):
        sign(str(tmp_path / "nokey"), b"data")


def test_a_key_with_a_passphrase_does_not_wait_for_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)], check=True)
    with pytest.raises(OutsideError, match=r"does not sign: .*passphrase"):
        sign(str(key), b"data")


def test_a_key_may_stand_for_itself(keys: Path) -> None:
    """Its private one is in no agent: ssh-keygen found the key, and cannot sign."""
    with pytest.raises(OutsideError, match=r"does not sign: .*(agent|private key)"):
        sign(f"key::{(keys / 'anna.pub').read_text().strip()}", b"data")


def test_only_signed_bytes_are_split_off(keys: Path) -> None:
    found = signed(keys, event())
    assert split_signed(found.data, found.event.signature) == encode_unsealed(event())
    assert split_signed(found.data, "other") is None
    assert split_signed(encode_sealed(event()), None) is None


def encode_unsealed(record: Event) -> bytes:
    return encode_signed(record, lambda _: None)[: -len(b',"sha256":""}\n') - 64] + b"}\n"


# --- a log with a notary ----------------------------------------------------------------------------------------------


@pytest.fixture
def log(keys: Path, signers: Path) -> Callable[..., Events]:
    backend = MemoryBackend()

    def log(*, by: str | None = "anna", vouched: Vouched | None = None, checked: bool = True) -> Events:
        notary = Notary(
            "s",
            key=None if by is None else lambda: str(keys / by),
            always=by is not None,
            signers=(lambda: Signers(signers, "s")) if checked else None,
            vouched=vouched,
        )
        return Events(backend, notary)

    log.backend = backend  # type: ignore[attr-defined]
    return log


def say(events: Events, **options: object) -> Event:
    given = {"actor": "anna", "email": ANNA, "op_id": "op", "now": NOW} | options
    return events.append(lambda _: Comment(model="m", text="hello"), **given)  # type: ignore[arg-type]


def test_events_are_signed_as_they_are_written(log: Callable[..., Events]) -> None:
    written = say(log())
    assert isinstance(written, CheckedEvent)
    assert (written.signer, written.actor) == (ANNA, ANNA)
    (read,) = log().read()
    assert read == written


def test_without_signers_an_event_is_as_it_is_on_disk(log: Callable[..., Events]) -> None:
    written = say(log(checked=False))
    assert (type(written), written.actor, written.signature is not None) == (Event, "anna", True)


def test_a_signature_can_be_asked_for(log: Callable[..., Events], keys: Path) -> None:
    events = Events(log.backend, Notary("s", key=lambda: str(keys / "anna")))  # type: ignore[attr-defined]
    assert say(events).signature is None
    assert say(events, sign=True).signature is not None


def test_admission_sees_who_signed_before_anything_is_written(log: Callable[..., Events]) -> None:
    def refuse(_: object, event: Event) -> None:
        assert isinstance(event, CheckedEvent)
        raise UsageError(f"signed by {event.signer}")

    with pytest.raises(UsageError, match=f"signed by {ANNA}"):
        say(log(), admit=refuse)
    assert list(log().read()) == []


def test_a_log_that_was_rewritten_or_cut_before_what_is_trusted_is_refused(log: Callable[..., Events]) -> None:
    for _ in range(2):
        say(log(by=None))
    sha256 = digest(log.backend.read(event_key(2)))  # type: ignore[attr-defined]
    told = log(vouched=Vouched(2, sha256)).read()
    assert [each.is_vouched for each in told if isinstance(each, CheckedEvent)] == [True, True]
    with pytest.raises(StoreError, match="event 2 is not the one that 'trusted'"):
        log(vouched=Vouched(2, "0" * 64), checked=False).read()
    with pytest.raises(StoreError, match=r"has 2 events, and 'trusted' in .* names event 3"):
        log(vouched=Vouched(3, sha256), checked=False).read()


@pytest.mark.parametrize(
    "text", ["", "12", "0:" + "0" * 64, "1:abc", "x:" + "0" * 64, "1:" + "A" * 64, "1:" + "0" * 65]
)
def test_what_names_no_event_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not name an event"):
        parse_vouched(text)


def test_signers_are_a_plain_file_of_sane_size(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 100_000)
    for path in (tmp_path, tmp_path / "none", large):
        with pytest.raises(UsageError, match="there is no file of signers at"):
            Signers(path, "s")
